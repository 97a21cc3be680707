"""SweetTok: video to spatial and temporal word tokens, and back (arXiv 2412.10443).

    video -> patches -+-> spatial queries  -> adjectives + noun --+-> mask tokens -> proxy codes -> pixels
                      +-> temporal queries -> adverbs + verb -----+

One class for all sizes: :class:`SweetTokConfig` describes the published network by default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.models.config import SweetTokConfig
from sweettok_cli.models.dqae import Decoder, Encoder
from sweettok_cli.models.patches import ToPixels
from sweettok_cli.models.pixel_decoder import ProxyHead, ProxyPixels
from sweettok_cli.models.quantizers import LanguagePrior, LanguageQuantizer, Quantized


class TokenPair(NamedTuple):
    """Something for each token: ids [b, S, 3] and [b, T, 3], or vectors [b, S, d] and [b, T, d]."""

    spatial: Tensor
    temporal: Tensor


@dataclass
class SweetTokOutput:
    """One pass through the whole network.

    ``reconstruction`` [b, 3, t, h, w], or None if the network ends in proxy logits; ``logits`` [b, latent
    frames, patch rows, patch columns, codes], or None without a proxy head; ``quantizer_loss`` the weighted
    sum over both codebooks, of which ``spatial`` and ``temporal`` keep the parts and the ids.
    """

    reconstruction: Tensor | None
    logits: Tensor | None
    spatial: Quantized
    temporal: Quantized

    @property
    def quantizer_loss(self) -> Tensor:
        """To be added to the reconstruction loss."""
        return self.spatial.loss + self.temporal.loss

    @property
    def ids(self) -> TokenPair:
        """Token ids, as :meth:`SweetTok.encode` gives them."""
        return TokenPair(self.spatial.ids, self.temporal.ids)


class SweetTok(nn.Module):
    """The tokenizer network. Frames are a whole number of tiles, clips 1 + k*temporal_patch frames."""

    def __init__(self, config: SweetTokConfig, prior: LanguagePrior) -> None:
        super().__init__()
        self.config = config
        dim, code = config.dim, 2 * config.code_dim
        self.encoder = Encoder(config)
        self.pre_vq_spatial = nn.Linear(dim, code)
        self.pre_vq_temporal = nn.Linear(dim, code)
        weights = (config.code_dropout, config.encoder_weight, config.codebook_weight)
        self.quantize_spatial = LanguageQuantizer(prior.spatial, config.code_dim, *weights)
        self.quantize_temporal = LanguageQuantizer(prior.temporal, config.code_dim, *weights)
        self.post_vq_spatial = nn.Linear(code, dim)
        self.post_vq_temporal = nn.Linear(code, dim)
        self.decoder = Decoder(config)
        self.proxy_head: ProxyHead | None = None
        self.proxy_pixels: ProxyPixels | None = None
        self.to_pixels: ToPixels | None = None
        if config.proxy_codes:
            self.proxy_head = ProxyHead(dim, config.proxy_hidden, config.proxy_codes)
            if config.pixels:
                self.proxy_pixels = ProxyPixels(config)
        else:
            self.to_pixels = ToPixels(dim, config.patch, config.temporal_patch)

    def freeze_codebook(self) -> None:
        """Make both codebooks constants that are projected once (final stage of training, inference)."""
        self.quantize_spatial.freeze_codebook()
        self.quantize_temporal.freeze_codebook()

    def latents(self, video: Tensor) -> TokenPair:
        """Video [b, 3, t, h, w] in [-0.5, 0.5] -> unit vectors [b, S, 2c], [b, T, 2c] to quantise."""
        frames, height, width = video.shape[2:]
        self.config.token_counts(height, width, frames)  # refuses what does not fit
        spatial, temporal = self.encoder(video)
        return TokenPair(
            F.normalize(self.pre_vq_spatial(spatial).float(), dim=-1),
            F.normalize(self.pre_vq_temporal(temporal).float(), dim=-1),
        )

    def encode(self, video: Tensor) -> TokenPair:
        """Video [b, 3, t, h, w] in [-0.5, 0.5] -> ids [b, S, 3], [b, T, 3] (two modifiers, head).

        A single frame has no temporal tokens (T = 0). Raises ValueError for a size or length that does not
        fit.
        """
        latents = self.latents(video)
        return TokenPair(
            self.quantize_spatial(latents.spatial).ids, self.quantize_temporal(latents.temporal).ids
        )

    def codes(self, spatial_ids: Tensor, temporal_ids: Tensor) -> TokenPair:
        """Ids [b, S, 3] and [b, T, 3] -> the quantised vectors they stand for, [b, S, 2c] and [b, T, 2c]."""
        return TokenPair(self.quantize_spatial.codes(spatial_ids), self.quantize_temporal.codes(temporal_ids))

    def decode(
        self, spatial_ids: Tensor, temporal_ids: Tensor, height: int, width: int, frames: int | None = None
    ) -> Tensor:
        """Ids -> video [b, 3, frames, height, width], nominally in [-0.5, 0.5], not clamped.

        ``frames`` defaults to the configured clip length, or to 1 if there are no temporal tokens.
        """
        return self.decode_quantized(*self.codes(spatial_ids, temporal_ids), height, width, frames)

    def decode_quantized(
        self, spatial: Tensor, temporal: Tensor, height: int, width: int, frames: int | None = None
    ) -> Tensor:
        """Quantised vectors [b, S, 2c] and [b, T, 2c] -> video [b, 3, frames, height, width]."""
        features = self.features(spatial, temporal, height, width, frames)
        if self.to_pixels is not None:
            return self.to_pixels(features)
        if self.proxy_head is None or self.proxy_pixels is None:
            raise ValueError("this network ends in proxy logits and has no pixel decoder")
        return self.proxy_pixels(self.proxy_head(features), self.config.patch_grid(height, width))

    def logits(
        self, spatial: Tensor, temporal: Tensor, height: int, width: int, frames: int | None = None
    ) -> Tensor:
        """Quantised vectors -> proxy logits [b, latent frames, patch rows, patch columns, codes]."""
        if self.proxy_head is None:
            raise ValueError("this network has no proxy head")
        return self.proxy_head(self.features(spatial, temporal, height, width, frames))

    def features(
        self, spatial: Tensor, temporal: Tensor, height: int, width: int, frames: int | None = None
    ) -> Tensor:
        """Quantised vectors -> decoder features [b, latent frames, patch rows, patch columns, d]."""
        if frames is None:
            frames = self.config.frames if temporal.shape[1] else 1
        grid = self.config.patch_grid(height, width)
        expected = self.config.token_counts(height, width, frames)
        if (spatial.shape[1], temporal.shape[1]) != expected:
            raise ValueError(
                f"{spatial.shape[1]} spatial and {temporal.shape[1]} temporal tokens do not fit "
                f"{frames} frames of {width}x{height}: {expected[0]} and {expected[1]} are needed"
            )
        # Codes stay float32 in a network of a narrower type.
        dtype = self.post_vq_spatial.weight.dtype
        return self.decoder(
            self.post_vq_spatial(spatial.to(dtype)),
            self.post_vq_temporal(temporal.to(dtype)),
            grid,
            self.config.latent_frames(frames),
        )

    def forward(self, video: Tensor) -> SweetTokOutput:
        """Video [b, 3, t, h, w] in [-0.5, 0.5] through encoder, codebooks and decoder."""
        frames, height, width = video.shape[2:]
        latents = self.latents(video)
        spatial = self.quantize_spatial(latents.spatial)
        temporal = self.quantize_temporal(latents.temporal)
        features = self.features(spatial.vectors, temporal.vectors, height, width, frames)
        logits = reconstruction = None
        if self.to_pixels is not None:
            reconstruction = self.to_pixels(features)
        elif self.proxy_head is not None:
            logits = self.proxy_head(features)
            if self.proxy_pixels is not None:
                reconstruction = self.proxy_pixels(logits, self.config.patch_grid(height, width))
        return SweetTokOutput(reconstruction, logits, spatial, temporal)
