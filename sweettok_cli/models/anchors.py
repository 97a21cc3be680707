"""Linear paths from patches to tokens and back, around the stacks of the query autoencoder.

With them a token's vector is first of all a linear transform of its own patches: at the start of training
the principal components (see ``initialise``), which the stacks then learn to improve on. Without them the
published network has to discover through attention alone which query stands for which place.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from sweettok_cli.models.config import SweetTokConfig


class SpatialAnchor(nn.Module):
    """A spatial token and the square of patches it stands for, averaged over the time of the clip."""

    weights: Tensor

    def __init__(self, config: SweetTokConfig) -> None:
        super().__init__()
        self.side = config.tile // config.spatial_queries  # patches
        self.width = self.side**2 * config.dim
        self.to_features = nn.Linear(sum(config.spatial_widths), self.width)
        frames = torch.ones(config.latent_frames(config.frames)) * config.temporal_patch
        frames[0] = 1
        self.register_buffer("weights", frames, persistent=False)

    def gather(self, features: Tensor) -> Tensor:
        """Features [b, t, h, w, d] -> [b, S, side*side*d], each latent frame weighted by its frames."""
        weights = self.weights[: features.shape[1]]
        mean = torch.einsum("bthwd,t->bhwd", features, (weights / weights.sum()).to(features.dtype))
        return rearrange(mean, "b (h y) (w x) d -> b (h w) (y x d)", y=self.side, x=self.side)

    def spread(self, vectors: Tensor, height: int, width: int) -> Tensor:
        """Token vectors [b, S, c] -> the same features for every latent frame [b, 1, height, width, d]."""
        return rearrange(
            self.to_features(vectors),
            "b (h w) (y x d) -> b 1 (h y) (w x) d",
            h=height // self.side,
            w=width // self.side,
            y=self.side,
            x=self.side,
        )


class TemporalAnchor(nn.Module):
    """A temporal token and the column of patches it stands for, latent frame by latent frame."""

    def __init__(self, config: SweetTokConfig) -> None:
        super().__init__()
        self.frames = config.latent_frames(config.frames)
        if config.motion == "differences":
            self.frames -= 1
        self.residual = config.motion == "residual"
        self.width = self.frames * config.dim
        self.to_features = nn.Linear(sum(config.temporal_widths), self.width)

    def gather(self, motion: Tensor) -> Tensor:
        """Motion [b, t, h, w, d] -> [b, h*w, t*d]."""
        return rearrange(motion, "b t h w d -> b (h w) (t d)")

    def spread(self, vectors: Tensor, height: int, width: int) -> Tensor:
        """Token vectors [b, T, c] -> what each latent frame has of its own [b, 1 + k, height, width, d].

        From differences, the first latent frame has nothing of its own and the others what changed since.
        """
        own = rearrange(
            self.to_features(vectors), "b (h w) (t d) -> b t h w d", h=height, w=width, t=self.frames
        )
        if self.residual:
            return own
        return torch.cat([torch.zeros_like(own[:, :1]), own.cumsum(dim=1)], dim=1)
