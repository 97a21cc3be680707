"""What index arrays cost, counted as they pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass
class Price:
    """Clips, tokens, indices and true bits of all arrays added so far.

    Attributes:
        codebooks: sizes of the codebook behind each index column, by array.
        clips: the model's clips.
        tokens: what papers count; a token is one row of an array and holds one index a column.
        indices: codebook indices.
        bits: sum over all indices of log2 of their codebook's size.
    """

    codebooks: Mapping[str, Sequence[int]]
    clips: int = 0
    tokens: int = 0
    indices: int = 0
    bits: float = 0.0

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Count one batch, ``[clips, tokens, columns]`` an array."""
        self.clips += len(next(iter(arrays.values())))
        for name, array in arrays.items():
            sizes = self.codebooks[name]
            tokens = array.size // len(sizes)
            self.tokens += tokens
            self.indices += array.size
            self.bits += tokens * sum(math.log2(size) for size in sizes)
