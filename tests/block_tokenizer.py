"""A tokenizer that needs no weights: mean colours in blocks, and how their brightness moves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from einops import rearrange, reduce, repeat
from torch import Tensor

from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.tokens.layout import TokenizerSpec

CLIP = 17
LEVELS = 511


class BlockTokenizer(Tokenizer):
    """One spatial token for 16x16 pixels of the first frame: its mean red, green and blue.

    One temporal token for 8x8 pixels: by how much its mean brightness, in the three thirds of the clip,
    differs from that of the first frame's 16x16 block.
    """

    def __init__(self, batch_clips: int = 2, weights_sha256: str = "b10c" * 16) -> None:
        self.batch_clips = batch_clips
        self.batches: list[tuple[int, ...]] = []
        self.spec = TokenizerSpec(
            name="blocks",
            codebooks={"spatial": [256] * 3, "temporal": [LEVELS] * 3},
            weights_sha256=weights_sha256,
        )

    def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
        return {name: torch.from_numpy(array) for name, array in self._encoded(clips.numpy()).items()}

    def decode_batch(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Tensor:
        arrays = {name: tensor.numpy() for name, tensor in tokens.items()}
        return torch.from_numpy(self._decoded(arrays, height))

    def _encoded(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        self.batches.append(clips.shape)
        colour = np.rint(reduce(clips[:, 0].astype(float), "b (h p) (w q) c -> b h w c", "mean", p=16, q=16))
        spatial = rearrange(colour, "b h w c -> b (h w) c").astype(np.int64)
        if clips.shape[1] == 1:
            return {"spatial": spatial, "temporal": np.zeros((len(clips), 0, 3), np.int64)}
        still = repeat(colour.mean(-1), "b h w -> b 1 (h 2) (w 2)")
        grey = reduce(clips.astype(float), "b t (h p) (w q) c -> b t h w", "mean", p=8, q=8)
        thirds = np.stack([part.mean(1) for part in np.array_split(grey - still, 3, axis=1)], -1)
        temporal = np.rint(thirds + LEVELS // 2).clip(0, LEVELS - 1)
        return {"spatial": spatial, "temporal": rearrange(temporal, "b h w k -> b (h w) k").astype(np.int64)}

    def _decoded(self, arrays: Mapping[str, np.ndarray], height: int) -> np.ndarray:
        colour = repeat(
            arrays["spatial"].astype(float), "b (h w) c -> b 1 (h p) (w q) c", h=height // 16, p=16, q=16
        )
        if arrays["temporal"].shape[1]:
            change = arrays["temporal"].astype(float) - LEVELS // 2
            third = np.concatenate(
                [np.full(len(part), i) for i, part in enumerate(np.array_split(np.arange(CLIP), 3))]
            )
            colour = colour + repeat(
                change[..., third], "b (h w) t -> b t (h p) (w q) 1", h=height // 8, p=8, q=8
            )
        return np.rint(colour).clip(0, 255).astype(np.uint8)
