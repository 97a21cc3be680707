"""Lists of clips: text files of names, CSV and JSONL with a column or key that names files."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from sweettok_cli.data.entry import Entry
from sweettok_cli.data.shards import SHARD, shard_entries, spelt_out
from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.files import is_file, is_folder, open_regular
from sweettok_cli.video.remote import RemoteFile, is_url
from sweettok_cli.video.source import MEDIA

#: Columns of a table and keys of an object that name a clip, the first that names a file first.
NAMES = ("path", "video", "file", "videos", "filename", "file_name", "image", "picture")
_START, _END, _SHARD = "start", "end", "shard"
_LATEST = 1e9  # seconds


@dataclass(frozen=True)
class _Row:
    """One clip, or shard of clips, that a list names."""

    line: int
    names: tuple[str, ...]  # that it may have, in the order in which they are tried
    start: float = 0.0
    end: float = math.inf
    shard: str = ""  # of which it is a member
    remark: bool = False  # unless there is such a file


def is_list(path: Path) -> bool:
    """Whether a name is that of a list."""
    return path.suffix.lower() in _READERS


def listed(file: Path) -> list[Entry]:
    """The clips that a list names, in its order; one that is not there is one that cannot be read.

    Names are looked for beside the list, above it and in the folders there; addresses are of no list.

    Raises:
        SweettokError: it cannot be read, has a line that is none of its kind, or names shards, or no
            clips but such, that are not there.
    """
    beside, above = file.absolute().parent, file.absolute().parent.parent
    roots = [beside, above, *sorted(folder for folder in above.iterdir() if folder.is_dir())]
    members = cache(lambda shard: {entry.name: entry for entry in shard_entries(shard)})
    entries: list[Entry] = []
    missing: list[tuple[str, int]] = []
    strange: list[tuple[str, int]] = []  # likewise, and no name of a clip: perhaps it is no list
    for row in _rows(file):
        if row.remark and not any(is_file(root / name) for root in roots for name in row.names):
            continue
        if not row.shard and any(map(is_list, map(Path, row.names))):
            raise SweettokError(
                f"{file}, line {row.line}, names another list, {brief(row.names[0])}; give that by itself."
            )
        found = list(_found(row, roots, members))
        if not found:
            name = f"{row.shard} with {row.names[-1]}" if row.shard else row.names[-1]
            here = f"line {row.line} of {file.name} names it"
            why = f"cannot be found, and {here}; correct the list"
            if is_url(name):
                name = str(RemoteFile(name))  # of which parts may be secret
                why = f"is an address, and {here}; fetch the file, and name that"
            elif not row.shard and any(is_folder(root / each) for root in roots for each in row.names):
                why = f"is a folder, and {here}; name the files in it"
            elif not _is_clip(row.names[-1]):
                strange.append((name, row.line))
                continue
            missing.append((name, row.line))
            found = [Entry(name, file, lacking=why)]
        entries += [replace(entry, start=row.start, end=row.end) for entry in found]
    if strange or (missing and len(missing) == len(entries)):
        missing = strange + missing
        (name, line), more = missing[0], f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        how = f"line {line}; put the list beside the folder of the clips"
        if is_url(name):
            how = f"line {line}; it is an address, and lists name files: fetch it, or encode it by itself"
        raise SweettokError(f"{file} names {name}{more}, which cannot be found: {how}.")
    return entries


def _is_clip(name: str) -> bool:
    """Whether a name is that of one clip, and not of a shard or of several."""
    return Path(name).suffix.lower() in MEDIA and spelt_out(name) == [name]


def _found(row: _Row, roots: list[Path], members: Callable[[Path], Mapping[str, Entry]]) -> Iterator[Entry]:
    """What a row means; nothing where it is not there, or not all of it."""
    if row.shard:
        shards = (root / row.shard for root in roots)
        shard = next((path for path in shards if is_file(path)), None)
        held = {} if shard is None else members(shard)
        yield from [held[name] for name in row.names if name in held][:1]
        return
    places = ((root, name) for root in roots for name in row.names)
    root, name = next(((r, n) for r, n in places if all(is_file(r / s) for s in spelt_out(n))), (None, ""))
    if root is None:
        return
    for one in spelt_out(name):
        path = root / one
        yield from shard_entries(path) if path.suffix.lower() == SHARD else [Entry(one, path)]


def _rows(file: Path) -> Iterator[_Row]:
    """The rows of a list of any kind."""
    try:
        with open_regular(file) as stream:
            text = stream.read().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SweettokError(
            f"{file} cannot be read as a list of clips ({error}); one name a line."
        ) from error
    # A line ends where an editor ends it, and not at any of the marks that texts may hold.
    return _READERS[file.suffix.lower()](file, io.StringIO(text, newline=None).read().split("\n"))


def _plain(file: Path, lines: list[str]) -> Iterator[_Row]:
    """One name a line, as UCF-101's lists have them (a class number may follow); ``#`` begins a remark."""
    for number, line in enumerate(map(str.strip, lines), 1):
        if line:
            names = dict.fromkeys((line, re.sub(r"\s+\d+$", "", line)))
            yield _Row(number, tuple(names), remark=line.startswith("#"))


def _table(file: Path, lines: list[str]) -> Iterator[_Row]:
    """A table with a header."""
    reader = csv.reader(lines, delimiter="\t" if file.suffix.lower() == ".tsv" else ",")
    header: list[str] = []
    try:
        for cells in reader:
            if not any(map(str.strip, cells)):
                continue
            if not header:
                header = [cell.strip().lower() for cell in cells]
                if not {*header} & {*NAMES}:
                    raise SweettokError(
                        f"{file}, line 1, has no column that names files ({brief(', '.join(header))}); call "
                        f"it one of {', '.join(NAMES[:3])}."
                    )
                continue
            if len(cells) != len(header):
                raise SweettokError(
                    f"{file}, line {reader.line_num}, has {len(cells)} cells, and the header {len(header)}; "
                    "put names with commas in quotes."
                )
            yield _row(file, reader.line_num, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise SweettokError(
            f"{file}, line {reader.line_num}, is no line of a table ({error}); correct it."
        ) from error


def _objects(file: Path, lines: list[str]) -> Iterator[_Row]:
    """One JSON object a line."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise ValueError("it is none")
        except (ValueError, RecursionError) as error:
            raise SweettokError(
                f'{file}, line {number}, is no JSON object ({error}); write {{"path": "clip.mp4"}}.'
            ) from error
        yield _row(file, number, {str(key).lower(): value for key, value in values.items()})


def _row(file: Path, line: int, values: Mapping[str, Any]) -> _Row:
    names = [value.strip() for name in NAMES if isinstance(value := values.get(name), str)]
    names = [name for name in dict.fromkeys(names) if name]
    if not names:
        raise SweettokError(f"{file}, line {line}, names no file; fill in one of {', '.join(NAMES[:3])}.")
    start = _seconds(file, line, _START, values.get(_START))
    end = _seconds(file, line, _END, values.get(_END))
    if start is not None and end is not None and end <= start:
        raise SweettokError(
            f"{file}, line {line}, ends at {end:g} s, and begins at {start:g} s; correct start or end."
        )
    shard = values.get(_SHARD)
    shard = shard.strip() if isinstance(shard, str) else ""
    return _Row(line, tuple(names), start or 0.0, math.inf if end is None else end, shard)


def _seconds(file: Path, line: int, name: str, value: Any) -> float | None:
    """Seconds in a cell or of a key; None where it is empty."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not 0 <= seconds <= _LATEST:
        raise SweettokError(
            f"{file}, line {line}: {name} = {brief(value)} is no number of seconds; write for example 1.5."
        )
    return seconds


_READERS: dict[str, Callable[[Path, list[str]], Iterator[_Row]]] = {
    ".txt": _plain,
    ".csv": _table,
    ".tsv": _table,
    ".jsonl": _objects,
    ".ndjson": _objects,
}
