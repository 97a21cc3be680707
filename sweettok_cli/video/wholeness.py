"""Whether bytes that come one after the other, never to be gone back to, end where a part of them does."""

from __future__ import annotations

import io
from collections.abc import Callable

from sweettok_cli.video.structure import CLUSTER, SEGMENT, ebml_number, packet_size

_HEAD = 512  # bytes that are kept of the beginning
_LONGEST = 16  # bytes in which a part's length is told
_GIVEN_UP = -1

#: Given the first bytes of a part, how many follow them; None where more bytes must tell.
_Length = Callable[[bytes], "int | None"]


class Wholeness:
    """Follows the parts of Matroska, MP4 and FLV, and counts the bytes of kinds whose parts are of one size.

    Attributes:
        seen: bytes so far.
    """

    def __init__(self) -> None:
        self.seen = 0
        self._head = b""
        self._length: _Length | None = None
        self._part = b""  # the first bytes of the part that is being followed
        self._left = 0  # bytes that still belong to it

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self.seen < _HEAD:
            before = len(self._head)
            self._head += data[: _HEAD - before]
            if before < _LONGEST <= len(self._head):
                self.seen += len(data)
                self._begin(self._head[:before] + data)
                return
        self.seen += len(data)
        self._follow(data)

    def is_cut(self, frame_bytes: int = 0) -> bool:
        """Whether what was fed ends in the middle of a part; not so where that cannot be told.

        ``frame_bytes`` is the size of a frame where all have one, as in YUV4MPEG2.
        """
        if self._head.startswith(b"YUV4MPEG2") and frame_bytes:
            begins = self._head.find(b"\n") + 1
            return begins > 0 and (self.seen - begins) % (len(b"FRAME\n") + frame_bytes) != 0
        if size := packet_size(self._head):
            return self.seen % size != 0
        return self._length is not None and (self._left > 0 or bool(self._part))

    def _begin(self, data: bytes) -> None:
        if data[:4] == b"\x1a\x45\xdf\xa3":
            self._length = _element
        elif data[4:8] == b"ftyp":
            self._length = _box
        elif data[:3] == b"FLV":
            self._length, self._left = _tag, 13
        self._follow(data)

    def _follow(self, data: bytes) -> None:
        place = 0
        while self._length is not None and place < len(data):
            if self._left:
                step = min(self._left, len(data) - place)
                self._left, place = self._left - step, place + step
                continue
            self._part += data[place : place + 1]
            place += 1
            left = self._length(self._part)
            if left is not None:
                self._part, self._left = b"", left
            if left == _GIVEN_UP or len(self._part) > _LONGEST:
                self._length = None


def _element(part: bytes) -> int | None:
    """Of Matroska (RFC 8794); what segments and clusters hold is followed itself."""
    stream = io.BytesIO(part)
    try:
        kind, size = ebml_number(stream, marked=True), ebml_number(stream)
    except EOFError:
        return None
    if kind in (SEGMENT, CLUSTER):
        return 0
    return _GIVEN_UP if size is None else size


def _box(part: bytes) -> int | None:
    """Of MP4 (ISO/IEC 14496-12, 4.2)."""
    size = int.from_bytes(part[:4], "big")
    if len(part) < (16 if size == 1 else 8):
        return None
    size = int.from_bytes(part[8:16], "big") if size == 1 else size
    return size - len(part) if size >= len(part) else _GIVEN_UP


def _tag(part: bytes) -> int | None:
    """Of FLV: its length behind its kind, and four bytes behind its data that say where it began."""
    return None if len(part) < 11 else int.from_bytes(part[1:4], "big") + 4
