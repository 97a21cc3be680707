"""Pixels to patch vectors and back; the first frame stands alone, the others go in groups."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from sweettok_cli.models.common.bands import among_neighbours
from sweettok_cli.models.common.linear import Linear, by_parts


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


def lay_patches(patches: Tensor, frames: int, side: int) -> Tensor:
    """Undo the cut: [b, k, h, w, c*frames*side*side] -> [b, c, k*frames, h*side, w*side]."""
    layout = "b t h w (c z y x) -> b c (t z) (h y) (w x)"
    return rearrange(patches, layout, c=3, z=frames, y=side, x=side)


class PatchFilter(nn.Module):
    """A small convolutional correction of decoded frames, which smooths what patches leave at their borders.

    Runs at half the resolution on 2x2 pixels at a time; a learned offset for every place inside a patch lets
    it tell borders from the rest. Starts as the identity.
    """

    REACH = 4  # pixels: two convolutions at half the resolution

    def __init__(self, channels: int, patch: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(12, channels, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(channels, patch // 2, patch // 2))
        self.narrow = nn.Conv2d(channels, 12, 3, padding=1)
        nn.init.zeros_(self.narrow.weight)
        assert self.narrow.bias is not None
        nn.init.zeros_(self.narrow.bias)

    def forward(self, video: Tensor, above: int = 0) -> Tensor:
        """[b, 3, t, h, w] -> [b, 3, t, h, w]; patches begin after ``above`` rows, an even number."""
        batch, rows, side = video.shape[0], video.shape[-2] // 2, self.place.shape[-1]
        tiles = -(-rows // side), video.shape[-1] // 2 // side
        places = self.place.roll(above // 2, dims=1).repeat(1, *tiles)[:, :rows]

        def filtered(frames: Tensor) -> Tensor:
            hidden = self.widen(F.pixel_unshuffle(frames, 2))
            change = self.narrow(F.gelu(hidden + places.to(hidden.dtype)))
            return frames + F.pixel_shuffle(change, 2)

        frames = by_parts(filtered, places.numel(), rearrange(video, "b c t h w -> (b t) c h w"))
        return rearrange(frames, "(b t) c h w -> b c t h w", b=batch)

    def by_bands(self, videos: Iterable[Tensor]) -> Iterator[Tensor]:
        """As :meth:`forward` for frames that come in bands of rows."""

        def filtered(given: tuple[Tensor, int, int]) -> Tensor:
            video, above, below = given
            return self(video, above)[:, :, :, above : video.shape[3] - below]

        return map(filtered, among_neighbours(videos, self.REACH, axis=3))


class ToPixels(nn.Module):
    """Two linear maps from features [b, 1 + k, h, w, d] to video [b, 3, 1 + k*temporal_patch, ...]."""

    def __init__(self, dim: int, patch: int, temporal_patch: int, filter_channels: int = 0) -> None:
        super().__init__()
        self.patch, self.temporal_patch = patch, temporal_patch
        self.first_frame = Linear(dim, 3 * patch * patch)
        self.later_frames = Linear(dim, 3 * temporal_patch * patch * patch)
        self.filter = PatchFilter(filter_channels, patch) if filter_channels else nn.Identity()

    @property
    def linear_maps(self) -> tuple[nn.Linear, nn.Linear]:
        """Those to a patch of the first frame and of a group of later ones."""
        return self.first_frame, self.later_frames

    def forward(self, features: Tensor, change: Tensor | None = None) -> Tensor:
        """Pixels are in [-0.5, 0.5] when trained so; nothing is clamped here.

        ``change``, of the video's shape, is added before patches are joined.
        """
        return self.filter(self._pixels(features, change))

    def by_bands(self, features: Iterable[Tensor], changes: Iterable[Tensor | None]) -> Iterator[Tensor]:
        """As :meth:`forward`, band by band."""
        videos = map(self._pixels, features, changes)
        if not isinstance(self.filter, PatchFilter):
            return iter(videos)
        # Of what takes more room than features, half at a time: whole patches.
        halves = (half for video in videos for half in video.split(self._half(video), dim=3))
        return self.filter.by_bands(halves)

    def _half(self, video: Tensor) -> int:
        patches = video.shape[3] // self.patch
        return -(-patches // 2) * self.patch

    def _pixels(self, features: Tensor, change: Tensor | None) -> Tensor:
        video = self._laid(features)
        return video if change is None else video + change.to(video.dtype)

    def _laid(self, features: Tensor) -> Tensor:
        first = lay_patches(self.first_frame(features[:, :1]), 1, self.patch)
        if features.shape[1] == 1:
            return first
        later = lay_patches(self.later_frames(features[:, 1:]), self.temporal_patch, self.patch)
        return torch.cat([first, later], dim=2)
