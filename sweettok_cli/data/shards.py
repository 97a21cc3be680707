"""Tar shards in WebDataset's layout: their members, the index that may lie beside them, names in braces."""

from __future__ import annotations

import itertools
import json
import math
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sweettok_cli.data.entry import Codes, Entry, Facts
from sweettok_cli.data.members import scanned
from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.files import atomic_output, is_text, read_json

SHARD = ".tar"
_INDEX, _VERSION = ".index.json", 1
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST_NAMES = 1_000_000
_LONGEST_NAME = 4096
_BLOCK = 512  # bytes of a header
_MOST = 1_000_000_000  # frames, pixels, frames a second


@dataclass(frozen=True)
class Member:
    """What an index says of one member of a shard."""

    name: str
    offset: int  # of its bytes in the shard
    size: int
    frames: int
    rate: float  # frames a second
    width: int
    height: int
    codes: Sequence[int] = ()  # offset and size of the file of its codes, where they are packed, too


@dataclass(frozen=True)
class Packed:
    """One clip that becomes a member of a shard, with its codes behind it if it has any."""

    file: Path
    codes: Path | None
    member: Member  # but for its offset, and where its codes will lie


def index_of(shard: Path) -> Path:
    """Where the index of a shard lies, if it has one."""
    return shard.with_suffix(_INDEX)


def write_shard(shard: Path, clips: Sequence[Packed], teacher: str = "") -> None:
    """Write a shard of these clips, and its index; the same clips give the same bytes.

    ``teacher`` is the SHA-256 of the weights whose codes they are.

    Raises:
        SweettokError: it cannot be written.
    """
    index_of(shard).unlink(missing_ok=True)
    with atomic_output(shard, force=True) as part:
        with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as archive:
            for clip in clips:
                for file, name in ((clip.file, clip.member.name), (clip.codes, _codes_of(clip.member.name))):
                    if file is not None:
                        header = tarfile.TarInfo(name)
                        header.size = file.stat().st_size
                        with open(file, "rb") as stream:
                            archive.addfile(header, stream)
        with tarfile.open(part) as archive:
            places = {member.name: (member.offset_data, member.size) for member in archive}
        size = part.stat().st_size
    members = [
        replace(m, offset=places[m.name][0], codes=places.get(_codes_of(m.name), ()))
        for m in (clip.member for clip in clips)
    ]
    with atomic_output(index_of(shard), force=True) as part:
        part.write_text(as_index(members, size, teacher), encoding="utf-8")


def _codes_of(name: str) -> str:
    """What the codes of a member are called: the same sample, as WebDataset sees it."""
    return str(Path(name).with_suffix(".codes.npy"))


def as_index(members: Sequence[Member], size: int, teacher: str = "") -> str:
    """The index of a shard of ``size`` bytes, as JSON; ``teacher`` says whose codes there are, if any."""
    clips = [{name: value for name, value in vars(member).items() if value != ()} for member in members]
    document = {"sweettok_index": _VERSION, "bytes": size, "teacher": teacher, "clips": clips}
    return json.dumps(document, ensure_ascii=False) + "\n"


def shard_entries(shard: Path, on_end: Callable[[str], None] | None = None) -> list[Entry]:
    """The clips and pictures of a shard: out of its index where it has one, else out of its headers.

    ``on_end`` is that of :func:`~sweettok_cli.data.members.scanned`.

    Raises:
        SweettokError: it is no tar file, or its index is not of this file.
    """
    if not index_of(shard).exists():
        return scanned(shard, on_end)
    path = index_of(shard)
    remedy = "delete it, or pack the clips again"
    document = read_json(path, remedy)
    try:
        size = shard.stat().st_size
        if document["sweettok_index"] != _VERSION:
            raise ValueError(f"it is of version {brief(document['sweettok_index'])}")
        if document["bytes"] != size:
            raise ValueError(f"it is of a shard of {brief(document['bytes'])} bytes, and this one has {size}")
        teacher = document.get("teacher", "")
        if not isinstance(teacher, str):
            raise ValueError(f"it names the teacher {brief(teacher)}")
        return [_entry(shard, one, size, teacher) for one in document["clips"]]
    except KeyError as error:
        raise SweettokError(f"{path} is no index of {shard.name} (no {error}); {remedy}.") from error
    except (OSError, ValueError, TypeError) as error:
        raise SweettokError(f"{path} is no index of {shard.name} ({error}); {remedy}.") from error


def _entry(shard: Path, values: Any, size: int, teacher: str) -> Entry:
    """One clip of an index, of which nothing is believed."""
    member = Member(**values)
    codes = list(member.codes)
    whole = (member.offset, member.size, member.frames, member.width, member.height, *codes)
    if not is_text(member.name, _LONGEST_NAME) or any(type(number) is not int for number in whole):
        raise ValueError(f"it has the clip {brief(values)}")
    rate = type(member.rate) in (int, float) and 0 < member.rate <= _MOST
    counts = all(1 <= number <= _MOST for number in (member.frames, member.width, member.height))
    places = [(member.offset, member.size), *([(codes[0], codes[1])] if len(codes) == 2 else [])]
    inside = all(offset >= _BLOCK and 0 <= long <= size - offset for offset, long in places)
    if not (rate and counts and inside and len(codes) in (0, 2)):
        raise ValueError(f"it has the clip {brief(values)}")
    facts = Facts(member.frames, member.rate)
    found = Entry(member.name, shard, member.offset, member.size, facts=facts)
    if not codes or not teacher or member.width != member.height:
        return found
    return replace(found, codes=Codes(codes[0], codes[1], teacher, member.width))


def spelt_out(pattern: str) -> list[str]:
    """The names that ``clips-{000..003}.tar`` or ``{train,more}.tar`` stands for; itself without braces.

    Raises:
        SweettokError: it stands for more than a million.
    """
    pieces = _BRACES.split(pattern)  # every second one stood in braces
    choices = [list(_choices(piece)) if at % 2 else [piece] for at, piece in enumerate(pieces)]
    if math.prod(map(len, choices)) > _MOST_NAMES:
        raise SweettokError(f"{pattern} stands for more than {_MOST_NAMES} files; name fewer at once.")
    return ["".join(parts) for parts in itertools.product(*choices)]


def _choices(inside: str) -> Iterator[str]:
    """What a pair of braces stands for: numbers as wide as the first one, or what commas part."""
    ends = _RANGE.fullmatch(inside)
    if ends is None:
        yield from inside.split(",") if "," in inside else [f"{{{inside}}}"]
        return
    for number in itertools.islice(range(int(ends[1]), int(ends[2]) + 1), _MOST_NAMES + 1):
        yield str(number).zfill(len(ends[1]))
