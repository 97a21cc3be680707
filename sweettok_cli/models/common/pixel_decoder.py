"""OmniTokenizer's decoder, and the head that names its codes: how the published SweetTok makes pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.models.common.linear import Linear
from sweettok_cli.models.common.patches import ToPixels
from sweettok_cli.models.common.tiles import TileGrid, TimeColumns
from sweettok_cli.models.common.transformer import StackConfig, Transformer
from sweettok_cli.models.sweettok.config import SweetTokConfig


class ProxyHead(nn.Sequential):
    """Features [..., d] -> one logit for each of the proxy tokenizer's codes [..., codes]."""

    def __init__(self, dim: int, hidden: int, codes: int) -> None:
        super().__init__()
        self.add_module("hidden", Linear(dim, hidden))
        self.add_module("activation", nn.Tanh())
        self.add_module("logits", Linear(hidden, codes))


class PixelDecoder(nn.Module):
    """Latent volume to video: temporal transformer first, then spatial, then pixels (OmniTokenizer)."""

    def __init__(self, spatial: StackConfig, temporal: StackConfig, patch: int, temporal_patch: int) -> None:
        super().__init__()
        self.temporal = Transformer(temporal)
        self.spatial = Transformer(spatial)
        self.to_pixels = ToPixels(spatial.dim, patch, temporal_patch)

    @classmethod
    def from_config(cls, config: SweetTokConfig) -> PixelDecoder:
        """The decoder that a SweetTok network of this shape ends with."""
        return cls(
            config.stack(config.pixel_spatial, position_convolution=True, rotary=True),
            config.stack(
                config.pixel_temporal, position_convolution=True, scrambled=config.scrambled, causal=True
            ),
            config.patch,
            config.temporal_patch,
        )

    def forward(self, latents: Tensor, grid: TileGrid) -> Tensor:
        """Latents [b, t, h, w, d] -> video [b, 3, 1 + (t-1)*temporal_patch, ...], not clamped."""
        latents = self.temporal(latents, TimeColumns(grid.height, grid.width))
        return self.to_pixels(self.spatial(latents, grid))


class ProxyPixels(nn.Module):
    """Proxy logits to video: the soft mixture of the proxy tokenizer's codes, decoded by its decoder."""

    embeddings: Tensor

    def __init__(self, config: SweetTokConfig) -> None:
        super().__init__()
        self.register_buffer("embeddings", _unit_rows(config.proxy_codes, config.proxy_dim))
        self.project = Linear(config.proxy_dim, config.dim)
        self.decoder = PixelDecoder.from_config(config)

    def forward(self, logits: Tensor, grid: TileGrid) -> Tensor:
        """Logits [b, t, h, w, codes] -> video [b, 3, frames, height, width]."""
        return self.paint(self.mix(logits), grid)

    def mix(self, logits: Tensor) -> Tensor:
        """Logits [..., codes] -> mean of the codes, weighted by their probabilities [..., proxy_dim].

        It is used in training and inference alike, and not of unit length, as a single code would be.
        """
        return logits.softmax(dim=-1) @ self.embeddings

    def paint(self, mixture: Tensor, grid: TileGrid) -> Tensor:
        """Mixed codes [b, t, h, w, proxy_dim] -> video [b, 3, frames, height, width]."""
        return self.decoder(self.project(mixture), grid)


def _unit_rows(rows: int, width: int) -> Tensor:
    return F.normalize(torch.randn(rows, width), dim=-1)
