"""What the bytes of a container prove of its wholeness: where it is cut short, and where it is damaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

from sweettok_cli.video.source import File, length_of

_EBML, SEGMENT, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_MARK = CLUSTER.to_bytes(4, "big")
# Elements of Matroska (RFC 9559, 5.1): Void and CRC-32 anywhere, those of a segment, those of a cluster.
_ANYWHERE = {0xEC, 0xBF}
_IN_SEGMENT = {0x114D9B74, 0x1549A966, 0x1654AE6B, CLUSTER, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367}
_IN_CLUSTER = {0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF}
_TOP_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MOST_DAMAGE = 1000  # places that are told apart
_CHUNK = 1 << 20
_LONGEST_HEAD = 12  # bytes of an element's id and size
_NOT_READ_ON = (b"FLV\1", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"\x1a\x45\xdf\xa3")
# Bytes that begin a kind of file, and those that end it.
_ENDS = ((b"GIF8", b";"), (b"\xff\xd8\xff", b"\xff\xd9"), (b"\x89PNG", b"IEND\xaeB`\x82"))


@dataclass(frozen=True)
class Structure:
    """How far a container's bytes are what they should be."""

    damage: tuple[int, ...] = ()  # where something lies that belongs to no element; reading goes on behind it
    stop: int | None = None  # where something lies behind which nothing can be found
    cut: bool = False  # the last element ends beyond the file's end


def missing_bytes(path: File) -> int:
    """How many bytes the file is shorter than its headers say; 0 where it is whole or its kind does not say.

    Knows MP4 and MOV (ISO/IEC 14496-12: boxes), AVI and other RIFF (the chunk's size), Matroska and WebM (RFC
    8794: the segment's size). A file that was being streamed states none and counts as whole.
    """
    length = length_of(path)
    with path.open("rb") as stream:
        head = stream.read(12)
        if head[4:8] in _TOP_BOXES:
            end = _boxes(stream, length)[0]
        elif head[:4] == b"RIFF":
            end = 8 + int.from_bytes(head[4:8], "little")
        elif head[:4] == _EBML.to_bytes(4, "big"):
            end = _segment(stream)[1] or 0
        else:
            end = 0
    return max(0, end - length)


def check_structure(path: File, thorough: bool = False) -> Structure:
    """Look for the end of a file that states no length, and for damage between its elements.

    Of Matroska and WebM the elements are gone through where ``thorough``, or where they state no length: one
    small read a frame. Of MPEG-TS, FLV and Ogg only the end is looked at; libav marks damage before it.
    """
    length = length_of(path)
    with path.open("rb") as stream:
        head = stream.read(256)
        if head[4:8] in _TOP_BOXES:
            return Structure(stop=_boxes(stream, length)[1])
        if head[:4] == _EBML.to_bytes(4, "big"):
            start, end = _segment(stream)
            return _matroska(stream, start, length) if thorough or end is None else Structure()
        if packet := packet_size(head):
            return Structure(cut=length % packet != 0)
        if head[:3] == b"FLV":
            return Structure(cut=not _whole_flv(stream, length))
        if head[:4] == b"OggS":
            return Structure(cut=not _whole_ogg(stream, length))
        for begins, ends in _ENDS:
            if head.startswith(begins):
                stream.seek(max(0, length - 64))
                return Structure(cut=not stream.read().rstrip(b"\0\r\n").endswith(ends))
    return Structure()


def begins_again(path: File, after: int) -> int | None:
    """Where behind byte ``after`` another file of the same kind begins, as ``cat a.mp4 b.mp4`` leaves it.

    Of MP4, FLV, ASF and Matroska, of which libav reads no more than the first or the first two.
    """
    with path.open("rb") as stream:
        head = stream.read(_LONGEST_HEAD)
        if not (head[4:8] == b"ftyp" or head.startswith(_NOT_READ_ON)):
            return None
        length = length_of(path)
        found = _find(stream, head, max(after, 1), length)
    return None if found == length else found


def _boxes(stream: IO[bytes], length: int) -> tuple[int, int | None]:
    """Where the last box of an MP4 ends, 0 where that is unsure; and where something lies that is no box."""
    position = 0
    while position + 8 <= length:
        stream.seek(position)
        head = stream.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if not all(32 <= letter < 127 or letter == 169 for letter in kind):
            stream.seek(position)
            padding = not any(stream.read(_CHUNK))  # after the last box
            return 0, None if padding else position
        if size < 8:
            return 0, None  # 0: the box goes on to the end of the file
        if position + size > length and kind not in (b"moov", b"mdat", b"moof", b"mfra", b"free"):
            return 0, None
        position += size
    return position, None


def _segment(stream: IO[bytes]) -> tuple[int, int | None]:
    """Where the first element of a Matroska segment begins, and where it says that it ends."""
    stream.seek(4)
    try:
        stream.seek(ebml_number(stream) or 0, 1)
        if ebml_number(stream, marked=True) != SEGMENT:
            return 0, 0
        size = ebml_number(stream)
    except EOFError:
        return 0, 0
    return stream.tell(), None if size is None else stream.tell() + size


def ebml_number(stream: IO[bytes], marked: bool = False) -> int | None:
    """A variable-size integer (RFC 8794, 4), None where it says "unknown"; or an id, which keeps its marker.

    Raises:
        EOFError: there is none.
    """
    first = stream.read(1)
    if not first or not first[0]:
        raise EOFError
    width = 9 - first[0].bit_length()
    rest = stream.read(width - 1)
    if len(rest) < width - 1:
        raise EOFError
    value = int.from_bytes(first + rest, "big")
    if marked:
        return value
    value &= (1 << 7 * width) - 1
    return None if value == (1 << 7 * width) - 1 else value


def _matroska(stream: IO[bytes], position: int, length: int) -> Structure:
    """Go through the elements of a segment and of its clusters, from ``position`` to the file's end."""
    damage: list[int] = []
    cluster: int | None = 0  # where the one that is gone through ends; 0 outside, None where it states no end
    while position < length and len(damage) < _MOST_DAMAGE:
        if cluster and position >= cluster:
            cluster = 0
        stream.seek(position)
        try:
            kind, size = ebml_number(stream, marked=True), ebml_number(stream)
        except EOFError:
            if length - position < _LONGEST_HEAD:
                return Structure(tuple(damage), cut=any(_bytes(stream, position, length)))
            kind, size = None, None
        start = stream.tell()
        if cluster is None and kind in _IN_SEGMENT:
            cluster = 0
        if kind == CLUSTER and cluster == 0:
            position, cluster = start, None if size is None else start + size
            continue
        known = kind in _ANYWHERE or kind in (_IN_SEGMENT if cluster == 0 else _IN_CLUSTER)
        if known and size is not None and (not cluster or start + size <= cluster):
            if start + size > length:
                return Structure(tuple(damage), cut=True)
            position = start + size
            continue
        damage.append(position)
        position, cluster = _find(stream, _MARK, position + 1, length), 0
    return Structure(tuple(damage))


def _find(stream: IO[bytes], mark: bytes, position: int, length: int) -> int:
    """Where ``mark`` lies behind ``position``; the file's ``length`` where it does not."""
    while position < length:
        found = _bytes(stream, position, position + _CHUNK).find(mark)
        if found >= 0:
            return position + found
        position += _CHUNK - len(mark) + 1
    return length


def _bytes(stream: IO[bytes], start: int, end: int) -> bytes:
    stream.seek(start)
    return stream.read(end - start)


def packet_size(head: bytes) -> int:
    """Of MPEG-TS, also with time stamps before each packet or checksums after it; 0 for other files."""
    for size, first in ((188, 0), (192, 4), (204, 0)):
        if len(head) > first + size and head[first] == head[first + size] == 0x47:
            return size
    return 0


def _whole_flv(stream: IO[bytes], length: int) -> bool:
    """Whether the file ends with the size of the tag before, which begins where that says."""
    size = int.from_bytes(_bytes(stream, length - 4, length), "big")
    start = length - 4 - size
    return (
        size >= 11 and start >= 9 and int.from_bytes(_bytes(stream, start + 1, start + 4), "big") == size - 11
    )


def _whole_ogg(stream: IO[bytes], length: int) -> bool:
    """Whether the last page (RFC 3533, 6) ends where the file does."""
    tail = _bytes(stream, max(0, length - (1 << 17)), length)
    page = tail[tail.rfind(b"OggS") :]
    return len(page) > 26 and len(page) == 27 + page[26] + sum(page[27 : 27 + page[26]])
