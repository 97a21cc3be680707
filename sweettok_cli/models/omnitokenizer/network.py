"""OmniTokenizer: video and images to one grid of codes, or of a few numbers, and back (arXiv 2406.09399).

    video -> patches -> spatial layers -> temporal layers -> unit vectors of 8 -> nearest of 8192 codes
                                                          or normal distributions of 8 numbers (the VAE)
    codes, or 8 numbers -> temporal layers -> spatial layers -> pixels

The published networks; parity is tested against golden tensors. An image is a clip of one frame: it passes
the temporal layers too.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from sweettok_cli.models.common.gaussian import GaussianLatents
from sweettok_cli.models.common.linear import Linear
from sweettok_cli.models.common.patches import PatchEmbedding, ToPixels, cut_first_frame, cut_later_frames
from sweettok_cli.models.common.tiles import TileGrid, TimeColumns
from sweettok_cli.models.common.transformer import StackConfig, Transformer
from sweettok_cli.models.omnitokenizer.config import OmniConfig
from sweettok_cli.models.omnitokenizer.quantizer import NearestCode


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


class OmniOutput(NamedTuple):
    """What a clip becomes, and on the way there."""

    reconstruction: Tensor  # [b, 3, t, h, w], nominally in [-0.5, 0.5]
    latents: Tensor  # [b, t', h', w', c] float32: before quantising, or the means
    indices: Tensor | None  # int64 [b, t', h', w'] of VQ
    # VQ: what draws latents to their codes, weighted; KL: the divergence from the normal distribution, summed
    # over a clip.
    loss: Tensor


class OmniTokenizer(nn.Module):
    """The tokenizer network.

    Clips have 1 + k*temporal_patch frames, sides are multiples of ``config.multiple`` pixels (64). The
    published network takes squares only; rectangles are our extension: rotary positions count x and y in the
    true grid and windows tile it, which for squares is what was published.

    The continuous form (KL) is drawn at random in training only, or where that is asked for; the published
    code always draws it.
    """

    codebook: NearestCode  # of VQ

    def __init__(self, config: OmniConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = OmniEncoder(config)
        self.pre_vq = Linear(config.dim, config.encoder_channels)
        if config.regularizer == "vq":
            self.codebook = NearestCode(config.codes, config.code_dim)
        self.post_vq = Linear(config.code_dim, config.dim)
        self.decoder = PixelDecoder(
            config.spatial(config.decoder_spatial),
            config.temporal(config.decoder_temporal),
            config.patch,
            config.temporal_patch,
        )

    def forward(self, video: Tensor) -> OmniOutput:
        """Clips [b, 3, t, h, w] in [-0.5, 0.5] through their tokens and back, so that gradients pass."""
        if self.config.regularizer == "kl":
            found = self.distribution(video)
            latents = found.sample() if self.training else found.mean
            means = rearrange(found.mean, "b c t h w -> b t h w c")
            return OmniOutput(self.decode(latents), means, None, found.divergence)
        latents = self.latents(video)
        coded = self.codebook(latents)
        return OmniOutput(self.decode_vectors(coded.vectors), latents, coded.indices, coded.loss)

    def latents(self, video: Tensor) -> Tensor:
        """Video [b, 3, t, h, w] in [-0.5, 0.5] -> unit vectors before quantising [b, t', h', w', c], float32.

        Raises ValueError for a size or length that does not fit.
        """
        return F.normalize(self._encoded(video), dim=-1)

    def distribution(self, video: Tensor) -> GaussianLatents:
        """KL: the latents [b, c, t', h', w'] of a video as :meth:`latents` takes it."""
        return GaussianLatents.from_moments(rearrange(self._encoded(video), "b t h w c -> b c t h w"))

    def _encoded(self, video: Tensor) -> Tensor:
        frames, group = video.shape[2], self.config.temporal_patch
        if frames < 1 or (frames - 1) % group:
            raise ValueError(f"{frames} frames are not 1 + k * {group}")
        return self.pre_vq(self.encoder(video)).float()

    def encode(self, video: Tensor) -> Tensor | GaussianLatents:
        """Tokens of a video [b, 3, t, h, w] in [-0.5, 0.5].

        VQ: indices [b, t', h', w'] int64. KL: the distribution of latents [b, c, t', h', w']. There,
        t' = 1 + (t-1)/temporal_patch, h' = h/patch, w' = w/patch. Raises ValueError for a size or length that
        does not fit.
        """
        return self.distribution(video) if self.config.regularizer == "kl" else self.indices(video)

    def indices(self, video: Tensor) -> Tensor:
        """As :meth:`encode`, of VQ."""
        return self.codebook.nearest(self.latents(video))

    def decode(self, tokens: Tensor) -> Tensor:
        """Indices [b, t', h', w'], or latents [b, c, t', h', w'] -> video [b, 3, t, h, w].

        Nominally in [-0.5, 0.5], not clamped.
        """
        if self.config.regularizer == "kl":
            return self.decode_vectors(rearrange(tokens, "b c t h w -> b t h w c"))
        return self.decode_vectors(self.codebook.codes(tokens))

    def decode_vectors(self, vectors: Tensor) -> Tensor:
        """Code vectors or latents [b, t', h', w', c] -> video [b, 3, t, h, w], as :meth:`decode`."""
        # They may be float32, or stored latents float16, in a network of another type.
        volume = self.post_vq(vectors.to(self.post_vq.weight.dtype))
        return self.decoder(volume, TileGrid.whole(*vectors.shape[2:4]))
