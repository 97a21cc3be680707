"""Any folder of videos and pictures, or one file."""

from __future__ import annotations

from pathlib import Path

from sweettok_cli.data.datasets.dataset import DataSet, Item
from sweettok_cli.errors import SweettokError
from sweettok_cli.video.source import MEDIA, check_readable, find_files


def load(target: Path) -> DataSet:
    """The videos and pictures in a folder and the folders below it, by name; or the one file given.

    Raises:
        SweettokError: there is no such path, or the folder holds none.
    """
    if target.is_file():
        check_readable(target)
        return DataSet(target.name, [Item(target.name, target)], known=False)
    if not target.is_dir():
        raise SweettokError(
            f"{target} does not exist; give a folder of videos or pictures, one of them, or the name of a "
            "data set with --data DIR."
        )
    found = find_files(target, MEDIA)
    if not found:
        raise SweettokError(f"The folder {target} holds no video or picture; give one that does.")
    items = [Item(path.relative_to(target).as_posix(), path) for path in found]
    return DataSet(target.resolve().name or str(target), items, known=False)
