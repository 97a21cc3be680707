"""Tokens of made-up models, drawn at random: dense ones, ragged ones, grids."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from sweettok_cli.tokens.meta import TokenMeta, Tokens
from sweettok_cli.tokens.ragged import rows_in

WORDS = {"spatial": (40, 40, 30), "temporal": (20, 20, 50)}
LEVELS = {"temporal": 1, "detail": 3}


def described(clips: int, **changes: object) -> TokenMeta:
    facts: dict[str, object] = {
        "family": "sweettok",
        "model": "made-up",
        "weights_sha256": "0" * 64,
        "source": "clip.mp4",
        "image": False,
        "width": 64,
        "height": 64,
        "padded_width": 64,
        "padded_height": 64,
        "frames": 17 * clips,
        "rate": Fraction(25),
        "clip_frames": 17,
    }
    return TokenMeta(**(facts | changes))  # type: ignore[arg-type]


def dense(seed: int = 0, clips: int = 3) -> Tokens:
    random = np.random.default_rng(seed)
    shapes = {"spatial": (4, 3), "temporal": (6, 3)}
    meta = described(clips, codebooks=WORDS, shapes=shapes)
    arrays = {
        name: np.stack([random.integers(0, size, (clips, shapes[name][0])) for size in sizes], -1)
        for name, sizes in WORDS.items()
    }
    return Tokens({name: array.astype(meta.dtype(name)) for name, array in arrays.items()}, meta)


def ragged(
    seed: int = 0, clips: int = 3, cells: tuple[int, int, int] = (5, 8, 8), busy: float = 0.1
) -> Tokens:
    random = np.random.default_rng(seed)
    shapes = {"spatial": (4, 3), "temporal": (6, 3), "detail": (*cells, 1)}
    codebooks = {**WORDS, "detail": (30,)}
    counts = {
        "temporal_counts": random.integers(0, 2, (clips, 6)),
        "detail_counts": random.integers(1, 4, (clips, *cells)) * (random.random((clips, *cells)) < busy),
    }
    arrays: dict[str, np.ndarray] = {name: array.astype(np.uint8) for name, array in counts.items()}
    lengths = {"spatial": (clips, 4), **{n: (int(counts[f"{n}_counts"].sum()),) for n in LEVELS}}
    for name, sizes in codebooks.items():
        drawn = [random.integers(0, size, lengths[name]) for size in sizes]
        arrays[name] = np.stack(drawn, -1).astype(np.uint16)
    meta = described(clips, codebooks=codebooks, shapes=shapes, levels=LEVELS, rows=rows_in(arrays, LEVELS))
    return Tokens(arrays, meta)


def grid(seed: int = 0, frames: int = 17) -> Tokens:
    random = np.random.default_rng(seed)
    shape = (1 + (frames - 1) // 4, 8, 8)
    meta = described(
        1,
        family="vidtok-fsq",
        codebooks={"indices": (512,)},
        shapes={"indices": shape},
        frames=frames,
        clip_frames=frames,
    )
    return Tokens({"indices": random.integers(0, 512, (1, *shape)).astype(np.uint16)}, meta)
