"""Blocks in levels: each position has as many tokens as its colour or change needs, so clips differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from block_tokenizer import BlockTokenizer
from einops import rearrange

from sweettok_cli.tokens.layout import TiledTokens
from sweettok_cli.tokens.ragged import places

COARSE = 32  # what a unit of a spatial or temporal token is worth
STEPS = (4, 1)  # what a unit of each level of detail is worth
STILL = 8  # the temporal token of no change, which is left out
FINE = 8  # digits of detail, of which a token is three
SIZES = {"spatial": [8, 8, FINE**3], "temporal": [16] * 3, "detail": [FINE**3]}
PLACES = np.array([FINE**2, FINE, 1])
STAIRS = {"temporal": 1, "detail": len(STEPS)}


class RaggedTokenizer(BlockTokenizer):
    """Gives back the very frames that :class:`BlockTokenizer` does, from digits of its numbers.

    Spatial and temporal tokens hold the coarse digit of their three numbers, those of detail the finer ones:
    of colour in the first latent frame, in the top left patch of its square, of change in the second one.
    Digits that are all zero at the end are left out.
    """

    def __init__(self, batch_clips: int = 2, weights_sha256: str = "4a66ed" * 10 + "b10c") -> None:
        super().__init__(batch_clips, weights_sha256)
        self.spec = replace(
            self.spec,
            name="stairs",
            codebooks=SIZES,
            layout=TiledTokens(levels=STAIRS),
        )

    def _encoded(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        frames, rows, columns = self.spec.layout.cells.grid(clips.shape[1], *clips.shape[2:4])
        numbers = super()._encoded(clips)  # [b, positions, 3]
        fine = np.zeros((len(clips), frames, rows, columns, 3), np.int64)
        fine[:, 0, ::2, ::2] = rearrange(numbers["spatial"] % COARSE, "b (h w) c -> b h w c", h=rows // 2)
        moved = numbers["temporal"] + 1  # no change is a multiple of COARSE
        if frames > 1:
            fine[:, 1] = rearrange(moved % COARSE, "b (h w) c -> b h w c", h=rows)
        digits = np.stack([fine // STEPS[0], fine % STEPS[0]], -2)  # [b, t, h, w, levels, 3]
        counts = ((digits > 0).any(-1) * np.arange(1, len(STEPS) + 1)).max(-1)
        clip, level, cell = places(counts)
        present = (moved // COARSE != STILL).any(-1)
        return {
            "spatial": numbers["spatial"] // COARSE,
            "temporal": moved[present] // COARSE,
            "temporal_counts": present.astype(np.int64),
            "detail": rearrange(digits @ PLACES, "b t h w l -> b (t h w) l 1")[clip, cell, level],
            "detail_counts": counts,
        }

    def _decoded(self, arrays: Mapping[str, np.ndarray], height: int) -> np.ndarray:
        counts = arrays["detail_counts"]
        rows = counts.shape[2]
        digits = np.zeros((len(counts), counts[0].size, len(STEPS), 3), np.int64)
        clip, level, cell = places(counts)
        digits[clip, cell, level] = arrays["detail"] // PLACES % FINE
        fine = (digits * np.array(STEPS)[:, None]).sum(2).reshape(*counts.shape, 3)
        colour = rearrange(fine[:, 0, ::2, ::2], "b h w c -> b (h w) c")
        dense = {
            "spatial": arrays["spatial"] * COARSE + colour,
            "temporal": np.zeros((len(counts), 0, 3), np.int64),
        }
        if counts.shape[1] > 1:
            moved = np.full((*arrays["temporal_counts"].shape, 3), STILL)
            moved[arrays["temporal_counts"] > 0] = arrays["temporal"]
            change = rearrange(fine[:, 1], "b h w c -> b (h w) c", h=rows)
            dense["temporal"] = moved * COARSE + change - 1
        return super()._decoded(dense, height)
