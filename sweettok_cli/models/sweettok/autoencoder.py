"""The decoupled query autoencoder: appearance and motion through separate queries (SweetTok, 3.2).

Every volume is [b, t, h, w, d] with t latent frames (the first frame, then one per group of frames). Spatial
queries read each layer of the feature stack, averaged over time; temporal queries, one per patch column, read
what moves: the differences of neighbouring latent frames, or what appearance leaves over of each.

The published network ends in codes of a proxy tokenizer, OmniTokenizer, whose decoder makes the pixels (3.3).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.models.common.linear import Linear
from sweettok_cli.models.common.patches import PatchEmbedding, cut_first_frame, cut_later_frames
from sweettok_cli.models.common.tiles import (
    Layout,
    TileGrid,
    TimeColumns,
    tokens_to_volume,
    volume_to_tokens,
)
from sweettok_cli.models.common.transformer import Transformer
from sweettok_cli.models.omnitokenizer.network import PixelDecoder
from sweettok_cli.models.sweettok.config import SweetTokConfig

# Queries are few: where features attend in windows, queries see their whole tile.
_WINDOWS_TO_WHOLE = str.maketrans("as", "tt")


def learned(*shape: int) -> nn.Parameter:
    """Queries and positions start small beside a unit-variance feature."""
    return nn.Parameter(0.02 * torch.randn(*shape))


class FrameEncoder(nn.Module):
    """What every encoder begins with: patches of the first frame and of groups of later ones, embedded."""

    config: SweetTokConfig
    embed_first_frame: nn.Module
    embed_later_frames: nn.Module

    def lay_embeddings(self) -> None:
        """Make the two embeddings; a network's parameters are in the order in which they are made."""
        config = self.config
        # Anchored tokens live on the linear path from pixels to pixels: norms would take away its scale.
        embedding = Linear if config.anchored else PatchEmbedding
        self.embed_first_frame = embedding(3 * config.patch**2, config.dim)
        self.embed_later_frames = embedding(3 * config.temporal_patch * config.patch**2, config.dim)

    def embed(self, video: Tensor) -> Tensor:
        """[b, 3, 1 + k*temporal_patch, h, w] -> [b, 1 + k, h/patch, w/patch, d]."""
        patch, temporal_patch = self.config.patch, self.config.temporal_patch
        first = self.embed_first_frame(cut_first_frame(video, patch))
        if video.shape[2] == 1:
            return first
        later = self.embed_later_frames(cut_later_frames(video, patch, temporal_patch))
        return torch.cat([first, later], dim=1)

    def motion_layout(self, grid: TileGrid) -> Layout:
        """How the temporal stack cuts a volume into sequences."""
        in_space = self.config.motion == "residual" or self.config.windowed_motion
        return grid if in_space else TimeColumns(grid.height, grid.width)


def space_stack(config: SweetTokConfig) -> Transformer:
    """The encoder's stack over the patches of each latent frame."""
    looks = {"position_convolution": True, "rotary": True}
    return Transformer(config.stack(config.encoder_spatial, **looks, norm_out=False))


def time_stack(config: SweetTokConfig) -> Transformer:
    """The encoder's stack over latent frames."""
    moving = {"position_convolution": True, "scrambled": config.scrambled, "causal": True}
    return Transformer(config.stack(config.encoder_temporal, **moving, norm_out=False))


def picture_stack(config: SweetTokConfig) -> Transformer:
    """The decoder's stack over the patches of each latent frame, which reads tokens."""
    return Transformer(
        config.stack(
            config.decoder_spatial,
            position_convolution=True,
            rotary=True,
            cross=True,
            cross_every=config.decoder_reads,
            null_keys=config.null_keys,
            norm_out=not config.anchored,
        )
    )


class Encoder(FrameEncoder):
    """Video to one feature vector a token, before quantisation."""

    def __init__(self, config: SweetTokConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.latent_spatial_tokens = learned(config.spatial_queries**2, dim)
        self.latent_temporal_tokens = learned(config.tile**2, dim)
        self.spatial_position = learned(config.spatial_queries**2, dim)
        self.temporal_position = learned(config.tile**2, dim)
        self.lay_embeddings()
        self.spatial_features = space_stack(config)
        query_blocks = config.encoder_spatial.translate(_WINDOWS_TO_WHOLE)
        self.spatial_queries = Transformer(config.stack(query_blocks, rotary=True, cross=True))
        self.temporal_features = time_stack(config)
        self.temporal_queries = Transformer(config.stack("1" * len(config.encoder_temporal), cross=True))
        self.spatial_norm = nn.LayerNorm(dim)
        self.temporal_norm = nn.LayerNorm(dim)
        self.spatial_out = Linear(dim, dim)
        self.temporal_out = Linear(dim, dim)

    def motion_parts(self) -> list[nn.Module | nn.Parameter]:
        """What only clips of more than one frame pass through."""
        stacks = [self.temporal_features, self.temporal_queries, self.temporal_norm, self.temporal_out]
        return [self.latent_temporal_tokens, self.temporal_position, self.embed_later_frames, *stacks]

    def encode_space(self, features: Tensor, grid: TileGrid) -> tuple[Tensor, Tensor]:
        """[b, t, h, w, d] -> one vector a spatial query [b, S, d], raster order over the whole frame.

        Also returns the features as the stack leaves them, [b, t, h, w, d].
        """
        contexts = []
        for layer in self.spatial_features.layers:
            features = layer(features, grid)
            contexts.append(self.space_context(features, grid))
        return self.query_space(contexts, grid, features.shape[0]), features

    def space_context(self, features: Tensor, grid: TileGrid) -> Tensor:
        """What spatial queries read of features [b, t, h, w, d]: [(b tiles), patches, d]."""
        return grid.fold(features.mean(dim=1, keepdim=True))

    def query_space(self, contexts: Iterable[Tensor], grid: TileGrid, batch: int) -> Tensor:
        """One vector a spatial query [b, S, d], from the :meth:`space_context` after each layer."""
        query_grid = self.config.query_grid(grid)
        tokens = query_grid.spread(self.latent_spatial_tokens + self.spatial_position)  # [qh, qw, d]
        queries = tokens.expand(batch, 1, -1, -1, -1)
        for layer, context in zip(self.spatial_queries.layers, contexts, strict=True):
            queries = layer(queries, query_grid, context)
        queries = self.spatial_queries.norm_out(queries)
        return self.spatial_out(self.spatial_norm(volume_to_tokens(queries)))

    def encode_time(self, motion: Tensor, grid: TileGrid) -> tuple[Tensor, Tensor]:
        """Motion [b, t, h, w, d] -> one vector a patch column [b, h*w, d], raster order.

        Motion is frame differences, or what appearance leaves over of each latent frame. Also returns it as
        the stack leaves it, [b, t, h, w, d].
        """
        contexts = []
        for layer in self.temporal_features.layers:
            motion = layer(motion, self.motion_layout(grid))
            contexts.append(TimeColumns(grid.height, grid.width).fold(motion))
        return self.query_time(contexts, grid, motion.shape[0]), motion

    def query_time(self, contexts: Iterable[Tensor], grid: TileGrid, batch: int) -> Tensor:
        """One vector a patch column [b, h*w, d], from the motion [(b h w), t, d] after each layer."""
        columns = TimeColumns(grid.height, grid.width)
        tokens = grid.spread(self.latent_temporal_tokens + self.temporal_position)  # [h, w, d]
        queries = tokens.expand(batch, 1, -1, -1, -1)
        for layer, context in zip(self.temporal_queries.layers, contexts, strict=True):
            queries = layer(queries, columns, context)
        queries = self.temporal_queries.norm_out(queries)
        return self.temporal_out(self.temporal_norm(volume_to_tokens(queries)))


class Decoder(nn.Module):
    """Token vectors to a feature volume: mask tokens read the spatial and temporal latents layer by layer.

    The spatial latents are the same for all frames, so their stack runs once a clip (published code: once a
    latent frame, on copies).
    """

    def __init__(self, config: SweetTokConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.spatial_position = learned(config.spatial_queries**2, dim)
        self.temporal_position = learned(config.tile**2, dim)
        self.position = learned(config.tile**2, dim)
        self.mask_token = learned(dim)
        self.embed_spatial = Linear(dim, dim)
        self.embed_temporal = Linear(dim, dim)
        latent_blocks = config.decoder_spatial.translate(_WINDOWS_TO_WHOLE)[:: config.decoder_reads]
        self.spatial_latents = Transformer(config.stack(latent_blocks, rotary=True, norm_out=False))
        layers = config.decoder_temporal_layers
        self.temporal_latents = Transformer(config.stack("1" * layers, norm_out=False))
        self.features = picture_stack(config)
        self.motion = Transformer(
            config.stack("c" * layers, cross=True, null_keys=config.null_keys, norm_out=False)
        )
        self.norm = nn.Identity() if config.anchored else nn.LayerNorm(dim)

    def motion_parts(self) -> list[nn.Module | nn.Parameter]:
        """What only tokens of clips of more than one frame pass through."""
        return [self.temporal_position, self.embed_temporal, self.temporal_latents, self.motion]

    def forward(
        self, spatial: Tensor, temporal: Tensor, grid: TileGrid, frames: int, start: Tensor | None = None
    ) -> Tensor:
        """Spatial [b, S, d], temporal [b, T, d] -> features [b, frames, h, w, d] on the patch ``grid``.

        ``frames`` counts latent frames. T is 0 for a single image; the layers that read motion are then left
        out. ``start`` [b, 1 or frames, h, w, d] is what anchored tokens put in place of empty mask tokens.
        """
        columns = TimeColumns(grid.height, grid.width)
        appearance, motion = self.contexts(spatial, temporal, grid)
        x = self.begin(grid, spatial.shape[0], frames, start)
        for index, layer in enumerate(self.features.layers):
            x = layer(x, grid, appearance[index // self.config.decoder_reads])
            reader = self.motion_after(index)
            if motion and reader is not None:
                x = self.motion.layers[reader](x, columns, motion[reader])
        return self.finish(x)

    def finish(self, x: Tensor) -> Tensor:
        """The norms after the last layer."""
        return self.norm(self.features.norm_out(x))

    def contexts(
        self, spatial: Tensor, temporal: Tensor, grid: TileGrid
    ) -> tuple[list[Tensor], list[Tensor]]:
        """What the layers read: [(b tiles), queries, d] and [(b h w), 1, d] each; no motion if T is 0."""
        query_grid = self.config.query_grid(grid)
        volume = tokens_to_volume(self.embed_spatial(spatial), query_grid)
        states = self.spatial_latents.states(volume + query_grid.spread(self.spatial_position), query_grid)
        appearance = [query_grid.fold(state) for state in states]
        if not temporal.shape[1]:
            return appearance, []
        columns = TimeColumns(grid.height, grid.width)
        volume = tokens_to_volume(self.embed_temporal(temporal), grid)
        states = self.temporal_latents.states(volume + grid.spread(self.temporal_position), columns)
        return appearance, [columns.fold(state) for state in states]

    def begin(self, grid: TileGrid, batch: int, frames: int, start: Tensor | None) -> Tensor:
        """Mask tokens in their places, or what is put there: [b, frames, h, w, d]."""
        x = self.mask_token + grid.spread(self.position)  # [h, w, d]
        x = x.expand(batch, frames, -1, -1, -1)
        return x if start is None else x + start

    def motion_after(self, layer: int) -> int | None:
        """The layer that reads motion after so many spatial ones, if one does."""
        reader, due = divmod(layer + 1, self.config.temporal_every)
        return None if due else reader - 1


class ProxyHead(nn.Sequential):
    """Features [..., d] -> one logit for each of the proxy tokenizer's codes [..., codes]."""

    def __init__(self, dim: int, hidden: int, codes: int) -> None:
        super().__init__()
        self.add_module("hidden", Linear(dim, hidden))
        self.add_module("activation", nn.Tanh())
        self.add_module("logits", Linear(hidden, codes))


class ProxyPixels(nn.Module):
    """Proxy logits to video: the soft mixture of the proxy tokenizer's codes, decoded by its decoder."""

    embeddings: Tensor

    def __init__(self, config: SweetTokConfig) -> None:
        super().__init__()
        codes = F.normalize(torch.randn(config.proxy_codes, config.proxy_dim), dim=-1)
        self.register_buffer("embeddings", codes)
        self.project = Linear(config.proxy_dim, config.dim)
        self.decoder = PixelDecoder(
            config.stack(config.pixel_spatial, position_convolution=True, rotary=True),
            config.stack(
                config.pixel_temporal, position_convolution=True, scrambled=config.scrambled, causal=True
            ),
            config.patch,
            config.temporal_patch,
        )

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
