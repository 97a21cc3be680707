"""Whether a file is as long as its own headers say."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO


def missing_bytes(path: Path) -> int:
    """How many bytes the file is shorter than its headers say; 0 where it is whole or its kind does not say.

    Knows MP4 and MOV (ISO/IEC 14496-12: boxes), AVI and other RIFF (the chunk's size), Matroska and WebM (RFC
    8794: the segment's size). A file that was being streamed states none and counts as whole.
    """
    length = path.stat().st_size
    with open(path, "rb") as stream:
        head = stream.read(12)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            end = _boxes_end(stream, length)
        elif head[:4] == b"RIFF":
            end = 8 + int.from_bytes(head[4:8], "little")
        elif head[:4] == b"\x1a\x45\xdf\xa3":
            end = _segment_end(stream)
        else:
            end = 0
    return max(0, end - length)


def _boxes_end(stream: BinaryIO, length: int) -> int:
    position = 0
    while position + 8 <= length:
        stream.seek(position)
        head = stream.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8:
            # 0: the box goes on to the end of the file. Others: padding after the last box.
            return 0
        if position + size > length and kind not in (b"moov", b"mdat", b"moof", b"mfra", b"free"):
            return 0
        position += size
    return position


def _segment_end(stream: BinaryIO) -> int:
    stream.seek(4)
    size = _vint(stream)
    if size is None:
        return 0
    stream.seek(size, 1)
    if stream.read(4) != b"\x18\x53\x80\x67":
        return 0
    size = _vint(stream)
    return 0 if size is None else stream.tell() + size


def _vint(stream: BinaryIO) -> int | None:
    """An EBML number; None where it says "unknown"."""
    first = stream.read(1)
    if not first or first[0] == 0:
        return None
    width = 9 - first[0].bit_length()
    value = int.from_bytes(first + stream.read(width - 1), "big") & ((1 << 7 * width) - 1)
    return None if value == (1 << 7 * width) - 1 else value
