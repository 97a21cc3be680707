"""What the arrays of one video cost, counted as they pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sweettok_cli.tokenizers.spec import LATENT_BITS, TokenizerSpec


@dataclass
class Price:
    """Tokens, indices and true bits of all arrays added so far.

    Attributes:
        spec: of the tokenizer that made them.
        clips: the model's clips; a stream is one, however many pieces it comes in.
        tokens: what papers count: rows of SweetTok's arrays, cells of a grid.
        indices: codebook indices; none for continuous latents.
        bits: log2 of its codebook's size for every index, 16 for every number of a latent.
    """

    spec: TokenizerSpec
    clips: int = 0
    tokens: int = 0
    indices: int = 0
    bits: float = 0.0

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Count one batch of clips, ``[clips, ...]`` an array, or one piece of a stream."""
        count = len(next(iter(arrays.values())))
        self.clips = 1 if self.spec.stream_frames is not None else self.clips + count
        tokens = self.spec.layout.tokens({name: array.shape[1:] for name, array in arrays.items()})
        for name, array in arrays.items():
            self.tokens += count * tokens[name]
            sizes = self.spec.codebooks.get(name)
            if sizes is None:
                self.bits += LATENT_BITS * array.size
            else:
                self.indices += array.size
                self.bits += count * tokens[name] * math.fsum(map(math.log2, sizes))
