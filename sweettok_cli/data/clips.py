"""The clips of a training set, findable at random: files of folders, members of tar shards, rows of lists."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from sweettok_cli.data.entry import Entry
from sweettok_cli.data.lists import is_list, listed
from sweettok_cli.data.members import compressed_tar
from sweettok_cli.data.runs import is_of_run
from sweettok_cli.data.shards import SHARD, shard_entries, spelt_out
from sweettok_cli.errors import SweettokError
from sweettok_cli.video.source import MEDIA, find_files


def find_entries(paths: Sequence[Path], what: str = "training data") -> list[Entry]:
    """All clips and pictures that ``paths`` lead to, in a fixed order.

    They are folders, tar shards, lists (:func:`sweettok_cli.data.lists.listed`) and single files, or several
    at once by braces, as in ``clips-{000..003}.tar``. Folders of runs below a folder are not entered.
    ``what`` they are is for errors.

    Raises:
        SweettokError: a path does not exist, a shard is not a tar file, a list is wrong, or nothing is found.
    """
    entries = [entry for path in _spelt_out(paths, what) for entry in _below(path)]
    if not entries:
        raise SweettokError(
            f"No clips found in {', '.join(map(str, paths))}; give a folder of videos, images or tar shards."
        )
    return entries


def without(entries: Sequence[Entry], aside: Sequence[Entry]) -> list[Entry]:
    """The entries that share no moment with one ``aside``, in their order.

    Two are of one clip if they are the same file, links followed, or the same member of the same shard; of
    one clip, parts that do not overlap share nothing.
    """
    real = cache(os.path.realpath)
    taken: dict[tuple[str, int], list[Entry]] = defaultdict(list)
    for entry in aside:
        taken[real(entry.path), entry.offset].append(entry)
    return [
        entry
        for entry in entries
        if not any(
            entry.start < other.end and other.start < entry.end
            for other in taken.get((real(entry.path), entry.offset), ())
        )
    ]


def _spelt_out(paths: Sequence[Path], what: str) -> Iterator[Path]:
    for path in paths:
        if path.exists():
            yield path
            continue
        named = [Path(name) for name in spelt_out(str(path))]
        missing = [one for one in named if not one.exists()]
        if missing and named != [path]:
            few = f"{len(missing)} of the {len(named)} files that {path} stands for do not exist"
            raise SweettokError(f"{few}, the first is {missing[0]}; name those that there are.")
        if missing:
            how = "give a folder of clips, tar shards or a list"
            raise SweettokError(f"The {what} {path} do not exist; {how}.")
        yield from named


def _below(path: Path) -> Iterator[Entry]:
    if path.is_dir():
        for file in find_files(path, {SHARD, *MEDIA}, closed=is_of_run):
            if file.suffix.lower() == SHARD:
                yield from shard_entries(file)
            else:
                yield Entry(str(file.relative_to(path)), file)
    elif path.suffix.lower() == SHARD:
        yield from shard_entries(path)
    elif is_list(path):
        yield from listed(path)
    elif path.suffix.lower() in MEDIA:
        yield Entry(path.name, path)
    elif (why := compressed_tar(path)) is not None:
        raise SweettokError(why)
