"""Pixels to patch vectors and back; the first frame stands alone, the others go in groups."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from sweettok_cli.models.common.linear import Linear


class PatchEmbedding(nn.Sequential):
    """Norm, projection, norm of flattened patches [..., pixels] -> [..., d]."""

    def __init__(self, pixels: int, dim: int) -> None:
        norm_in, norm_out = nn.LayerNorm(pixels), nn.LayerNorm(dim)
        super().__init__(OrderedDict(norm_in=norm_in, project=Linear(pixels, dim), norm_out=norm_out))


def cut_first_frame(video: Tensor, patch: int) -> Tensor:
    """[b, c, t, h, w] -> patches of the first frame [b, 1, h/patch, w/patch, c*patch*patch]."""
    return rearrange(video[:, :, :1], "b c t (h y) (w x) -> b t h w (c y x)", y=patch, x=patch)


def cut_later_frames(video: Tensor, patch: int, temporal_patch: int) -> Tensor:
    """[b, c, 1 + k*temporal_patch, h, w] -> [b, k, h/patch, w/patch, c*temporal_patch*patch*patch]."""
    layout = "b c (t z) (h y) (w x) -> b t h w (c z y x)"
    return rearrange(video[:, :, 1:], layout, z=temporal_patch, y=patch, x=patch)


class PatchFilter(nn.Module):
    """A small convolutional correction of decoded frames, which smooths what patches leave at their borders.

    Runs at half the resolution on 2x2 pixels at a time; a learned offset for every place inside a patch lets
    it tell borders from the rest. Starts as the identity.
    """

    def __init__(self, channels: int, patch: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(12, channels, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(channels, patch // 2, patch // 2))
        self.narrow = nn.Conv2d(channels, 12, 3, padding=1)
        nn.init.zeros_(self.narrow.weight)
        assert self.narrow.bias is not None
        nn.init.zeros_(self.narrow.bias)

    def forward(self, video: Tensor) -> Tensor:
        """[b, 3, t, h, w] -> [b, 3, t, h, w]."""
        batch = video.shape[0]
        frames = rearrange(video, "b c t (h y) (w x) -> (b t) (c y x) h w", y=2, x=2)
        hidden = self.widen(frames)
        side = self.place.shape[-1]
        places = self.place.to(hidden.dtype).repeat(1, hidden.shape[-2] // side, hidden.shape[-1] // side)
        change = self.narrow(F.gelu(hidden + places))
        return video + rearrange(change, "(b t) (c y x) h w -> b c t (h y) (w x)", b=batch, c=3, y=2, x=2)


class ToPixels(nn.Module):
    """Two linear maps from features [b, 1 + k, h, w, d] to video [b, 3, 1 + k*temporal_patch, ...]."""

    def __init__(self, dim: int, patch: int, temporal_patch: int, filter_channels: int = 0) -> None:
        super().__init__()
        self.patch, self.temporal_patch = patch, temporal_patch
        self.first_frame = Linear(dim, 3 * patch * patch)
        self.later_frames = Linear(dim, 3 * temporal_patch * patch * patch)
        self.filter = PatchFilter(filter_channels, patch) if filter_channels else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Pixels are in [-0.5, 0.5] when trained so; nothing is clamped here."""
        first = self._spread(self.first_frame(features[:, :1]), 1)
        if features.shape[1] == 1:
            return self.filter(first)
        later = self._spread(self.later_frames(features[:, 1:]), self.temporal_patch)
        return self.filter(torch.cat([first, later], dim=2))

    def _spread(self, pixels: Tensor, frames: int) -> Tensor:
        layout = "b t h w (c z y x) -> b c (t z) (h y) (w x)"
        return rearrange(pixels, layout, c=3, z=frames, y=self.patch, x=self.patch)
