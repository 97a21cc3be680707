"""MCL-JCV: 30 sequences in full HD, compressed or as bare planes."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sweettok_cli.data.datasets.dataset import DataSet, Item, Source, shortfall
from sweettok_cli.video.source import VIDEOS

SOURCE = Source(
    title="MCL-JCV",
    splits=("all",),
    remedy=(
        "download the 30 source sequences from https://mcl.usc.edu/mcl-jcv-dataset/ and put them into one "
        "folder as videoSRC01*.mp4 to videoSRC30*.mp4, or bare as videoSRC01_1920x1080_30.yuv (8-bit 4:2:0; "
        "size and rate are read from the name)"
    ),
)

SEQUENCES = 30
_SEQUENCE = re.compile(r"(videoSRC\d\d)(?!\d).*", re.IGNORECASE)


def load(root: Path, split: str | None = None) -> DataSet:
    """The sequences, one file each, in the order of their numbers.

    Args:
        root: a folder that has them somewhere below.
        split: ``all``.

    Raises:
        SweettokError: there are none.
    """
    split = SOURCE.pick_split(split)
    found: dict[str, Path] = {}
    for parent, folders, files in os.walk(root):
        folders.sort()
        for file in sorted(files):
            named = _SEQUENCE.fullmatch(Path(file).stem)
            if named and Path(file).suffix.lower() in VIDEOS | {".yuv"}:
                found.setdefault(named[1].lower(), Path(parent, file))
    if not found:
        raise SOURCE.missing(root, "there is no file named videoSRC01*")
    items = [Item(f"videoSRC{name[-2:]}", found[name]) for name in sorted(found)]
    return DataSet("mcl-jcv", items, split, shortfall(len(items), SEQUENCES, "sequences"))
