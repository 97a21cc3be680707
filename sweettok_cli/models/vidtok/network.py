"""VidTok as a whole: encoder, regulariser, decoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from einops import rearrange
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
from sweettok_cli.models.vidtok.regularizers import FiniteScalarQuantizer, GaussianLatents
from sweettok_cli.models.vidtok.stream import DecoderStream, EncoderStream


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

    def doublers(self, tiled: bool = False) -> list[FrameDoubler]:
        """New states for the interpolations of one stream, deepest first; none where frames are repeated."""
        if not self.interpolates:
            return []
        times = sum(temporal.upsample is not None for temporal in self.up_temporal)
        return [FrameDoubler(2**done, tiled) for done in range(times)]

    def forward(
        self, pieces: Iterable[Piece], doublers: list[FrameDoubler], closed: bool = True
    ) -> Iterator[Tensor]:
        """Pieces of latents [b, t', h', w', c] -> frames [b, t, h, w, 3], as they become ready.

        Frames whose neighbours are yet to come are held back in ``doublers``, unless ``closed``. Of pieces
        with a forked memory only what others need of them is computed.
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
                    if not waiting:
                        pieces = (piece for piece in pieces if piece.memory.parent is None)
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


class VidTok(nn.Module):
    """A published video tokenizer whose tokens lie on a grid of time, height and width.

    Frame counts (``f`` is ``config.time_factor``):

    =============  =======================  ==========  ==========================
    network        takes ``t`` frames       ``t'``      :meth:`decode` gives back
    =============  =======================  ==========  ==========================
    causal, 1.0    ``1 + f * k``            ``1 + k``   ``t``
    causal, 1.0    ``f * k``                ``k``       ``t - (f - 1)``, the last
    causal, 1.1    any                      t / f, up   ``f * t'``, or the last of
    non-causal     ``f * k``                ``k``       ``t``
    =============  =======================  ==========  ==========================

    Height and width must be multiples of ``config.space_factor``. Everything is computed in the number format
    of the weights, or as autocast has it; the quantiser always in float32.

    Source: Tang et al., arXiv:2412.13061, and the published networks of microsoft/VidTok, which this
    reproduces tensor for tensor; except that the entropy of the codes, a training loss, is never computed,
    and that KL latents are not drawn at random unless asked for.
    """

    def __init__(self, config: VidTokConfig) -> None:
        super().__init__()
        self.config = config
        self.quantizer = FiniteScalarQuantizer(config.fsq_levels)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, video: Tensor) -> Tensor | GaussianLatents:
        """Tokens of clips ``video`` [b, 3, t, h, w] in -1 .. 1.

        Returns:
            FSQ: indices, int64 [b, t', h', w'] in 0 .. ``config.codes`` - 1. KL: the distribution of latents
            [b, c, t', h', w'].

        Raises:
            ValueError: the shape is not one that the network takes.
        """
        return self.regularize(self.encode_latent(video))

    def encode_latent(self, video: Tensor) -> Tensor:
        """As :meth:`encode`, before the regulariser: [b, ``config.encoder_channels``, t', h', w']."""
        return EncoderStream(self).push_latent(video)

    def decode(self, latents: Tensor, frames: int | None = None) -> Tensor:
        """Clips [b, 3, t, h, w], about -1 .. 1 but not clamped.

        Args:
            latents: FSQ: integer indices [b, t', h', w']. KL: a mean or a sample [b, c, t', h', w'].
            frames: keep only so many, the last ones: those that were encoded, where fewer than
                ``config.time_factor`` copies of the first frame had to be put before them.

        Raises:
            ValueError: the shape is not one that the network takes, an index is out of range, or there are
                fewer than ``frames`` frames.
        """
        return self.decode_latent(self.to_latents(latents), frames)

    def decode_latent(self, latents: Tensor, frames: int | None = None) -> Tensor:
        """As :meth:`decode`, for ``latents`` [b, c, t', h', w'] of both kinds; FSQ: values of codes."""
        stream = DecoderStream(self)
        video = torch.cat([stream.push_latent(latents), stream.finish()], 2)
        if frames is None:
            return video
        if not 0 < frames <= video.shape[2]:
            raise ValueError(f"{frames} frames asked of latents that hold {video.shape[2]}")
        return video[:, :, -frames:]

    def encoder_stream(self) -> EncoderStream:
        """For encoding one video piece by piece; any number of streams may be open.

        Raises:
            ValueError: the network is not causal.
        """
        self._check_causal()
        return EncoderStream(self)

    def decoder_stream(self, seams: str = "none") -> DecoderStream:
        """For decoding one video piece by piece; ``seams``: see :class:`DecoderStream`.

        Raises:
            ValueError: the network is not causal, or ``seams`` is unknown.
        """
        self._check_causal()
        return DecoderStream(self, seams)

    def regularize(self, latents: Tensor) -> Tensor | GaussianLatents:
        """What :meth:`encode` makes of the encoder's output [b, c, t', h', w']."""
        if self.config.regularizer == "kl":
            return GaussianLatents.from_moments(latents)
        digits = self.quantizer.digits(rearrange(latents, "b c t h w -> b t h w c"))
        return self.quantizer.digits_to_indices(digits)

    def to_latents(self, tokens: Tensor) -> Tensor:
        """What :meth:`decode` is given, as latents [b, c, t', h', w']."""
        if self.config.regularizer == "kl":
            return tokens
        if tokens.dim() != 4 or tokens.is_floating_point():
            raise ValueError(f"indices are integers [b, t, h, w], not {tokens.dtype} {list(tokens.shape)}")
        return rearrange(self.quantizer.indices_to_codes(tokens), "b t h w c -> b c t h w")

    def check_video(self, video: Tensor) -> None:
        """Refuses anything but [b, 3, t, h, w] with ``h`` and ``w`` that the network can divide."""
        factor = self.config.space_factor
        shape = list(video.shape)
        if video.dim() != 5 or shape[1] != 3 or not video.is_floating_point():
            raise ValueError(f"a video is floating-point [b, 3, t, h, w], not {video.dtype} {shape}")
        if not shape[3] or not shape[4] or shape[3] % factor or shape[4] % factor:
            raise ValueError(f"{shape}: height and width are not multiples of {factor} pixels")

    def check_latents(self, latents: Tensor) -> None:
        """Refuses anything but [b, c, t', h', w'] with at least one frame."""
        shape = list(latents.shape)
        if latents.dim() != 5 or shape[1] != self.config.channels or not all(shape[2:]):
            raise ValueError(f"latents are [b, {self.config.channels}, t, h, w], not {shape}")

    def _check_causal(self) -> None:
        if not self.config.causal:
            raise ValueError("a network that is not causal sees whole clips only: it has no streams")

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.decoder.norm_out.norm.weight.dtype

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        return self.decoder.norm_out.norm.weight.device
