"""DAVIS 2017: sequences as folders of JPEG pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from sweettok_cli.data.datasets.dataset import (
    DataSet,
    Item,
    Source,
    first_existing,
    read_lines,
    shortfall,
)

SOURCE = Source(
    title="DAVIS 2017",
    splits=("val", "train", "test-dev"),
    remedy=(
        "download DAVIS-2017-trainval-480p.zip from https://davischallenge.org/davis2017/code.html and "
        "unpack it, so that the folder holds JPEGImages/480p/bear/00000.jpg and ImageSets/2017/val.txt"
    ),
)

RATE = Fraction(24)
"""Frames a second; the pictures do not say it."""


def load(root: Path, split: str | None = None) -> DataSet:
    """The sequences of a list at 480 lines.

    Args:
        root: the folder with ``JPEGImages``, or the one with ``DAVIS`` in it.
        split: as in :data:`SOURCE`.

    Raises:
        SweettokError: pictures or list are missing.
    """
    split = SOURCE.pick_split(split)
    listed_in = first_existing(
        place / "ImageSets" / "2017" / f"{split}.txt" for place in (root, root / "DAVIS")
    )
    if listed_in is None:
        raise SOURCE.missing(root, f"there is no ImageSets/2017/{split}.txt")
    pictures = listed_in.parents[2] / "JPEGImages" / "480p"
    names = read_lines(listed_in)
    items = [Item(name, pictures / name, rate=RATE) for name in names if (pictures / name).is_dir()]
    if not items:
        raise SOURCE.missing(root, f"none of the sequences in {split}.txt is in JPEGImages/480p")
    return DataSet("davis", items, split, shortfall(len(items), len(names), f"sequences of {split}.txt"))
