"""Tar shards of clips: damaged, and with other numbers, kinds and names in their headers."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from random import Random

from video.torture import make

from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.entry import Entry
from sweettok_cli.video import read_clip

from .mutation import NUMBERS, damaged, displaced
from .verdict import NAME, ODD, Verdict

_BLOCK = 512
# Of a header (POSIX.1-1988; GNU's for the last ones): where they begin, and how long they are.
_FIELDS = (
    *((0, 100), (100, 8), (124, 12), (124, 12), (124, 12), (136, 12), (156, 1), (156, 1), (157, 100)),
    *((257, 8), (345, 155), (386, 24), (482, 1), (483, 12)),
)
_KINDS = b"01234567xgLKSDNV\0A"


def make_seeds(shelf: Path) -> list[bytes]:
    """A shard in each format of tar: two clips, a long name, links and a folder."""
    clip = make(shelf / "clip.mkv", "ffv1", frames=3).read_bytes()
    seeds = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=form) as shard:
            for name in (f"{NAME}.mkv", f"{'below/' * 20}{NAME}é.mkv"):
                member = tarfile.TarInfo(name)
                member.size = len(clip)
                if form == tarfile.PAX_FORMAT:
                    member.pax_headers = {"comment": "x" * 30}
                shard.addfile(member, io.BytesIO(clip))
            for kind in (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
                member = tarfile.TarInfo(f"{NAME}.mp4")
                member.type, member.linkname = kind, f"{NAME}.mkv"
                shard.addfile(member)
        seeds.append(packed.getvalue())
    return seeds


def attempt(seeds: list[bytes], random: Random, folder: Path) -> list[str]:
    """List one shard, and read what it lists."""
    data = random.choice(seeds)
    data = damaged(data, random, seeds) if random.random() < 0.3 else _stated(data, random)
    path = folder / f"{random.choice(ODD) if random.random() < 0.05 else ''}{NAME}.tar"
    path.write_bytes(data)
    if random.random() < 0.01:
        displaced(path, random)
    verdict = Verdict()
    entries = verdict.call(f"list {path}", lambda: find_entries([path])) or []
    for entry in entries[:5]:
        verdict.call(f"read {entry.name} of {path}", lambda entry=entry: _read(entry))
    verdict.left(folder, path)
    return verdict.faults


def _read(entry: Entry) -> None:
    source = entry.source()
    if isinstance(source, io.BytesIO):
        source.name = f"{NAME}: {entry.name}"  # type: ignore[attr-defined]
    read_clip(source, 0, 2)


def _stated(data: bytes, random: Random) -> bytes:
    """Headers that state something else behind right checksums, and parts that are repeated or left out."""
    blocks = [bytearray(data[at : at + _BLOCK]) for at in range(0, len(data), _BLOCK)]
    headers = [block for block in blocks if block[257:262] == b"ustar"]
    for _ in range(random.choice((1, 1, 2, 3))):
        block, (begin, size) = random.choice(headers), random.choice(_FIELDS)
        number = random.choice((*NUMBERS, *(_BLOCK * n for n in (-3, -2, -1, 1, 2))))
        value = random.choice(
            (
                bytes([random.choice(_KINDS)]) * size,
                (number % (1 << 8 * size)).to_bytes(size, "big"),
                b"\x80"[:size] + (abs(number) % (1 << 8 * size)).to_bytes(size, "big")[1:],
                b"%o" % abs(number),
                random.choice((b"\xff", b"7", b"/", b"../", b"-1", b"\n")) * size,
                b"30 GNU.sparse.size=%d\n" % number,
            )
        )[:size]
        block[begin : begin + len(value)] = value
    if random.random() < 0.2:
        at, to = random.randrange(len(blocks)), random.randrange(len(blocks))
        blocks[at:at] = blocks[to : to + random.choice((1, 2))] * random.choice((0, 1, 2, 3000))
    for block in {id(block): block for block in blocks if block[257:262] == b"ustar"}.values():
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    return b"".join(blocks)
