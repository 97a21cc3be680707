"""Linear paths around the stacks of an anchored network: from patches to tokens, and from tokens to patches.

Decoupled tokens stand for what stays (:class:`SpatialAnchor`) and for what changes (:class:`TemporalAnchor`),
flattened ones each for a block of the clip (:class:`BlockAnchor`).
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from sweettok_cli.models.sweettok.config import SweetTokConfig


class SpatialAnchor(nn.Module):
    """A spatial token and the square of patches it stands for, averaged over the time of the clip."""

    weights: Tensor

    def __init__(self, config: SweetTokConfig) -> None:
        super().__init__()
        self.side = config.tile // config.spatial_queries  # patches
        self.width = self.side**2 * config.dim
        self.to_features = nn.Linear(sum(config.spatial_widths), self.width)
        # Real even while a network is laid out on "meta".
        frames = torch.ones(config.latent_frames(config.frames), device="cpu") * config.temporal_patch
        frames[0] = 1
        self.register_buffer("weights", frames, persistent=False)

    def gather(self, features: Tensor) -> Tensor:
        """Features [b, t, h, w, d] -> [b, S, side*side*d], each latent frame weighted by its frames."""
        weights = self.weights[: features.shape[1]]
        mean = torch.einsum("bthwd,t->bhwd", features, (weights / weights.sum()).to(features.dtype))
        return rearrange(mean, "b (h y) (w x) d -> b (h w) (y x d)", y=self.side, x=self.side)

    def spread(self, vectors: Tensor, height: int, width: int) -> Tensor:
        """Token vectors [b, S, c] -> the same features for every latent frame [b, 1, height, width, d]."""
        features = self.to_features(vectors)
        sides = {"h": height // self.side, "w": width // self.side, "y": self.side, "x": self.side}
        return rearrange(features, "b (h w) (y x d) -> b 1 (h y) (w x) d", **sides)


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
        # The first latent frame is a single frame: its error counts less than that of a group.
        self.first = config.temporal_patch**-0.5 if self.residual else 1.0

    @property
    def importance(self) -> Tensor:
        """How much an error of each number that is gathered counts, [width]."""
        weights = torch.ones(self.frames, self.width // self.frames)
        weights[0] = self.first
        return weights.flatten()

    def gather(self, motion: Tensor) -> Tensor:
        """Motion [b, t, h, w, d] -> [b, h*w, t*d]."""
        return rearrange(motion, "b t h w d -> b (h w) (t d)")

    def spread(self, vectors: Tensor, height: int, width: int) -> Tensor:
        """Token vectors [b, T, c] -> what each latent frame has of its own [b, 1 + k, height, width, d].

        From differences, the first latent frame has nothing of its own and the others what changed since.
        """
        sides = {"t": self.frames, "h": height, "w": width}
        own = rearrange(self.to_features(vectors), "b (h w) (t d) -> b t h w d", **sides)
        if self.residual:
            return own
        return torch.cat([torch.zeros_like(own[:, :1]), own.cumsum(dim=1)], dim=1)


class BlockAnchor(nn.Module):
    """A token and the block of the clip that it stands for: so many patches wide and high, and so many long.

    ``parts * parts`` blocks that follow each other in time are as many tokens, a square of them in raster
    order: a grid of tokens covers the frame at any length of the clip.
    """

    def __init__(self, code: int, dim: int, side: int, length: int, parts: int = 1) -> None:
        """``side`` in patches, ``length`` in latent frames; ``code`` is the width of a token's vector."""
        super().__init__()
        self.side, self.parts, self.frames = side, parts, length * parts**2
        self.width = length * side**2 * dim
        self.to_features = nn.Linear(code, self.width)

    @property
    def importance(self) -> Tensor:
        """How much an error of each number that is gathered counts, [width]: all alike."""
        return torch.ones(self.width)

    def gather(self, features: Tensor) -> Tensor:
        """Features [b, t, h, w, d], of which the first frames are looked at -> [b, L, width]."""
        cut = {"p": self.parts, "q": self.parts, "y": self.side, "x": self.side}
        layout = "b (p q z) (h y) (w x) d -> b (h p w q) (z y x d)"
        return rearrange(features[:, : self.frames], layout, **cut)

    def spread(self, vectors: Tensor, height: int, width: int) -> Tensor:
        """Token vectors [b, L, c] -> the features of their blocks, [b, frames, height, width, d]."""
        cut = {"p": self.parts, "q": self.parts, "y": self.side, "x": self.side}
        cut |= {"h": height // self.side, "w": width // self.side, "z": self.frames // self.parts**2}
        layout = "b (h p w q) (z y x d) -> b (p q z) (h y) (w x) d"
        return rearrange(self.to_features(vectors), layout, **cut)


def make_anchors(
    config: SweetTokConfig,
) -> tuple[SpatialAnchor | BlockAnchor | None, TemporalAnchor | BlockAnchor | None]:
    """Those of the spatial and of the temporal tokens; None where tokens are not anchored.

    Flattened: spatial tokens stand for the first latent frame, temporal ones for blocks of those behind it,
    the squarest of which a tile has as many as patches.
    """
    if not config.anchored:
        return None, None
    if not config.flattened:
        return SpatialAnchor(config), TemporalAnchor(config)
    later = config.latent_frames(config.frames) - 1
    parts = max(side for side in range(1, config.tile + 1) if not (later % side**2 or config.tile % side))
    codes = sum(config.spatial_widths), sum(config.temporal_widths)
    return (
        BlockAnchor(codes[0], config.dim, config.tile // config.spatial_queries, 1),
        BlockAnchor(codes[1], config.dim, parts, later // parts**2, parts),
    )
