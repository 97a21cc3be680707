"""Packed token files and token priors: damaged as bytes, and changed behind checksums that are right."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from tokens.conftest import GRID, LEVELS, random_tokens

from sweettok_cli.packing.file import _USUAL, PACKED, PackedFile, _deflate, _inflate, write_packed
from sweettok_cli.packing.prior import PriorLearner, TokenPrior, read_prior
from sweettok_cli.tokens import Tokens
from sweettok_cli.tokens.layout import TiledTokens, TokenizerSpec
from sweettok_cli.tokens.ragged import COUNTED

from .mutation import NUMBERS, damaged, displaced
from .verdict import NAME, ODD, Verdict

_FIXED = 68  # bytes before the description
_EXAMPLES: tuple[dict[str, Any], ...] = (
    {},
    {"image": True, "frames": 1, "shapes": {"spatial": (32, 3), "temporal": (0, 3)}},
    {"levels": LEVELS},
    {"levels": {"temporal": 1, "detail": 2}, "frames": 200},
    {"family": "vidtok-fsq", **GRID},
    {"family": "vidtok-fsq", **GRID, "codebooks": {"indices": (262144,)}},
    {"family": "vidtok-kl", "codebooks": {}, "shapes": {"latents": (4, 5, 8, 16)}},
)


@dataclass(frozen=True)
class Seeds:
    """Whole packed files with their tokens, and the prior that some of them have."""

    files: list[bytes]
    tokens: list[Tokens]
    prior: TokenPrior


def make_seeds(shelf: Path) -> Seeds:
    """Tokens of every kind, packed alone; those of words with a prior, too."""
    words = random_tokens(1, levels=LEVELS)
    spec = TokenizerSpec(
        name=words.meta.model,
        codebooks={name: list(sizes) for name, sizes in words.meta.codebooks.items()},
        weights_sha256=words.meta.weights_sha256,
        layout=TiledTokens(levels=LEVELS),
    )
    learner = PriorLearner(spec)
    for each in (words, random_tokens(1)):
        learner.add(each, "words")
    prior, path = learner.prior(), shelf / f"seed{PACKED}"
    files, tokens = [], []
    for changes in _EXAMPLES:
        each = random_tokens(**changes)
        repeated = {
            name: array if name in COUNTED else np.repeat(array[:1], len(array), axis=0)
            for name, array in each.arrays.items()
        }
        for made in (each, Tokens(repeated, each.meta)):
            fits = made.meta.family == words.meta.family and made.meta.levels in ({}, LEVELS)
            for helped in (None, prior) if fits else (None,):
                write_packed(path, made, helped, force=True)
                files.append(path.read_bytes())
                tokens.append(made)
    return Seeds(files, tokens, prior)


def attempt(seeds: Seeds, random: Random, folder: Path) -> list[str]:
    """Look at one packed file, and unpack it: what comes back is what was packed, or nothing."""
    which = random.randrange(len(seeds.files))
    data, verdict = seeds.files[which], Verdict()
    if random.random() < 0.1:
        _prior(seeds, random, folder, verdict)
        return verdict.faults
    (way,) = random.choices((damaged, _chunks, _described), (2, 2, 1))
    data = damaged(data, random, seeds.files) if way is damaged else way(data, random)
    path = folder / f"{random.choice(ODD) if random.random() < 0.1 else ''}{NAME}{PACKED}"
    path.write_bytes(data)
    if random.random() < 0.01:
        displaced(path, random)
    if random.random() < 0.3:
        verdict.command("info", path, *random.choice(([], ["--json"])))
        verdict.command("unpack", path, "-o", folder / f"{NAME}.npz", "--force")
        verdict.left(folder, path, folder / f"{NAME}.npz")
    found = verdict.call(f"unpack {path}", lambda: PackedFile.open(path).read(lambda *_: seeds.prior))
    if found is not None and way is not _described:
        expected = seeds.tokens[which] if data == seeds.files[which] else None
        for tokens in [expected] if expected else seeds.tokens:  # parts of other files may be taken whole
            if tokens.meta == found.meta:
                expected = tokens
        same = expected is not None and any(_same(found, tokens) for tokens in seeds.tokens)
        verdict.holds(same, "other tokens than were packed")
    return verdict.faults


def _same(found: Tokens, tokens: Tokens) -> bool:
    return found.meta == tokens.meta and all(
        np.array_equal(array, tokens.arrays[name]) for name, array in found.arrays.items()
    )


def _parts(data: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """The fixed head, the description and the chunks of a whole file."""
    described, count = struct.unpack_from("<II", data, 12)
    begins = _FIXED + described
    lengths = [struct.unpack_from("<I", data, begins + 8 * n)[0] for n in range(count)]
    at, chunks = begins + 8 * count + 4, []
    for length in lengths:
        chunks.append(data[at : at + length])
        at += length
    return data[:_FIXED], data[_FIXED:begins], chunks


def _joined(head: bytes, description: bytes, chunks: Sequence[bytes]) -> bytes:
    """A file of these parts, whose checksums are right."""
    head = head[:12] + struct.pack("<II", len(description), len(chunks)) + head[20:]
    table = b"".join(struct.pack("<II", len(chunk), zlib.crc32(chunk)) for chunk in chunks)
    begin = head + description + table
    return b"".join([begin, struct.pack("<I", zlib.crc32(begin)), *chunks])


def _chunks(data: bytes, random: Random) -> bytes:
    """Chunks that are changed, left out, repeated or empty, and heads."""
    head, description, chunks = _parts(data)
    at = random.randrange(len(chunks))
    chunks[at] = random.choice(
        (damaged(chunks[at], random), random.randbytes(random.choice((0, 1, 40, 400))), chunks[at][:-4])
    )
    if random.random() < 0.2:
        chunks = random.choice((chunks[:-1], chunks * 2, [*chunks, b""]))
    if random.random() < 0.2:
        head = head[:20] + damaged(head[20:], random)[:48].ljust(48, b"\0")
    return _joined(head, description, chunks)


def _described(data: bytes, random: Random) -> bytes:
    """Another value in the description, of which no chunk knows."""
    head, description, chunks = _parts(data)
    table: dict[str, Any] = json.loads(_inflate(description))
    keys = ("shapes", "codebooks", "frames", "clip_frames", "padded_width", "source", "version")
    key = random.choice((*keys, *(name for name in ("levels", "rows") if name in table)))
    if isinstance(table[key], dict):
        name = random.choice(list(table[key] or [""]))
        row = table[key].get(name, [])
        if isinstance(row, int):
            table[key][name] = random.choice((*NUMBERS, row + 1))
        elif row:
            row[random.randrange(len(row))] = random.choice((*NUMBERS, row[0] + 1))
    else:
        table[key] = random.choice((*NUMBERS, "x", None))
    text = json.dumps(table) if random.random() < 0.9 else random.randbytes(50).decode("latin-1")
    return _joined(head, _deflate(text, _USUAL), chunks)


def _prior(seeds: Seeds, random: Random, folder: Path, verdict: Verdict) -> None:
    path = folder / f"{NAME}.safetensors"
    path.write_bytes(damaged(seeds.prior.content, random, seeds.files))
    verdict.call(f"read {path}", lambda: read_prior(path))
