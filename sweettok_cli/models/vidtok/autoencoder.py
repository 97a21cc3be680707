"""VidTok's encoder and decoder: levels of residual blocks in space and in time, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from sweettok_cli.models.vidtok.blocks import (
    ChannelNorm,
    Middle,
    ResidualBlock,
    SpatialDownsample,
    SpatialUpsample,
    TemporalDownsample,
    TemporalUpsample,
    time_conv,
)
from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.memory import GROUP_SIZE, FrameDoubler, FrameMemory, regroup


class Level(nn.Module):
    """Half of a level: blocks that work on pictures, or in time, and what changes the size after them."""

    def __init__(
        self, blocks: list[ResidualBlock], down: nn.Module | None = None, up: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.block = nn.ModuleList(blocks)
        self.downsample, self.upsample = down, up


def _in_space(wide: int, width: int, count: int) -> list[ResidualBlock]:
    return [ResidualBlock.spatial(wide if index == 0 else width, width) for index in range(count)]


def _in_time(config: VidTokConfig, width: int, count: int) -> list[ResidualBlock]:
    return [ResidualBlock.temporal(config, width) for _ in range(count)]


def _level(spatial: Level, temporal: Level, x: Tensor, memory: FrameMemory) -> Tensor:
    for in_space, in_time in zip(spatial.block, temporal.block, strict=True):
        x = in_time(in_space(x, memory), memory)
    if spatial.downsample is not None:
        x = spatial.downsample(x)
    if temporal.downsample is not None:
        x = temporal.downsample(x, memory)
    return x


class Encoder(nn.Module):
    """Frames in, latents before the regulariser out (published: ``EncoderCausal3DPadding``)."""

    def __init__(self, config: VidTokConfig) -> None:
        super().__init__()
        widths, count = [config.width * m for m in config.multipliers], config.encoder_blocks
        self.group_size = GROUP_SIZE if config.causal else None
        self.conv_in = time_conv(config, nn.Conv3d(3, config.width, 3))
        self.down = nn.ModuleList(
            Level(
                _in_space(wide, width, count),
                SpatialDownsample(width) if level in config.spatial_down else None,
            )
            for level, (wide, width) in enumerate(zip([config.width, *widths], widths, strict=False))
        )
        self.down_temporal = nn.ModuleList(
            Level(
                _in_time(config, width, count),
                TemporalDownsample(config, width) if level in config.temporal_down else None,
            )
            for level, width in enumerate(widths)
        )
        self.mid = Middle(config, widths[-1])
        self.norm_out = ChannelNorm(widths[-1])
        self.conv_out = time_conv(config, nn.Conv3d(widths[-1], config.encoder_channels, 3))

    def forward(self, frames: Tensor, memory: FrameMemory) -> Iterator[Tensor]:
        """Frames [b, t, h, w, 3] of a stream -> latents [b, t', h', w', c], as they become ready.

        ``t`` must be a multiple of the factor by which time shrinks.
        """
        pieces = regroup([frames], self.group_size, growth=self.conv_in.weight.shape[0] / 3)
        pieces = (self.conv_in(x, memory) for x in pieces)
        levels: Iterator[tuple[Any, Any]] = zip(self.down, self.down_temporal, strict=True)
        for spatial, temporal in levels:
            pieces = regroup(pieces, self.group_size, 1 if temporal.downsample is None else 2)
            pieces = map(partial(_level, spatial, temporal, memory=memory), pieces)
        for x in regroup(pieces, self.group_size):
            x = F.silu(self.norm_out(self.mid(x, memory)), inplace=True)
            yield self.conv_out(x, memory)


class Decoder(nn.Module):
    """Latents in, frames out, also those before the clip (published: ``DecoderCausal3DPadding``)."""

    def __init__(self, config: VidTokConfig) -> None:
        super().__init__()
        widths, count = [config.width * m for m in config.multipliers], config.decoder_blocks
        self.interpolates = config.interpolates
        self.group_size = GROUP_SIZE if config.causal else None
        self.conv_in = time_conv(config, nn.Conv3d(config.channels, widths[-1], 3))
        self.mid = Middle(config, widths[-1])
        self.up = nn.ModuleList(
            Level(
                _in_space(wide, width, count),
                up=SpatialUpsample(width) if level in config.spatial_up else None,
            )
            for level, (width, wide) in enumerate(zip(widths, [*widths[1:], widths[-1]], strict=True))
        )
        self.up_temporal = nn.ModuleList(
            Level(
                _in_time(config, width, count),
                up=TemporalUpsample(config, width) if level in config.temporal_up else None,
            )
            for level, width in enumerate(widths)
        )
        self.norm_out = ChannelNorm(widths[0])
        self.conv_out = time_conv(config, nn.Conv3d(widths[0], 3, 3))

    def doublers(self) -> list[FrameDoubler]:
        """New states for the interpolations of one stream, deepest first; none where frames are repeated."""
        times = sum(temporal.upsample is not None for temporal in self.up_temporal)
        return [FrameDoubler(2**done) for done in range(times)] if self.interpolates else []

    def forward(
        self, latents: Tensor | None, memory: FrameMemory, doublers: list[FrameDoubler]
    ) -> Iterator[Tensor]:
        """Latents [b, t', h', w', c] of a stream -> frames [b, t, h, w, 3], as they become ready.

        Frames whose neighbours are yet to come are held back in ``doublers``; without latents none will come.
        """
        size, waiting = self.group_size, list(doublers)
        growth = self.conv_in.weight.shape[0] / self.conv_in.weight.shape[1]
        pieces = regroup([] if latents is None else [latents], size, growth=growth)
        pieces = (self.mid(self.conv_in(x, memory), memory) for x in pieces)
        levels: Iterator[tuple[Any, Any]] = zip(reversed(self.up), reversed(self.up_temporal), strict=True)
        for spatial, temporal in levels:
            pieces = regroup(pieces, size)
            pieces = map(partial(_level, spatial, temporal, memory=memory), pieces)
            if spatial.upsample is not None:
                pieces = map(spatial.upsample, regroup(pieces, size, growth=4))
            if temporal.upsample is not None:
                if waiting:
                    pieces = waiting.pop(0).push(regroup(pieces, size), closed=latents is None)
                pieces = regroup(pieces, size, growth=1 if self.interpolates else 2)
                pieces = map(partial(temporal.upsample, memory=memory), pieces)
        for x in regroup(pieces, size):
            yield self.conv_out(F.silu(self.norm_out(x), inplace=True), memory)
