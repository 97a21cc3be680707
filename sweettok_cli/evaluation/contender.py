"""What every contender of an evaluation gives back for a clip, be it a model or a codec."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One clip after a contender.

    Attributes:
        frames: uint8 RGB ``[t, h, w, 3]``, of the shape of the source.
        bits: true bits that the clip costs.
        tokens: what papers count; 0 for a codec.
        indices: codebook indices; 0 for a codec and for continuous latents.
        arrays: what a tokenizer stores, by name; None for a codec.
        borders: numbers of the frames, 0 excluded, with which a clip of the model begins.
    """

    frames: np.ndarray
    bits: float
    tokens: int = 0
    indices: int = 0
    arrays: dict[str, np.ndarray] | None = None
    borders: list[int] = field(default_factory=list)
