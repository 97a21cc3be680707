"""Files with their class, the folder that they lie in, and the group of clips that show the same thing."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweettok_cli.errors import SweettokError
from sweettok_cli.packing.token_file import ENDINGS
from sweettok_cli.video.source import MEDIA
from sweettok_cli.words.reader import find_readable

_UCF101 = re.compile(r"v_(?P<group>.+_g\d+)_c\d+")
_PIECE = re.compile(r"(?P<group>.+)__\d+")

#: How clips are told to be of one group, in words.
BY_NAME = (
    "by name: v_CLASS_gNN_cNN is of group CLASS_gNN (UCF-101), NAME__NNN of group NAME; any other file is a "
    "group of its own"
)


@dataclass(frozen=True)
class LabelledFile:
    """A token file, video or picture."""

    path: Path
    name: str  # its path below the folder of classes
    label: str  # the folder that it lies in
    group: str  # clips of one group share person, place or source; two classes may have the same one


def find_classes(folder: Path, groups: Mapping[str, str] | None = None) -> dict[str, list[LabelledFile]]:
    """The files of each class by its name, in the order of their names; hidden folders are passed over.

    Args:
        folder: holds one folder a class, each with token files or, where it has none, videos and pictures.
        groups: by name, as :func:`read_groups` gives them; by default they are told by :data:`BY_NAME`.

    Raises:
        SweettokError: it has not at least two such folders, one is empty, or a file has no group.
    """
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    places = [place for place in inside if place.is_dir() and not place.name.startswith(".")]
    if len(places) < 2:
        raise SweettokError(
            f"{folder} does not hold one folder a class, of at least two classes; lay its clips out as "
            f"{folder.name or 'DIR'}/CLASS/clip.mp4."
        )
    return {
        place.name: [_labelled(path, place, folder, groups) for path in find_readable([place])]
        for place in places
    }


def _labelled(path: Path, place: Path, folder: Path, groups: Mapping[str, str] | None) -> LabelledFile:
    name = path.relative_to(folder).as_posix()
    if groups is None:
        return LabelledFile(path, name, place.name, group_of(name))
    bare = _bare(name)
    found = groups.get(bare, groups.get(bare.rsplit("/", 1)[-1]))
    if found is None:
        raise SweettokError(f"{name} is not in the list of groups; add a row for it.")
    return LabelledFile(path, name, place.name, found)


def group_of(name: str) -> str:
    """The group that a file's name tells of, by :data:`BY_NAME`."""
    bare = _bare(name)
    stem = bare.rsplit("/", 1)[-1]
    found = _UCF101.fullmatch(stem) or _PIECE.fullmatch(stem)
    return found["group"] if found else bare


def _bare(name: str) -> str:
    """A name without the endings of token files and videos: ``a/clip`` for ``a/clip.avi.npz``."""
    for endings in (ENDINGS, MEDIA):
        ending = Path(name).suffix
        if ending.lower() in endings:
            name = name.removesuffix(ending)
    return name


def read_groups(path: Path) -> dict[str, str]:
    """Groups by file, from a CSV table with the columns ``file`` and ``group``; endings are left out.

    A file is named by its path below the folder of classes, or by its name alone.

    Raises:
        SweettokError: it cannot be read, lacks a column, or names a file twice with different groups.
    """
    found: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            for row in csv.DictReader(stream):
                name, group = _bare(row["file"]), row["group"]
                if found.setdefault(name, group) != group:
                    raise ValueError(f"{name} has two groups")
    except KeyError as error:
        raise SweettokError(f"{path} has no column {error}; it needs file and group.") from error
    except (OSError, UnicodeDecodeError, ValueError, AttributeError, csv.Error) as error:
        raise SweettokError(
            f"{path} is no list of groups ({error}); give a CSV of file and group."
        ) from error
    return found
