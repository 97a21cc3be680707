"""Files with their class, the folder that they lie in, and the group of clips that show the same thing."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweettok_cli.data.groups import bare_name, group_of
from sweettok_cli.errors import SweettokError
from sweettok_cli.words.reader import find_readable


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
        groups: by name, as :func:`read_groups` gives them; by default as :func:`group_of` tells them.

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
    bare = bare_name(name)
    found = groups.get(bare, groups.get(bare.rsplit("/", 1)[-1]))
    if found is None:
        raise SweettokError(f"{name} is not in the list of groups; add a row for it.")
    return LabelledFile(path, name, place.name, found)


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
                name, group = bare_name(row["file"]), row["group"]
                if found.setdefault(name, group) != group:
                    raise ValueError(f"{name} has two groups")
    except KeyError as error:
        raise SweettokError(f"{path} has no column {error}; it needs file and group.") from error
    except (OSError, UnicodeDecodeError, ValueError, AttributeError, csv.Error) as error:
        raise SweettokError(
            f"{path} is no list of groups ({error}); give a CSV of file and group."
        ) from error
    return found
