"""SweetTok: video to spatial and temporal word tokens, and back (arXiv 2412.10443).

    video -> patches -+-> spatial queries  -> adjectives + noun --+-> mask tokens -> proxy codes -> pixels
                      +-> temporal queries -> adverbs + verb -----+

Networks without proxy codes turn the decoder's features into pixels directly; anchored ones have linear paths
around the stacks (:mod:`~sweettok_cli.models.sweettok.anchors`). Flattened queries read space and time at
once (:mod:`~sweettok_cli.models.sweettok.flattened`).
One class for all sizes: :class:`SweetTokConfig` describes the published network by default.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.codebook.prior import WordPrior
from sweettok_cli.models.common.linear import Linear, by_rows
from sweettok_cli.models.common.patches import ToPixels
from sweettok_cli.models.common.tiles import TileGrid, frame_differences
from sweettok_cli.models.sweettok.anchors import SpatialAnchor, make_anchors
from sweettok_cli.models.sweettok.autoencoder import Decoder, Encoder, ProxyHead, ProxyPixels
from sweettok_cli.models.sweettok.config import SweetTokConfig
from sweettok_cli.models.sweettok.detail import LEAST_PRICE, Detail, Refined
from sweettok_cli.models.sweettok.flattened import FlattenedDecoder, FlattenedEncoder
from sweettok_cli.models.sweettok.quantizer import LanguageQuantizer, Quantized

# What a temporal token removes of the error, in what its linear path alone does: of 1, 2, 4, 8 and 16, 8 and
# then 4 leave least error at equal bits.
_BEYOND_LINEAR = 6.0
# Share of the columns that a clip usually does without.
_WEAKEST = 0.25


class TokenPair(NamedTuple):
    """Something for each token: ids [b, S, 3] and [b, T, 3], or vectors [b, S, c] and [b, T, c']."""

    spatial: Tensor
    temporal: Tensor


@dataclass(frozen=True)
class Choice:
    """Which tokens a clip has, of a network with levels.

    ``present`` [b, T]: which columns have a temporal token. ``detail`` [b, t, h, w, levels]: ids of the
    cells' tokens, of which each has the first ``counts`` [b, t, h, w]; None: no detail is spent yet.
    """

    present: Tensor
    detail: Tensor | None = None
    counts: Tensor | None = None


@dataclass
class SweetTokOutput:
    """One pass through the whole network.

    ``reconstruction`` [b, 3, t, h, w], or None if the network ends in proxy logits; ``logits`` [b, latent
    frames, patch rows, patch columns, codes], or None without a proxy head; ``spatial`` and ``temporal``
    the ids and the codebooks' own losses.
    """

    reconstruction: Tensor | None
    logits: Tensor | None
    spatial: Quantized
    temporal: Quantized
    refined: Refined | None = None  # what tokens of detail added, where they were asked for

    def ids_by_list(self) -> dict[str, Tensor]:
        """Ids by the list they are of: a token is two modifiers and a head."""
        halves = {"spatial": self.spatial.ids, "temporal": self.temporal.ids}
        modifiers = {f"{half}_modifier": ids[..., :2] for half, ids in halves.items()}
        return modifiers | {f"{half}_head": ids[..., 2] for half, ids in halves.items()}

    def codebook_losses(self) -> dict[str, Tensor]:
        """The quantizers' weighted terms by name."""
        return {
            "spatial_encoder": self.spatial.commitment_loss,
            "spatial_codebook": self.spatial.codebook_loss,
            "temporal_encoder": self.temporal.commitment_loss,
            "temporal_codebook": self.temporal.codebook_loss,
        }


class SweetTok(nn.Module):
    """The tokenizer network.

    Frames are a whole number of tiles; clips have 1 + k*temporal_patch frames, anchored networks 1 or all.
    """

    def __init__(self, config: SweetTokConfig, words: WordPrior) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        spatial_code, temporal_code = sum(config.spatial_widths), sum(config.temporal_widths)
        self.encoder = FlattenedEncoder(config) if config.flattened else Encoder(config)
        self.spatial_anchor, self.temporal_anchor = make_anchors(config)
        self.pre_vq_spatial = Linear(dim + getattr(self.spatial_anchor, "width", 0), spatial_code)
        self.pre_vq_temporal = Linear(dim + getattr(self.temporal_anchor, "width", 0), temporal_code)
        self.quantize_spatial = LanguageQuantizer(words.spatial, config, config.spatial_code)
        self.quantize_temporal = LanguageQuantizer(words.temporal, config, config.temporal_code)
        self.post_vq_spatial = Linear(spatial_code, dim)
        self.post_vq_temporal = Linear(temporal_code, dim)
        self.decoder = FlattenedDecoder(config) if config.flattened else Decoder(config)
        self.proxy_head: ProxyHead | None = None
        self.proxy_pixels: ProxyPixels | None = None
        self.to_pixels: ToPixels | None = None
        self.detail = Detail(config, len(words.spatial.heads)) if config.levels else None
        if config.proxy_codes:
            self.proxy_head = ProxyHead(dim, config.proxy_hidden, config.proxy_codes)
            if config.pixels:
                self.proxy_pixels = ProxyPixels(config)
        else:
            self.to_pixels = ToPixels(dim, config.patch, config.temporal_patch, config.filter_channels)

    def motion_parts(self) -> list[nn.Module | nn.Parameter]:
        """What only clips of more than one frame pass through: the temporal half."""
        anchors = [] if self.temporal_anchor is None else [self.temporal_anchor]
        around = [self.pre_vq_temporal, self.quantize_temporal, self.post_vq_temporal]
        return [*self.encoder.motion_parts(), *self.decoder.motion_parts(), *anchors, *around]

    def encoding_parts(self) -> list[nn.Module | nn.Parameter]:
        """What a token depends on; the spatial anchor too, as motion may be what appearance leaves over."""
        anchors = [] if self.spatial_anchor is None else [self.spatial_anchor]
        vq = [self.pre_vq_spatial, self.pre_vq_temporal, self.quantize_spatial, self.quantize_temporal]
        return [self.encoder, *anchors, *vq]

    def freeze_codebook(self) -> None:
        """Make both codebooks constants that are projected once (final stage of training, inference)."""
        self.quantize_spatial.freeze_codebook()
        self.quantize_temporal.freeze_codebook()

    def quantize(self, video: Tensor) -> tuple[Quantized, Quantized]:
        """Video [b, 3, t, h, w] in [-0.5, 0.5] -> spatial and temporal tokens; no temporal ones if t is 1.

        Raises ValueError for a size or length that does not fit.
        """
        frames, height, width = video.shape[2:]
        self.config.token_counts(height, width, frames)  # refuses what does not fit
        grid = self.config.patch_grid(height, width)
        embedded = self.encoder.embed(video)
        latents, features, found = self.spatial_latents(embedded, grid)
        spatial = self.quantize_spatial(latents)
        motion = self.motion(embedded, features, spatial.vectors, grid)
        return spatial, self.quantize_temporal(self.temporal_latents(motion, grid, found))

    def spatial_latents(self, embedded: Tensor, grid: TileGrid) -> tuple[Tensor, Tensor, Tensor | None]:
        """Patch embeddings [b, t, h, w, d] -> vectors to quantise [b, S, c].

        Also returns what the stack made of the embeddings, [b, t, h, w, d], and what flattened queries have
        found for the temporal tokens, [b, T, d]; None of decoupled ones.
        """
        if isinstance(self.encoder, FlattenedEncoder):
            vectors, found, features = self.encoder.read(embedded, grid)
            return self.to_spatial_code(vectors, features), features, found
        vectors, features = self.encoder.encode_space(embedded, grid)
        return self.to_spatial_code(vectors, features), features, None

    def to_spatial_code(self, vectors: Tensor, features: Tensor) -> Tensor:
        """What queries found [b, S, d], and features [b, t, h, w, d] -> vectors to quantise [b, S, c]."""
        if self.spatial_anchor is None:
            return F.normalize(self.pre_vq_spatial(vectors).float(), dim=-1)
        own = self.spatial_anchor.gather(features)
        return self.pre_vq_spatial(torch.cat([vectors, own], dim=-1)).float()

    def temporal_latents(self, motion: Tensor, grid: TileGrid, found: Tensor | None = None) -> Tensor:
        """Motion [b, t, h, w, d] -> vectors to quantise [b, T, c]; T is 0 if t is 0.

        ``found`` is what flattened queries have found already.
        """
        if not motion.shape[1]:
            return motion.new_zeros(motion.shape[0], 0, self.pre_vq_temporal.out_features).float()
        if isinstance(self.encoder, FlattenedEncoder):
            assert found is not None
            return self.to_temporal_code(found, motion)
        return self.to_temporal_code(*self.encoder.encode_time(motion, grid))

    def to_temporal_code(self, vectors: Tensor, motion: Tensor) -> Tensor:
        """What queries found [b, T, d], and motion [b, t, h, w, d] -> vectors to quantise [b, T, c]."""
        if self.temporal_anchor is None:
            return F.normalize(self.pre_vq_temporal(vectors).float(), dim=-1)
        own = self.temporal_anchor.gather(motion)
        return self.pre_vq_temporal(torch.cat([vectors, own], dim=-1)).float()

    def motion(self, embedded: Tensor, features: Tensor, spatial: Tensor, grid: TileGrid) -> Tensor:
        """What temporal queries read, [b, t, h, w, d]; t is 0 for a single frame.

        Published: differences of neighbouring patch ``embedded``. ``residual``: the ``features`` of the
        spatial stack less what the quantised ``spatial`` vectors already say about every latent frame.
        Flattened: ``features`` behind the first latent frame.
        """
        if embedded.shape[1] == 1:
            return embedded[:, :0]
        if self.config.flattened:
            return features[:, 1:]
        if self.config.motion == "differences":
            return frame_differences(embedded)
        assert isinstance(self.spatial_anchor, SpatialAnchor)
        return features - self.spatial_anchor.spread(spatial.to(features.dtype), grid.height, grid.width)

    def encode(self, video: Tensor) -> TokenPair:
        """Video [b, 3, t, h, w] in [-0.5, 0.5] -> ids [b, S, 3], [b, T, 3] (two modifiers, head).

        A single frame has no temporal tokens (T = 0). Raises ValueError for a size or length that does not
        fit.
        """
        spatial, temporal = self.quantize(video)
        return TokenPair(spatial.ids, temporal.ids)

    def codes(self, spatial_ids: Tensor, temporal_ids: Tensor, present: Tensor | None = None) -> TokenPair:
        """Ids [b, S, 3] and [b, T, 3] -> the quantised vectors they stand for, [b, S, c] and [b, T, c'].

        ``present`` [b, T] says which columns have a temporal token; by default all.
        """
        temporal = self.quantize_temporal.codes(temporal_ids)
        if present is not None:
            temporal = self.thinned(temporal, present)
        return TokenPair(self.quantize_spatial.codes(spatial_ids), temporal)

    def thinned(self, temporal: Tensor, present: Tensor) -> Tensor:
        """Vectors of temporal tokens [b, T, c'] with those that are not ``present`` [b, T] left out."""
        assert self.detail is not None
        return torch.where(present.unsqueeze(-1), temporal, self.detail.absent.to(temporal.dtype))

    def motion_energy(self, temporal: Tensor) -> Tensor:
        """About how much squared error of a clip each temporal token [b, T, c'] removes: [b, T].

        That of the pixels which the linear path alone makes of it, against those of a column without one,
        times what other paths and columns add to it on average.
        """
        assert self.detail is not None and self.temporal_anchor is not None
        assert isinstance(self.to_pixels, ToPixels)
        anchor = self.temporal_anchor.to_features
        change = F.linear(temporal - self.detail.absent.to(temporal.dtype), anchor.weight).float()
        frames = change.unflatten(-1, (-1, self.config.dim))  # [b, T, t, d]
        first, later = frames[:, :, 0], frames[:, :, 1:]
        gram = [part.weight.float().T @ part.weight.float() for part in self.to_pixels.linear_maps]
        energy = torch.einsum("btd,de,bte->bt", first, gram[0], first)
        return _BEYOND_LINEAR * (energy + torch.einsum("btkd,de,btke->bt", later, gram[1], later))

    @property
    def motion_bits(self) -> float:
        """Of a temporal token."""
        return self.quantize_temporal.bits

    def usual_price(self, energy: Tensor) -> Tensor:
        """What a bit of a clip must usually remove, [b], by the ``energy`` of its columns [b, T].

        The weakest quarter of the columns does not: about so many are left out when a clip has as many bits
        as it would have without levels.
        """
        assert self.detail is not None
        usual = energy.float().quantile(_WEAKEST, dim=1) / self.motion_bits
        return usual.clamp(min=LEAST_PRICE * self.detail.price)

    def decode(
        self,
        spatial_ids: Tensor,
        temporal_ids: Tensor,
        height: int,
        width: int,
        frames: int | None = None,
        choice: Choice | None = None,
    ) -> Tensor:
        """Ids -> video [b, 3, frames, height, width], nominally in [-0.5, 0.5], not clamped.

        ``frames`` defaults to the configured clip length, or to 1 if there are no temporal tokens. ``choice``
        says which tokens there are, of a network with levels; by default all temporal ones, and no detail.
        """
        present, change = (None, None) if choice is None else (choice.present, self.detail_of(choice))
        vectors = self.codes(spatial_ids, temporal_ids, present)
        return self.decode_quantized(*vectors, height, width, frames, change)

    def detail_of(self, choice: Choice) -> Tensor | None:
        """What tokens of detail add to a decoded clip, [b, 3, t, h, w]; None where there are none."""
        if self.detail is None or choice.detail is None or choice.counts is None:
            return None
        return self.detail.spread(choice.detail, choice.counts)

    def decode_quantized(
        self,
        spatial: Tensor,
        temporal: Tensor,
        height: int,
        width: int,
        frames: int | None = None,
        change: Tensor | None = None,
    ) -> Tensor:
        """Quantised vectors [b, S, c] and [b, T, c'] -> video [b, 3, frames, height, width].

        ``change`` [b, 3, frames, height, width] is what detail adds.
        """
        features = self.features(spatial, temporal, height, width, frames)
        if self.to_pixels is not None:
            return self.to_pixels(features, change)
        if self.proxy_head is None or self.proxy_pixels is None:
            raise ValueError("this network ends in proxy logits and has no pixel decoder")
        head, proxy = self.proxy_head, self.proxy_pixels
        mixture = by_rows(lambda rows: proxy.mix(head(rows)), features, self.config.proxy_codes)
        return proxy.paint(mixture, self.config.patch_grid(height, width))

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
        latents = self.decoder_latents(spatial, temporal)
        start = self.anchored_features(spatial, temporal, grid)
        return self.decoder(*latents, grid, self.config.latent_frames(frames), start)

    def decoder_latents(self, spatial: Tensor, temporal: Tensor) -> TokenPair:
        """Quantised vectors -> what the decoder reads, [b, S, d] and [b, T, d]."""
        dtype = self.post_vq_spatial.weight.dtype  # codes stay float32 in a network of a narrower type
        return TokenPair(self.post_vq_spatial(spatial.to(dtype)), self.post_vq_temporal(temporal.to(dtype)))

    def anchored_features(self, spatial: Tensor, temporal: Tensor, grid: TileGrid) -> Tensor | None:
        """What anchored tokens say by themselves, [b, 1 or latent frames, h, w, d]; None without anchors."""
        if self.spatial_anchor is None or self.temporal_anchor is None:
            return None
        dtype = self.post_vq_spatial.weight.dtype
        start = self.spatial_anchor.spread(spatial.to(dtype), grid.height, grid.width)
        if not temporal.shape[1]:
            return start
        later = self.temporal_anchor.spread(temporal.to(dtype), grid.height, grid.width)
        return torch.cat([start, later], dim=1) if self.config.flattened else start + later

    def forward(self, video: Tensor, paint: bool = True, factor: Tensor | None = None) -> SweetTokOutput:
        """Video [b, 3, t, h, w] in [-0.5, 0.5] through encoder, codebooks and decoder.

        Without ``paint``, proxy logits are the last output, whatever could be made of them. With a ``factor``
        [b], tokens of motion and of detail are those that remove so many times as much of the squared error
        as is usual for each clip (:meth:`usual_price`).
        """
        frames, height, width = video.shape[2:]
        spatial, temporal = self.quantize(video)
        vectors, present = temporal.vectors, None
        if factor is not None and frames > 1:
            energy = self.motion_energy(vectors.detach())
            price = factor * self.usual_price(energy)
            present = (energy >= (price * self.motion_bits)[:, None]) | factor[:, None].isinf()
            vectors = self.thinned(vectors, present)
        features = self.features(spatial.vectors, vectors, height, width, frames)
        if factor is not None:
            assert self.detail is not None and self.to_pixels is not None
            with torch.no_grad():
                left = video - self.to_pixels(features)
            if present is None:
                price = factor * self.detail.usual_price(left)
            refined = self.detail.refine(left, price)
            made = self.to_pixels(features, refined.change)
            refined.tokens += spatial.ids.shape[1]
            if present is not None:
                refined.tokens += present.sum(1)
            return SweetTokOutput(made, None, spatial, temporal, refined)
        logits = reconstruction = None
        if self.to_pixels is not None:
            reconstruction = self.to_pixels(features)
        elif self.proxy_head is not None:
            logits = self.proxy_head(features)
            if paint and self.proxy_pixels is not None:
                reconstruction = self.proxy_pixels(logits, self.config.patch_grid(height, width))
        return SweetTokOutput(reconstruction, logits, spatial, temporal)


def grown(network: SweetTok, words: WordPrior, **changes: Any) -> SweetTok:
    """The same network with ``changes`` of its configuration; what is new is at its untrained start.

    Raises ValueError for a configuration that there is not.
    """
    made = SweetTok(replace(network.config, **changes), words)
    made.load_state_dict(network.state_dict(), strict=False)
    return made
