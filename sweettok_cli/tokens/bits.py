"""What tokens cost: the bits of an index are log2 of its codebook's size, whatever a file packs it into."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sweettok_cli.tokens.schema import TokenMeta


@dataclass(frozen=True)
class TokenCost:
    """The price of one token file.

    Attributes:
        tokens: of all clips; what papers count, e.g. 1280 for 17x256x256.
        indices: codebook indices behind them; three a token for SweetTok. 0 for continuous latents.
        bits: sum over all indices of log2(codebook size); 16 for each value of continuous latents.
        bits_per_clip: ``bits`` shared among the clips.
        bits_per_pixel: ``bits`` over the source's width, height and frames; padding earns nothing.
        kbit_per_second: thousand bits a second of the source, or None for an image.
    """

    tokens: int
    indices: int
    bits: float
    bits_per_clip: float
    bits_per_pixel: float
    kbit_per_second: float | None


def clip_bits(meta: TokenMeta) -> dict[str, float]:
    """Bits of one clip by array, e.g. ``{"spatial": ..., "temporal": ...}``."""
    return {name: _index_count(meta, name) * _bits_per_position(meta, name) for name in meta.shapes}


def token_cost(meta: TokenMeta) -> TokenCost:
    """The price of the tokens that ``meta`` describes."""
    tokens = indices = 0
    for name in meta.shapes:
        positions = _index_count(meta, name)
        tokens += positions
        indices += positions * len(meta.codebooks.get(name, ()))
    per_clip = sum(clip_bits(meta).values())
    bits = per_clip * meta.clips
    duration = meta.duration
    return TokenCost(
        tokens=tokens * meta.clips,
        indices=indices * meta.clips,
        bits=bits,
        bits_per_clip=per_clip,
        bits_per_pixel=bits / (meta.width * meta.height * meta.frames),
        kbit_per_second=None if duration is None else bits / 1000 / float(duration),
    )


def _index_count(meta: TokenMeta, name: str) -> int:
    """Tokens in one clip of an array: rows of a SweetTok array, cells of a grid."""
    shape = meta.shapes[name]
    if meta.family == "sweettok":
        return shape[0]
    return math.prod(shape[-3:])


def _bits_per_position(meta: TokenMeta, name: str) -> float:
    if name not in meta.codebooks:
        return 16.0 * meta.shapes[name][0]
    return sum(math.log2(size) for size in meta.codebooks[name])
