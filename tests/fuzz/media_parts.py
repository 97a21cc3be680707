"""The parts that media files are made of: left out, repeated, moved, put in, other numbers in them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from random import Random

from .mutation import NUMBERS, damaged


def changed_media(data: bytes, random: Random, others: list[bytes]) -> bytes:
    """A media file after something has happened to its bytes or its parts, or another text in its place."""
    what = random.random()
    if what < 0.02:
        return random.choice(_LISTS).encode()
    if what < 0.05:
        return data + random.choice(others)
    parts = next((split(data) for mark, split in _SPLITTERS if data[mark[0] :].startswith(mark[1])), None)
    if parts is None or random.random() < 0.5:
        return damaged(data, random, others)
    places = [list(span) for span in parts]
    at = random.randrange(len(places))
    begin, end = places[at]
    part = data[begin:end]
    what = random.random()
    if what < 0.2:
        return data[:begin] + data[end:]
    if what < 0.4:
        return data[:end] + part * random.choice((1, 2, 50)) + data[end:]
    if what < 0.55:
        to, _ = random.choice(places)
        rest = data[:begin] + data[end:]
        return rest[:to] + part + rest[to:]
    if what < 0.7 and data[4:8] == b"ftyp":
        return _with_box(data, [(a, b) for a, b in parts], random)
    if what < 0.8 and data.startswith(_MATROSKA):
        return _with_value(data, begin, end, random)
    if what < 0.9 and data.startswith(_MATROSKA):
        return _with_element(data, [(a, b) for a, b in parts], random)
    inner = bytearray(part)
    for _ in range(random.choice((1, 1, 2))):
        # Numbers lie behind the size and the name of a part.
        place = random.randrange(min(len(inner), 128)) if inner else 0
        place, size = (place // 4 * 4 if random.random() < 0.5 else place), random.choice((1, 2, 4, 8))
        value = random.choice(NUMBERS) & ((1 << 8 * size) - 1)
        number = value.to_bytes(size, random.choice(("big", "little")))
        inner[place : place + size] = number[: len(inner) - place]
    if data.startswith(b"\x89PNG"):
        inner[-4:] = struct.pack(">I", zlib.crc32(bytes(inner[4:-4])))
    return data[:begin] + bytes(inner) + data[end:]


#: Texts that name other files, which nobody may open.
_LISTS = (
    "ffconcat version 1.0\nfile /etc/hostname\n",
    "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    "#EXTM3U\n#EXTINF:1,\n/dev/zero\n",
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period/></MPD>',
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="/etc/hostname"/></svg>',
    "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/hostname) run\n",
    ";FFMETADATA1\ntitle=x\n",
    "\x1b[31mtext\x1b[0m\n" * 30,
)


def _with_box(data: bytes, spans: list[tuple[int, int]], random: Random) -> bytes:
    """One more box at the end of another, all of whose parents grow by it."""
    numbers = [random.choice(NUMBERS) & 0xFFFFFFFF for _ in range(8)]
    kind, count = random.choice(
        ((b"pasp", 2), (b"clap", 8), (b"colr", 3), (b"elst", 5), (b"free", 1), (b"trak", 0))
    )
    if random.random() < 0.5:
        numbers = [random.randrange(1, 60) for _ in range(8)]
    box = (8 + 4 * count).to_bytes(4, "big") + kind + struct.pack(f">{count}I", *numbers[:count])
    begin, end = random.choice(
        [span for span in spans if data[span[0] + 4 : span[0] + 8] in _SKIPPED] or spans
    )
    found = bytearray(data)
    for a, b in spans:
        if a <= begin and end <= b:
            found[a : a + 4] = (b - a + len(box)).to_bytes(4, "big")
    found[end:end] = box
    return bytes(found)


def _with_value(data: bytes, begin: int, end: int, random: Random) -> bytes:
    """Another number of as many bytes as the value of an element."""
    body = _body(data, begin)
    size = end - body
    number = random.choice(NUMBERS) & ((1 << 8 * size) - 1) if size <= 8 else 0
    return data[:body] + number.to_bytes(size, "big") + data[end:] if size <= 8 else data[:body] + data[end:]


def _body(data: bytes, begin: int) -> int:
    """Where the value of an element begins."""
    size = begin + 9 - data[begin].bit_length()
    return size + 9 - data[size].bit_length()


def _with_element(data: bytes, spans: list[tuple[int, int]], random: Random) -> bytes:
    """One more element of a video track, whose parents grow by it where their sizes have room."""
    value = random.choice((*NUMBERS, *range(40))) & 0xFFFFFFFF
    element = bytes.fromhex(random.choice(_OF_VIDEO)) + b"\x84" + value.to_bytes(4, "big")
    tracks = [span for span in spans if data[span[0]] == 0xE0] or spans
    begin, end = random.choice(tracks)
    found = bytearray(data)
    for a, b in spans:
        if a <= begin and end <= b:
            size = a + 9 - data[a].bit_length()
            width = 9 - data[size].bit_length()
            grown = b - _body(data, a) + len(element)
            if grown < (1 << 7 * width) - 1:
                found[size : size + width] = (grown | 1 << 7 * width).to_bytes(width, "big")
    found[end:end] = element
    return bytes(found)


_MATROSKA = b"\x1a\x45\xdf\xa3"
#: Cropping, size and shape of what is shown, interlacing, depth, alpha, a turn.
_OF_VIDEO = (
    *("54aa", "54bb", "54cc", "54dd", "54b0", "54ba", "54b2", "9a", "53b8", "53c0", "b0", "ba"),
    *("7675", "7671", "55b1", "55ba", "55b9", "23e383"),
)
#: How far into boxes their inner ones begin.
_SKIPPED = {
    **dict.fromkeys((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"moof", b"traf"), 8),
    **dict.fromkeys((b"edts", b"dinf", b"mvex", b"iprp", b"ipco"), 8),
    **{b"meta": 12, b"stsd": 16},
    **dict.fromkeys((b"avc1", b"hev1", b"hvc1", b"mp4v", b"jpeg", b"ap4h", b"ap4x"), 86),
}


def _boxes(data: bytes, begin: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Boxes of MP4, MOV, HEIC and AVIF, the inner ones too."""
    end = len(data) if end is None else end
    while begin + 8 <= end:
        size = int.from_bytes(data[begin : begin + 4], "big")
        if not 8 <= size <= end - begin:
            return
        yield begin, begin + size
        kind = data[begin + 4 : begin + 8]
        if kind in _SKIPPED:
            yield from _boxes(data, begin + _SKIPPED[kind], begin + size)
        begin += size


def _riff(data: bytes, begin: int = 12, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Chunks of AVI, WebP and WAV."""
    end = len(data) if end is None else end
    while begin + 8 <= end:
        size = 8 + int.from_bytes(data[begin + 4 : begin + 8], "little")
        if size > end - begin:
            return
        yield begin, begin + size
        if data[begin : begin + 4] == b"LIST":
            yield from _riff(data, begin + 12, begin + size)
        begin += size + size % 2


def _png(data: bytes) -> Iterator[tuple[int, int]]:
    begin = 8
    while begin + 12 <= len(data):
        size = 12 + int.from_bytes(data[begin : begin + 4], "big")
        yield begin, begin + size
        begin += size


def _elements(data: bytes, begin: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Elements of Matroska and WebM, the inner ones too."""
    end = len(data) if end is None else end
    while begin + 2 <= end and data[begin]:
        name = 9 - data[begin].bit_length()
        first = data[begin + name] if begin + name < end else 0
        if not first:
            return
        width = 9 - first.bit_length()
        value = int.from_bytes(data[begin + name : begin + name + width], "big") & ((1 << 7 * width) - 1)
        body = begin + name + width
        if value == (1 << 7 * width) - 1:
            value = end - body
        if value > end - body:
            return
        yield begin, body + value
        # Segment, cluster, tracks, track, video, audio, cues, block group.
        if data[begin : begin + name].hex() in {
            *("18538067", "1f43b675", "1654ae6b", "ae", "e0", "e1", "1c53bb6b", "a0", "1549a966"),
        }:
            yield from _elements(data, body, body + value)
        begin = body + value


def _every(size: int) -> Callable[[bytes], Iterator[tuple[int, int]]]:
    return lambda data: ((begin, begin + size) for begin in range(0, len(data) - size + 1, size))


def _marked(mark: bytes) -> Callable[[bytes], Iterator[tuple[int, int]]]:
    """From mark to mark."""

    def split(data: bytes) -> Iterator[tuple[int, int]]:
        begin = data.find(mark)
        while begin >= 0:
            following = data.find(mark, begin + len(mark))
            yield begin, following if following >= 0 else len(data)
            begin = following

    return split


_SPLITTERS: tuple[tuple[tuple[int, bytes], Callable[[bytes], Iterator[tuple[int, int]]]], ...] = (
    ((4, b"ftyp"), lambda data: list(_boxes(data))),
    ((0, b"RIFF"), lambda data: list(_riff(data))),
    ((0, b"\x89PNG"), lambda data: list(_png(data))),
    ((0, _MATROSKA), lambda data: list(_elements(data))),
    ((0, b"\x47"), lambda data: list(_every(188)(data))),
    ((0, b"\xff\xd8"), lambda data: list(_marked(b"\xff")(data))),
    ((0, b"GIF8"), lambda data: list(_marked(b"\x21\xf9")(data))),
    ((0, b"\0\0\0\x01"), lambda data: list(_marked(b"\0\0\0\x01")(data))),
    ((0, b"\0\0\x01\xba"), lambda data: list(_marked(b"\0\0\x01")(data))),
    ((0, b"II*\0"), lambda data: list(_every(12)(data))),
    ((0, b"OggS"), lambda data: list(_marked(b"OggS")(data))),
)
