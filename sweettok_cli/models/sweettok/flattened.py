"""Flattened queries: one set of them reads space and time together (LARP, Wang et al., arXiv 2410.21264).

What SweetTok (3.2) decouples: here every token's query reads all latent frames of its tile, and the decoder's
patches read all tokens of theirs. Tokens are as many as before, spatial and temporal in name and by the words
that code them, so that either network spends the same on a clip. A single frame is told by the spatial ones
alone. Volumes are [b, t, h, w, d] as in :mod:`~sweettok_cli.models.sweettok.autoencoder`.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from sweettok_cli.models.common.linear import Linear
from sweettok_cli.models.common.tiles import TileGrid, tokens_to_volume, volume_to_tokens
from sweettok_cli.models.common.transformer import Transformer
from sweettok_cli.models.sweettok.autoencoder import (
    FrameEncoder,
    learned,
    picture_stack,
    space_stack,
    time_stack,
)
from sweettok_cli.models.sweettok.config import SweetTokConfig


class FlattenedEncoder(FrameEncoder):
    """Video to one feature vector a token, before quantisation; all queries are of one kind."""

    def __init__(self, config: SweetTokConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.counts = config.spatial_queries**2, config.tile**2  # of a tile
        self.latent_tokens = learned(sum(self.counts), dim)
        self.frame_position = learned(config.latent_frames(config.frames), dim)
        self.lay_embeddings()
        self.spatial_features = space_stack(config)
        self.temporal_features = time_stack(config)
        layers = len(config.encoder_spatial + config.encoder_temporal)
        self.queries = Transformer(config.stack("t" * layers, cross=True))
        self.norm = nn.LayerNorm(dim)
        self.out = Linear(dim, dim)

    def motion_parts(self) -> list[nn.Module | nn.Parameter]:
        """What only clips of more than one frame pass through."""
        return [self.embed_later_frames]

    def read(self, features: Tensor, grid: TileGrid) -> tuple[Tensor, Tensor, Tensor]:
        """[b, t, h, w, d] -> one vector a spatial [b, S, d] and a temporal query [b, T, d], raster order.

        T is 0 if t is 1. Also returns the features as the stacks leave them, [b, t, h, w, d].
        """
        batch, frames = features.shape[:2]
        query_grid, counts = self.config.query_grid(grid), self.counts[: min(frames, 2)]
        queries = self.latent_tokens[: sum(counts)]
        queries = queries.expand(batch * grid.rows * grid.columns, 1, 1, -1, -1)
        tile, layers = TileGrid.whole(1, sum(counts)), iter(self.queries.layers)
        for stack, layout in (
            (self.spatial_features, grid),
            (self.temporal_features, self.motion_layout(grid)),
        ):
            for layer in stack.layers:
                features = layer(features, layout)
                queries = next(layers)(queries, tile, self.context(features, grid))
        found = self.out(self.norm(self.queries.norm_out(queries)))
        vectors = found[:, 0, 0].split(counts, dim=1)  # [(b tiles), queries of a tile, d]
        spatial = volume_to_tokens(query_grid.unfold(vectors[0], 1))
        if frames == 1:
            return spatial, spatial[:, :0], features
        return spatial, volume_to_tokens(grid.unfold(vectors[1], 1)), features

    def context(self, features: Tensor, grid: TileGrid) -> Tensor:
        """What queries read of features [b, t, h, w, d]: [(b tiles), t * patches, d]."""
        frames = features.shape[1]
        placed = features + self.frame_position[:frames, None, None]
        return rearrange(grid.fold(placed), "(n t) cells d -> n (t cells) d", t=frames)


class FlattenedDecoder(nn.Module):
    """Token vectors to a feature volume: mask tokens read all tokens of their tile, layer by layer."""

    def __init__(self, config: SweetTokConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.spatial_position = learned(config.spatial_queries**2, dim)
        self.temporal_position = learned(config.tile**2, dim)
        self.position = learned(config.tile**2, dim)
        self.frame_position = learned(config.latent_frames(config.frames), dim)
        self.mask_token = learned(dim)
        self.embed_spatial = Linear(dim, dim)
        self.embed_temporal = Linear(dim, dim)
        layers = len(config.decoder_spatial[:: config.decoder_reads])
        self.latents = Transformer(config.stack("t" * layers, norm_out=False))
        self.features = picture_stack(config)
        self.norm = nn.Identity() if config.anchored else nn.LayerNorm(dim)

    def motion_parts(self) -> list[nn.Module | nn.Parameter]:
        """What only tokens of clips of more than one frame pass through."""
        return [self.temporal_position, self.embed_temporal]

    def forward(
        self, spatial: Tensor, temporal: Tensor, grid: TileGrid, frames: int, start: Tensor | None = None
    ) -> Tensor:
        """Spatial [b, S, d], temporal [b, T, d] -> features [b, frames, h, w, d] on the patch ``grid``.

        ``frames`` counts latent frames. T is 0 for a single image. ``start`` [b, frames, h, w, d] is what
        anchored tokens put in place of empty mask tokens.
        """
        contexts = self.contexts(spatial, temporal, grid)
        places = self.mask_token + grid.spread(self.position)  # [h, w, d]
        x = (places + self.frame_position[:frames, None, None]).expand(len(spatial), -1, -1, -1, -1)
        x = x if start is None else x + start
        for index, layer in enumerate(self.features.layers):
            x = layer(x, grid, contexts[index // self.config.decoder_reads])
        return self.norm(self.features.norm_out(x))

    def contexts(self, spatial: Tensor, temporal: Tensor, grid: TileGrid) -> list[Tensor]:
        """What the layers read: [(b tiles), tokens of a tile, d] each."""
        query_grid = self.config.query_grid(grid)
        volume = tokens_to_volume(self.embed_spatial(spatial), query_grid)
        tokens = query_grid.fold(volume) + self.spatial_position
        if temporal.shape[1]:
            volume = tokens_to_volume(self.embed_temporal(temporal), grid)
            tokens = torch.cat([tokens, grid.fold(volume) + self.temporal_position], dim=1)
        tile = TileGrid.whole(1, tokens.shape[1])
        return [state[:, 0, 0] for state in self.latents.states(tokens[:, None, None], tile)]
