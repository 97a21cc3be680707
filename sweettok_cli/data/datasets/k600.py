"""Kinetics-600: an official list and clips named after the video and the seconds they were cut from."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from sweettok_cli.data.datasets.dataset import DataSet, Item, Source, first_existing, shortfall
from sweettok_cli.errors import SweettokError
from sweettok_cli.video.source import VIDEOS

SOURCE = Source(
    title="Kinetics-600",
    splits=("val", "test", "train"),
    remedy=(
        "get the lists and clips with https://github.com/cvdfoundation/kinetics-dataset "
        "(k600_downloader.sh and k600_extractor.sh), so that the folder holds annotations/val.csv and, "
        "anywhere below it, clips named ID_START_END.mp4 such as 0wR5jVB-WPk_000417_000427.mp4"
    ),
)

_LISTS = {"val": ("val", "validate", "validation"), "test": ("test",), "train": ("train",)}
_PREFIXES = ("", "kinetics600_", "kinetics_600_", "k600_")


def load(root: Path, split: str | None = None) -> DataSet:
    """The clips of a list that are on the disk; videos vanish from YouTube, and copies differ.

    Args:
        root: the folder with the list (there or in ``annotations``) and the clips (anywhere below).
        split: as in :data:`SOURCE`.

    Raises:
        SweettokError: clips or list are missing, or the list is no such list.
    """
    split = SOURCE.pick_split(split)
    names = [f"{prefix}{stem}.csv" for stem in _LISTS[split] for prefix in _PREFIXES]
    listed_in = first_existing(place / name for place in (root / "annotations", root) for name in names)
    if listed_in is None:
        raise SOURCE.missing(root, f"there is no annotations/{names[0]}")
    clips = {
        file: Path(parent, file)
        for parent, _, files in os.walk(root)
        for file in sorted(files)
        if Path(file).suffix.lower() in VIDEOS
    }
    by_stem = {Path(file).stem: path for file, path in clips.items()}
    listed = _read(listed_in)
    items = [Item(stem, by_stem[stem], label) for stem, label in listed.items() if stem in by_stem]
    if not items:
        raise SOURCE.missing(root, f"none of the clips in {listed_in.name} is there")
    return DataSet("k600", items, split, shortfall(len(items), len(listed), f"clips of {listed_in.name}"))


def _read(path: Path) -> dict[str, str | None]:
    """Label by the name of the clip."""
    found: dict[str, str | None] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            for row in csv.DictReader(stream):
                seconds = int(float(row["time_start"])), int(float(row["time_end"]))
                found[f"{row['youtube_id']}_{seconds[0]:06d}_{seconds[1]:06d}"] = row.get("label") or None
    except (OSError, UnicodeDecodeError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise SweettokError(
            f"{path} is not a list of Kinetics-600 with the columns label, youtube_id, time_start and "
            f"time_end ({error}); download it again."
        ) from error
    return found
