"""ImageNet's validation pictures, in folders by class or all in one."""

from __future__ import annotations

import re
from pathlib import Path

from sweettok_cli.data.datasets.dataset import DataSet, Item, Source, shortfall

SOURCE = Source(
    title="ImageNet",
    splits=("val",),
    remedy=(
        "download ILSVRC2012_img_val.tar from https://image-net.org/download-images.php (an account is "
        "needed) and unpack it, so that the folder holds val/ILSVRC2012_val_00000001.JPEG, or "
        "val/nXXXXXXXX/ILSVRC2012_val_*.JPEG"
    ),
)

PICTURES = 50_000
_PICTURE = re.compile(r"ILSVRC2012_val_\d{8}\.(jpeg|jpg|png)", re.IGNORECASE)
_CLASS = re.compile(r"n\d{8}")


def load(root: Path, split: str | None = None) -> DataSet:
    """The pictures ordered by number, whatever folders they lie in; the label is the class's WordNet id.

    Args:
        root: the folder with ``val``, ``val`` itself, or Kaggle's folder with ``ILSVRC/Data/CLS-LOC/val``.
        split: ``val``.

    Raises:
        SweettokError: the pictures are missing.
    """
    split = SOURCE.pick_split(split)
    for folder in (root / "val", root / "ILSVRC" / "Data" / "CLS-LOC" / "val", root):
        found = _pictures(folder)
        if found:
            notes = shortfall(len(found), PICTURES, "validation pictures")
            return DataSet("imagenet", found, split, notes)
    raise SOURCE.missing(root, "there are no pictures named ILSVRC2012_val_*.JPEG")


def _pictures(folder: Path) -> list[Item]:
    if not folder.is_dir():
        return []
    inside = sorted(entry for entry in folder.iterdir() if _CLASS.fullmatch(entry.name) and entry.is_dir())
    items = [
        Item(path.stem, path, label=place.name if place in inside else None)
        for place in (folder, *inside)
        for path in place.iterdir()
        if _PICTURE.fullmatch(path.name)
    ]
    return sorted(items, key=lambda item: item.name)
