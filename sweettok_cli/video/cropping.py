"""The part of the stored picture that a container says is shown: Matroska's crop, MP4's clean aperture."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import IO, NamedTuple

from sweettok_cli.video.structure import ebml_number

# Elements of Matroska (RFC 9559, 5.1) that lead to a video track's cropping.
_SEGMENT, _TRACKS, _ENTRY, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_EDGES = {0x54BB: "top", 0x54AA: "bottom", 0x54CC: "left", 0x54DD: "right"}
# Boxes of MP4 (ISO/IEC 14496-12) that lead to a sample entry, whose own fields are 78 bytes long.
_BOXES = ("moov", "trak", "mdia", "minf", "stbl", "stsd")
_ENTRY_FIELDS = 78
_MOST = 1 << 16  # elements looked at


class Cropping(NamedTuple):
    """Pixels of the stored picture that are not shown, from each side."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


NOTHING = Cropping()


def container_cropping(stream: IO[bytes], width: int, height: int) -> Cropping:
    """What the header of a file says is cut off pictures of ``width`` x ``height``.

    Files whose first track with a picture is not the one that is read are taken at their first track's word.
    """
    stream.seek(0)
    head = stream.read(12)
    try:
        if head[:4] == b"\x1a\x45\xdf\xa3":
            found = _matroska(stream)
        elif head[4:8] in (b"ftyp", b"moov", b"wide", b"free", b"skip", b"mdat"):
            found = _mp4(stream, width, height)
        else:
            found = NOTHING
    except (struct.error, EOFError, ZeroDivisionError):
        found = NOTHING
    sides = found.left + found.right < width and found.top + found.bottom < height and min(found) >= 0
    return found if sides else NOTHING


def _matroska(stream: IO[bytes]) -> Cropping:
    stream.seek(0, 2)
    stack = [(0, stream.tell())]
    edges: dict[str, int] = {}
    for _ in range(_MOST):
        if not stack:
            break
        position, end = stack.pop()
        if position >= end:
            continue
        stream.seek(position)
        kind, size = ebml_number(stream, marked=True), ebml_number(stream)
        start = stream.tell()
        unknown = size is None
        following = end if unknown else start + (size or 0)
        stack.append((following, end))
        if kind in (_SEGMENT, _TRACKS, _ENTRY, _VIDEO):
            stack.append((start, min(following, end)))
            if kind == _VIDEO:
                stack = [stack[-1]]  # nothing else counts any more
        elif kind in _EDGES and size and size <= 8:
            edges[_EDGES[kind]] = int.from_bytes(stream.read(size), "big")
    return Cropping(**edges)


def _mp4(stream: IO[bytes], width: int, height: int) -> Cropping:
    stream.seek(0, 2)
    for start, end in _find(stream, 0, stream.tell(), _BOXES):
        entry = next(_boxes(stream, start + 8, end), None)  # after version, flags and count
        if entry is None:
            continue
        for kind, inner, _ in _boxes(stream, entry[1] + _ENTRY_FIELDS, entry[2]):
            if kind == "clap":
                stream.seek(inner)
                values = struct.unpack(">8i", stream.read(32))
                wide, high, right, down = (Fraction(values[i], values[i + 1]) for i in (0, 2, 4, 6))
                left = round((width - wide) / 2 + right)
                top = round((height - high) / 2 + down)
                return Cropping(top, height - top - round(high), left, width - left - round(wide))
    return NOTHING


def _find(stream: IO[bytes], start: int, end: int, path: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Insides of the boxes that lie at the end of ``path``."""
    if not path:
        yield start, end
        return
    for kind, inner, last in _boxes(stream, start, end):
        if kind == path[0]:
            yield from _find(stream, inner, last, path[1:])


def _boxes(stream: IO[bytes], start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Kind, beginning and end of the insides of each box between two places of a file."""
    for _ in range(_MOST):
        if start + 8 > end:
            return
        stream.seek(start)
        head = stream.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8].decode("latin-1")
        inner = start + 8
        if size == 1:
            size, inner = int.from_bytes(head[8:16], "big"), start + 16
        last = end if size == 0 else start + size
        if last <= inner - 1 or last > end:
            return
        yield kind, inner, last
        start = last
