"""VidTok's encoder and decoder: levels of residual blocks in space and in time, piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
from sweettok_cli.models.vidtok.memory import GROUP_SIZE, FrameDoubler, Piece, regroup


class SpatialDownLevel(nn.Module):
    """The 2-D half of a level."""

    def __init__(self, wide: int, width: int, blocks: int, downsample: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            ResidualBlock.spatial(wide if index == 0 else width, width) for index in range(blocks)
        )
        self.downsample = SpatialDownsample(width) if downsample else None


class TemporalDownLevel(nn.Module):
    """The half of a level that works in time."""

    def __init__(self, config: VidTokConfig, width: int, downsample: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            ResidualBlock.temporal(config, width) for _ in range(config.encoder_blocks)
        )
        self.downsample = TemporalDownsample(config, width) if downsample else None


class Encoder(nn.Module):
    """Frames in, latents before the regulariser out (published: ``EncoderCausal3DPadding``)."""

    def __init__(self, config: VidTokConfig) -> None:
        super().__init__()
        widths = [config.width * m for m in config.multipliers]
        self.group_size = GROUP_SIZE if config.causal else None
        self.conv_in = time_conv(config, nn.Conv3d(3, config.width, 3))
        self.down = nn.ModuleList(
            SpatialDownLevel(wide, width, config.encoder_blocks, level in config.spatial_down)
            for level, (wide, width) in enumerate(zip([config.width, *widths], widths, strict=False))
        )
        self.down_temporal = nn.ModuleList(
            TemporalDownLevel(config, width, level in config.temporal_down)
            for level, width in enumerate(widths)
        )
        self.mid = Middle(config, widths[-1])
        self.norm_out = ChannelNorm(widths[-1])
        self.conv_out = time_conv(config, nn.Conv3d(widths[-1], config.encoder_channels, 3))

    def forward(self, pieces: Iterable[Piece]) -> Iterator[Tensor]:
        """Pieces of frames [b, t, h, w, 3] -> latents [b, t', h', w', c], as they become ready.

        The frames of a push must together be a multiple of the factor by which time shrinks.
        """
        pieces = self._enter(pieces)
        for spatial, temporal in zip(self.down, self.down_temporal, strict=True):
            pieces = self._level(pieces, spatial, temporal)  # type: ignore[arg-type]
        for x, memory in regroup(pieces, self.group_size):
            x = F.silu(self.norm_out(self.mid(x, memory)), inplace=True)
            yield self.conv_out(x, memory)

    def _enter(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        for x, memory in regroup(pieces, self.group_size, growth=self.conv_in.weight.shape[0] / 3):
            yield Piece(self.conv_in(x, memory), memory)

    def _level(
        self, pieces: Iterable[Piece], spatial: SpatialDownLevel, temporal: TemporalDownLevel
    ) -> Iterator[Piece]:
        for x, memory in regroup(pieces, self.group_size, 1 if temporal.downsample is None else 2):
            for in_space, in_time in zip(spatial.block, temporal.block, strict=True):
                x = in_time(in_space(x, memory), memory)
            if spatial.downsample is not None:
                x = spatial.downsample(x)
            if temporal.downsample is not None:
                x = temporal.downsample(x, memory)
            yield Piece(x, memory)


class SpatialUpLevel(nn.Module):
    """The 2-D half of a level."""

    def __init__(self, wide: int, width: int, blocks: int, upsample: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            ResidualBlock.spatial(wide if index == 0 else width, width) for index in range(blocks)
        )
        self.upsample = SpatialUpsample(width) if upsample else None


class TemporalUpLevel(nn.Module):
    """The half of a level that works in time."""

    def __init__(self, config: VidTokConfig, width: int, upsample: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            ResidualBlock.temporal(config, width) for _ in range(config.decoder_blocks)
        )
        self.upsample = TemporalUpsample(config, width) if upsample else None


class Decoder(nn.Module):
    """Latents in, frames out, also those before the clip (published: ``DecoderCausal3DPadding``)."""

    def __init__(self, config: VidTokConfig) -> None:
        super().__init__()
        widths = [config.width * m for m in config.multipliers]
        self.interpolates = config.interpolates
        self.group_size = GROUP_SIZE if config.causal else None
        self.conv_in = time_conv(config, nn.Conv3d(config.channels, widths[-1], 3))
        self.mid = Middle(config, widths[-1])
        self.up = nn.ModuleList(
            SpatialUpLevel(wide, width, config.decoder_blocks, level in config.spatial_up)
            for level, (width, wide) in enumerate(zip(widths, [*widths[1:], widths[-1]], strict=True))
        )
        self.up_temporal = nn.ModuleList(
            TemporalUpLevel(config, width, level in config.temporal_up) for level, width in enumerate(widths)
        )
        self.norm_out = ChannelNorm(widths[0])
        self.conv_out = time_conv(config, nn.Conv3d(widths[0], 3, 3))

    def doublers(self) -> list[FrameDoubler]:
        """New states for the interpolations of one stream, deepest first; none where frames are repeated."""
        if not self.interpolates:
            return []
        times = sum(temporal.upsample is not None for temporal in self.up_temporal)
        return [FrameDoubler(2**done) for done in range(times)]

    def forward(
        self, pieces: Iterable[Piece], doublers: list[FrameDoubler], closed: bool = True
    ) -> Iterator[Tensor]:
        """Pieces of latents [b, t', h', w', c] -> frames [b, t, h, w, 3], as they become ready.

        Frames whose neighbours are yet to come are held back in ``doublers``, unless ``closed``.
        """
        pieces = self._enter(pieces)
        waiting = list(doublers)
        for spatial, temporal in zip(reversed(self.up), reversed(self.up_temporal), strict=True):
            pieces = self._level(pieces, spatial, temporal)  # type: ignore[arg-type]
            if spatial.upsample is not None:
                pieces = self._enlarge(pieces, spatial.upsample)  # type: ignore[arg-type]
            if temporal.upsample is not None:
                if waiting:
                    pieces = waiting.pop(0).push(regroup(pieces, self.group_size), closed)
                pieces = self._upsample(pieces, temporal.upsample)  # type: ignore[arg-type]
        for x, memory in regroup(pieces, self.group_size):
            yield self.conv_out(F.silu(self.norm_out(x), inplace=True), memory)

    def _enter(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        growth = self.conv_in.weight.shape[0] / self.conv_in.weight.shape[1]
        for x, memory in regroup(pieces, self.group_size, growth=growth):
            yield Piece(self.mid(self.conv_in(x, memory), memory), memory)

    def _level(
        self, pieces: Iterable[Piece], spatial: SpatialUpLevel, temporal: TemporalUpLevel
    ) -> Iterator[Piece]:
        for x, memory in regroup(pieces, self.group_size):
            for in_space, in_time in zip(spatial.block, temporal.block, strict=True):
                x = in_time(in_space(x, memory), memory)
            yield Piece(x, memory)

    def _enlarge(self, pieces: Iterable[Piece], upsample: SpatialUpsample) -> Iterator[Piece]:
        for x, memory in regroup(pieces, self.group_size, growth=4):
            yield Piece(upsample(x), memory)

    def _upsample(self, pieces: Iterable[Piece], upsample: TemporalUpsample) -> Iterator[Piece]:
        for x, memory in regroup(pieces, self.group_size, growth=1 if upsample.interpolated else 2):
            yield Piece(upsample(x, memory), memory)
