"""SweetTok on large frames: bands of tiles pass through the network one behind the other.

What :mod:`~sweettok_cli.models.sweettok.network` does to whole frames, layer for layer. Bands are pulled
through: each layer asks the one before it for the next band, and keeps only the rows that it still needs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import repeat

import torch
from torch import Tensor

from sweettok_cli.models.common.bands import Bands
from sweettok_cli.models.common.tiles import Layout, TileGrid, TimeColumns
from sweettok_cli.models.common.transformer import Layer, Transformer
from sweettok_cli.models.sweettok.autoencoder import Decoder, Encoder
from sweettok_cli.models.sweettok.network import Choice, SweetTok, TokenPair
from sweettok_cli.runtime import map_large_blocks

#: Numbers of a feature volume at once: on processors, tensors of up to 32 MiB come from the heap, larger ones
#: are mapped anew each time; accelerators need more to be busy.
MOST_NUMBERS, MOST_ON_DEVICE = 4 << 20, 64 << 20


def choose_bands(network: SweetTok, clips: int, frames: int, height: int, width: int) -> Bands | None:
    """Bands for so many clips at once; None where one would do, or the network needs whole frames.

    Raises ValueError for a size or length that does not fit.
    """
    config = network.config
    numbers = clips * config.latent_frames(frames) * config.dim
    grid, on_cpu = config.patch_grid(height, width), network.decoder.mask_token.device.type == "cpu"
    bands = Bands.cut(grid, numbers, MOST_NUMBERS if on_cpu else MOST_ON_DEVICE)
    if not config.bandable or len(bands.rows) == 1:
        return None
    if on_cpu and numbers * grid.width * grid.tile_height > MOST_NUMBERS:
        map_large_blocks()
    return bands


def encode_bands(network: SweetTok, bands: Bands, videos: Iterable[Tensor], still: bool) -> TokenPair:
    """As :meth:`SweetTok.encode`, of the bands [b, 3, t, h, w] of one video; ``still`` if t is 1."""
    encoder, differences = network.encoder, network.config.motion == "differences"
    assert isinstance(encoder, Encoder)  # flattened networks need whole frames
    before: deque[Tensor] = deque()
    spatial: list[Tensor] = []

    def embed(video: Tensor) -> Tensor:
        volume = encoder.embed(video)
        if differences:
            before.append(volume)
        return volume

    def moving(read: tuple[Tensor, list[Tensor]], grid: TileGrid) -> Tensor:
        features, contexts = read
        vectors = encoder.query_space(contexts, grid, len(features))
        quantized = network.quantize_spatial(network.to_spatial_code(vectors, features))
        spatial.append(quantized.ids)
        own = before.popleft() if differences else features
        return network.motion(own, features, quantized.vectors, grid)

    def latents(read: tuple[Tensor, list[Tensor]], grid: TileGrid) -> Tensor:
        motion, contexts = read
        return network.to_temporal_code(encoder.query_time(contexts, grid, len(motion)), motion)

    read = _through(encoder.spatial_features, bands, _tiles, map(embed, videos), encoder.space_context)
    motions = map(moving, read, bands.grids())
    if still:
        vectors = map(network.temporal_latents, motions, bands.grids())
    else:
        read = _through(encoder.temporal_features, bands, encoder.motion_layout, motions, _fold_columns)
        vectors = map(latents, read, bands.grids())
    temporal = [network.quantize_temporal(found).ids for found in vectors]
    return TokenPair(torch.cat(spatial, dim=1), torch.cat(temporal, dim=1))


def decode_bands(
    network: SweetTok,
    bands: Bands,
    spatial: Tensor,
    temporal: Tensor,
    frames: int,
    choice: Choice | None = None,
) -> Iterator[Tensor]:
    """As :meth:`SweetTok.decode` of ids [b, S, 3] and [b, T, 3]: bands [b, 3, frames, h, w] of the video."""
    decoder, config = network.decoder, network.config
    assert network.to_pixels is not None and isinstance(decoder, Decoder)
    # What each layer will read of the bands that are on their way to it.
    appearance: list[deque[Tensor]] = [deque() for _ in decoder.spatial_latents.layers]
    motion: list[deque[Tensor]] = [deque() for _ in decoder.temporal_latents.layers]

    def begin(grid: TileGrid, spatial: Tensor, temporal: Tensor, present: Tensor | None) -> Tensor:
        vectors = network.codes(spatial, temporal, present)
        contexts = decoder.contexts(*network.decoder_latents(*vectors), grid)
        for queues, found in zip((appearance, motion), contexts, strict=True):
            for queue, context in zip(queues, found, strict=False):
                queue.append(context)
        start = network.anchored_features(*vectors, grid)
        return decoder.begin(grid, len(spatial), config.latent_frames(frames), start)

    queries = [grid.height * grid.width for grid in map(config.query_grid, bands.grids())]
    patches = [grid.height * grid.width * bool(temporal.shape[1]) for grid in bands.grids()]
    sent = repeat(None) if choice is None else choice.present.split(patches, dim=1)
    parts = spatial.split(queries, dim=1), temporal.split(patches, dim=1), sent
    volumes: Iterator[Tensor] = map(begin, bands.grids(), *parts)
    for index, layer in enumerate(decoder.features.layers):
        assert isinstance(layer, Layer)
        read = layer.cross is not None
        contexts = _taken(appearance[index // config.decoder_reads]) if read else None
        volumes = layer.by_bands(volumes, bands, _tiles, contexts)
        reader = decoder.motion_after(index)
        if temporal.shape[1] and reader is not None:
            moving = decoder.motion.layers[reader]
            assert isinstance(moving, Layer)
            volumes = moving.by_bands(volumes, bands, _columns, _taken(motion[reader]))
    return network.to_pixels.by_bands(map(decoder.finish, volumes), _changes(network, bands, choice))


def _changes(network: SweetTok, bands: Bands, choice: Choice | None) -> Iterator[Tensor | None]:
    """What detail adds to each band."""
    if choice is None or choice.detail is None or choice.counts is None:
        return repeat(None)
    heights = [grid.height for grid in bands.grids()]
    parts = zip(choice.detail.split(heights, dim=2), choice.counts.split(heights, dim=2), strict=True)
    return (network.detail_of(replace(choice, detail=ids, counts=counts)) for ids, counts in parts)


def _through(
    stack: Transformer,
    bands: Bands,
    layout: Callable[[TileGrid], Layout],
    volumes: Iterator[Tensor],
    context: Callable[[Tensor, TileGrid], Tensor],
) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """Each band as the stack leaves it, and the contexts that it made after every layer."""
    queues: list[deque[Tensor]] = [deque() for _ in stack.layers]

    def noted(volume: Tensor, grid: TileGrid, queue: deque[Tensor]) -> Tensor:
        queue.append(context(volume, grid))
        return volume

    for layer, queue in zip(stack.layers, queues, strict=True):
        assert isinstance(layer, Layer)
        volumes = map(noted, layer.by_bands(volumes, bands, layout), bands.grids(), repeat(queue))
    return map(lambda volume: (volume, [queue.popleft() for queue in queues]), volumes)  # noqa: C417


def _taken(queue: deque[Tensor]) -> Iterator[Tensor]:
    """What is in the queue by the time it is asked for."""
    while True:
        yield queue.popleft()


def _tiles(grid: TileGrid) -> Layout:
    return grid


def _columns(grid: TileGrid) -> Layout:
    return TimeColumns(grid.height, grid.width)


def _fold_columns(volume: Tensor, grid: TileGrid) -> Tensor:
    return _columns(grid).fold(volume)
