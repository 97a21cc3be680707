"""OmniTokenizer: video and images to one grid of code indices, and back (arXiv 2406.09399).

    video -> patches -> spatial layers -> temporal layers -> unit vectors of 8 -> nearest of 8192 codes
    codes -> temporal layers -> spatial layers -> pixels

The published vector-quantised network; parity is tested against golden tensors. An image is a clip of one
frame: it passes the temporal layers too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.models.common.linear import Linear
from sweettok_cli.models.common.patches import PatchEmbedding, ToPixels, cut_first_frame, cut_later_frames
from sweettok_cli.models.common.settings import Blocks, Whole, check_settings
from sweettok_cli.models.common.tiles import TileGrid, TimeColumns
from sweettok_cli.models.common.transformer import StackConfig, Transformer
from sweettok_cli.models.omnitokenizer.quantizer import NearestCode


@dataclass(frozen=True)
class OmniConfig:
    """Shape of the network; the defaults are the published one.

    Stacks are block strings of :class:`StackConfig`: ``t`` attention over the whole frame (or over time),
    ``w`` attention in windows of ``window x window`` patches.
    """

    patch: Annotated[int, Whole(1, 64)] = 8  # pixels
    temporal_patch: Annotated[int, Whole(1, 64)] = 4  # frames after the first one that share a latent frame
    encoder_spatial: Annotated[str, Blocks("tw")] = "ttww"
    encoder_temporal: Annotated[str, Blocks("t")] = "tttt"
    decoder_spatial: Annotated[str, Blocks("tw")] = "tttt"
    decoder_temporal: Annotated[str, Blocks("t")] = "tttt"
    window: Annotated[int, Whole(1, 32)] = 8  # patches
    dim: Annotated[int, Whole(1, 16_384)] = 512
    heads: Annotated[int, Whole(1, 256)] = 8
    head_dim: Annotated[int, Whole(4, 1024)] = 64
    codes: Annotated[int, Whole(1, 1 << 20)] = 8192
    code_dim: Annotated[int, Whole(1, 16_384)] = 8
    frames: Annotated[int, Whole(1, 1025)] = 17  # of the clips that the published network was trained on

    def __post_init__(self) -> None:
        check_settings(self)
        if (self.frames - 1) % self.temporal_patch:
            raise ValueError(f"frames = {self.frames} is not 1 + k * {self.temporal_patch}")
        if self.head_dim % 4:
            raise ValueError(f"head_dim = {self.head_dim} is not a multiple of 4")
        if "w" in self.encoder_spatial + self.decoder_spatial and self.dim % self.heads:
            raise ValueError(f"dim = {self.dim} is not a multiple of {self.heads}")

    def spatial(self, blocks: str) -> StackConfig:
        """A stack that sees the patches of each frame and, by position convolution, the frames before."""
        return self._stack(blocks, rotary=True)

    def temporal(self, blocks: str) -> StackConfig:
        """A stack that sees one patch column over time, only what came before."""
        return self._stack(blocks, scrambled=True, causal=True)

    def _stack(self, blocks: str, **changes: Any) -> StackConfig:
        sizes = {name: getattr(self, name) for name in ("dim", "heads", "head_dim", "window")}
        return StackConfig(blocks, **sizes, position_convolution=True, **changes)

    @property
    def multiple(self) -> int:
        """Frames must be a whole number of windows: sides are multiples of this many pixels."""
        return self.patch * self.window

    def patch_grid(self, height: int, width: int) -> TileGrid:
        """The patches of a frame of ``height x width`` pixels, which all see each other.

        Raises ValueError if the frame is not a whole number of windows; pad it first.
        """
        if height % self.multiple or width % self.multiple or not height or not width:
            raise ValueError(f"frames of {width}x{height} are not a multiple of {self.multiple} pixels")
        return TileGrid.whole(height // self.patch, width // self.patch)


class OmniEncoder(nn.Module):
    """Video to a feature volume: patches, layers over space, then layers over time."""

    def __init__(self, config: OmniConfig) -> None:
        super().__init__()
        self.config = config
        pixels = 3 * config.patch**2
        self.embed_first_frame = PatchEmbedding(pixels, config.dim)
        self.embed_later_frames = PatchEmbedding(config.temporal_patch * pixels, config.dim)
        self.spatial = Transformer(config.spatial(config.encoder_spatial))
        self.temporal = Transformer(config.temporal(config.encoder_temporal))

    def forward(self, video: Tensor) -> Tensor:
        """[b, 3, 1 + k*temporal_patch, h, w] -> [b, 1 + k, h/patch, w/patch, d]."""
        grid = self.config.patch_grid(*video.shape[-2:])
        volume = self.spatial(self.embed(video), grid)
        return self.temporal(volume, TimeColumns(grid.height, grid.width))

    def embed(self, video: Tensor) -> Tensor:
        """The patches alone, in the shape of :meth:`forward`."""
        patch, temporal_patch = self.config.patch, self.config.temporal_patch
        first = self.embed_first_frame(cut_first_frame(video, patch))
        if video.shape[2] == 1:
            return first
        later = self.embed_later_frames(cut_later_frames(video, patch, temporal_patch))
        return torch.cat([first, later], dim=1)


class PixelDecoder(nn.Module):
    """Latent volume to video: temporal transformer first, then spatial, then pixels (OmniTokenizer)."""

    def __init__(self, spatial: StackConfig, temporal: StackConfig, patch: int, temporal_patch: int) -> None:
        super().__init__()
        self.temporal = Transformer(temporal)
        self.spatial = Transformer(spatial)
        self.to_pixels = ToPixels(spatial.dim, patch, temporal_patch)

    def forward(self, latents: Tensor, grid: TileGrid) -> Tensor:
        """Latents [b, t, h, w, d] -> video [b, 3, 1 + (t-1)*temporal_patch, ...], not clamped."""
        latents = self.temporal(latents, TimeColumns(grid.height, grid.width))
        return self.to_pixels(self.spatial(latents, grid))


class OmniTokenizer(nn.Module):
    """The tokenizer network.

    Clips have 1 + k*temporal_patch frames, sides are multiples of ``config.multiple`` pixels (64). The
    published network takes squares only; rectangles are our extension: rotary positions count x and y in the
    true grid and windows tile it, which for squares is what was published.
    """

    def __init__(self, config: OmniConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = OmniEncoder(config)
        self.pre_vq = Linear(config.dim, config.code_dim)
        self.codebook = NearestCode(config.codes, config.code_dim)
        self.post_vq = Linear(config.code_dim, config.dim)
        self.decoder = PixelDecoder(
            config.spatial(config.decoder_spatial),
            config.temporal(config.decoder_temporal),
            config.patch,
            config.temporal_patch,
        )

    def latents(self, video: Tensor) -> Tensor:
        """Video [b, 3, t, h, w] in [-0.5, 0.5] -> unit vectors before quantising [b, t', h', w', c], float32.

        Raises ValueError for a size or length that does not fit.
        """
        frames, group = video.shape[2], self.config.temporal_patch
        if frames < 1 or (frames - 1) % group:
            raise ValueError(f"{frames} frames are not 1 + k * {group}")
        return F.normalize(self.pre_vq(self.encoder(video)).float(), dim=-1)

    def encode(self, video: Tensor) -> Tensor:
        """Video [b, 3, t, h, w] in [-0.5, 0.5] -> indices [b, t', h', w'] int64.

        t' = 1 + (t-1)/temporal_patch, h' = h/patch, w' = w/patch. Raises ValueError for a size or length that
        does not fit.
        """
        return self.codebook.nearest(self.latents(video))

    def decode(self, indices: Tensor) -> Tensor:
        """Indices [b, t', h', w'] -> video [b, 3, t, h, w], nominally in [-0.5, 0.5], not clamped."""
        return self.decode_vectors(self.codebook.codes(indices))

    def decode_vectors(self, vectors: Tensor) -> Tensor:
        """Code vectors [b, t', h', w', c] -> video [b, 3, t, h, w], as :meth:`decode`."""
        # Codes may be float32 in a network of a narrower type.
        volume = self.post_vq(vectors.to(self.post_vq.weight.dtype))
        return self.decoder(volume, TileGrid.whole(*vectors.shape[2:4]))
