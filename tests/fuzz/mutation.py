"""Ways to damage bytes and JSON, all drawn from one generator of random numbers."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

NUMBERS = (
    *(0, 1, -1, 2, 3, 7, 8, 16, 17, 63, 64, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536),
    *((1 << 24) - 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 62, (1 << 63) - 1),
    *(1 << 63, (1 << 64) - 1, 1 << 64, 10**30, -(1 << 31), -(1 << 63)),
)


def damaged(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """``data`` after one to four accidents; ``others`` are files that parts may be taken from."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 2, 4))):
        if not found:
            break
        random.choice(_ACCIDENTS)(found, random)
    if others and random.random() < 0.08:
        other = random.choice(others)
        found[random.randrange(len(found) + 1) :] = other[random.randrange(len(other)) :]
    return bytes(found)


def _place(data: bytearray, random: Random) -> int:
    """Headers matter most, and lie at the beginning or, in some formats, at the end."""
    end = len(data)
    return random.choice(
        (random.randrange(end), random.randrange(min(end, 128)), end - 1 - random.randrange(min(end, 1024)))
    )


def _flip(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 1, 2, 8, 32))):
        data[_place(data, random)] ^= 1 << random.randrange(8)


def _set(data: bytearray, random: Random) -> None:
    at, count = _place(data, random), random.choice((1, 2, 4, 16, 64, 1024))
    data[at : at + count] = bytes([random.choice((0, 255, 0x7F, 0x80, random.randrange(256)))]) * count


def _number(data: bytearray, random: Random) -> None:
    """Lengths and counts are numbers of one to eight bytes."""
    size = random.choice((1, 2, 4, 4, 8))
    value = random.choice(NUMBERS) & ((1 << 8 * size) - 1)
    at = _place(data, random)
    data[at : at + size] = value.to_bytes(size, random.choice(("big", "little")))


def _cut(data: bytearray, random: Random) -> None:
    del data[_place(data, random) :]


def _drop(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    del data[at : at + random.choice((1, 2, 4, 8, 64, 188, 4096))]


def _repeat(data: bytearray, random: Random) -> None:
    at, count = _place(data, random), random.choice((1, 4, 8, 188, 1024))
    data[at:at] = data[at : at + count] * random.choice((1, 2, 100))


def _insert(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    data[at:at] = random.randbytes(random.choice((1, 2, 4, 8, 300)))


def _move(data: bytearray, random: Random) -> None:
    at, to, count = _place(data, random), _place(data, random), random.choice((4, 8, 188, 1024))
    part = data[at : at + count]
    del data[at : at + count]
    data[to:to] = part


_ACCIDENTS: tuple[Callable[[bytearray, Random], None], ...] = (
    *(_flip, _flip, _flip, _set, _number, _number, _cut, _drop, _repeat, _insert, _move),
)


def displaced(path: Path, random: Random) -> None:
    """Put something else where a file is: a folder, a link, a pipe that nobody writes into."""
    path.unlink()
    what = random.choice(
        ("folder", "pipe", path.name, "nowhere\n", "/dev/zero", "/dev/full", "/proc/self/mem")
    )
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(what)


class Raw(str):
    """Stands in a JSON text as it is."""


def _texts(random: Random) -> str:
    return random.choice(
        (
            *("", " ", "x" * 5000, "x" * 100_000, "\0", "a\nb", "\x1b[31mred\x1b[0m", "\r", "\x85", "\u2028"),
            *("\ud800", "\udcff", "\u202e", "é" * 300, "/", "../../x", "/etc/passwd", "|", "%s", "{}", "-q"),
            *("1/0", "0/1", "-1/1", "1/3", "1/4611686018427387904", "4611686018427387904/1", "1e9/1", "٣/١"),
            *("30000/1001", "2147483648/1", "1/2147483648", "1000000007/998244353", "1/1000000", "nan"),
            *("sweettok", "omnitokenizer", "vidtok-fsq", "vidtok-kl", "sweettok-small", "fsq", "kl", "tt"),
        )
    )


def anything(random: Random) -> Any:
    """A value of JSON that nobody expects."""
    deep = random.choice((10, 1000, 100_000))
    return random.choice(
        (
            *(random.choice(NUMBERS),) * 4,
            *(_texts(random),) * 4,
            *(None, True, False, [], {}, [[]], {"a": {"b": [1, 2, 3]}}, 0.5, -0.0, 1e308, 5e-324),
            Raw(random.choice(("NaN", "Infinity", "-Infinity", "1e999", "1" * 5000, "-", "[", "0x10"))),
            Raw("[" * deep + "]" * deep),
            Raw('{"a":' * deep + "1" + "}" * deep),
            [random.choice(NUMBERS) for _ in range(random.choice((1, 2, 3, 4, 9)))],
            [0] * 100_000,
            {str(number): number for number in range(1000)},
        )
    )


def changed(value: Any, random: Random) -> Any:
    """A value near the one that is there, or :func:`anything`."""
    if isinstance(value, bool) and random.random() < 0.5:
        return not value
    if isinstance(value, int) and random.random() < 0.6:
        return random.choice((value + 1, value - 1, 2 * value, -value, value // 2, value * 1000, value + 0.5))
    if isinstance(value, float) and random.random() < 0.6:
        return random.choice((value * 2, -value, value * 1e30, 0.0, int(value)))
    if isinstance(value, str) and random.random() < 0.4:
        return value[:-1] + chr(random.choice((0, 10, 27, 65, 0x202E, 0xD800, 0x1F600)))
    if isinstance(value, list) and value and random.random() < 0.6:
        return random.choice(
            (value[:-1], value + value[-1:], value[::-1], value * 2, value[:1], [[], *value])
        )
    return anything(random)


def disturbed(table: Any, random: Random) -> Any:
    """A copy of a JSON value with one to three of its inner values changed, missing or new."""
    table = json.loads(json.dumps(table))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        place = table
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = random.choice(keys)
            if isinstance(place[key], dict | list) and place[key] and random.random() < 0.8:
                place = place[key]
                continue
            what = random.random()
            if what < 0.1:
                del place[key]
            elif what < 0.15 and isinstance(place, dict):
                place[random.choice((*place, "extra", ""))] = anything(random)
            else:
                place[key] = changed(place[key], random)
            break
    return table


def spelt(value: Any) -> str:
    """JSON text, in which :class:`Raw` stands as it is."""
    marks: list[Raw] = []

    def marked(value: Any) -> Any:
        if isinstance(value, Raw):
            marks.append(value)
            return f"\x01{len(marks) - 1}\x01"
        if isinstance(value, dict):
            return {key: marked(each) for key, each in value.items()}
        return [marked(each) for each in value] if isinstance(value, list) else value

    text = json.dumps(marked(value))
    for number, mark in enumerate(marks):
        text = text.replace(f'"\\u0001{number}\\u0001"', mark)
    return text


def packed(data: bytes) -> bytes:
    """``data`` behind its length in eight bytes, as the header of a safetensors file is."""
    return struct.pack("<Q", len(data)) + data
