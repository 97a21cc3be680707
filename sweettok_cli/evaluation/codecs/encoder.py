"""The video encoders that models are held against, the settings they run with, and a clip coded by one."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
import numpy as np
from av.codec.context import CodecContext
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.codecs.rate_search import Scale
from sweettok_cli.runtime import scheduling_kept
from sweettok_cli.video.color import FromRgb, ToRgb, tag_options
from sweettok_cli.video.fit import Fit
from sweettok_cli.video.source import reason

PIXEL_FORMAT = "yuv420p"
# x265 writes past its memory on frames 34 to 54 pixels wide, and older SVT-AV1 refuses less than 64.
SMALLEST_SIDE = 64
#: No more frames between key frames than x264 and x265 have by themselves: one group for most clips.
MOST_BETWEEN = 250
_SEI = 6  # H.264's supplemental information, table 7-1
# Rates that encoders take; variable ones average to fractions that overflow their clocks.
_SLOWEST, _FASTEST, _FINEST = Fraction(1), Fraction(240), 1001


@dataclass(frozen=True)
class Encoder:
    """One encoder of one codec."""

    library: str  # libavcodec's name of the encoder
    decoder: str  # libavcodec's name of the decoder
    scale: Scale  # of the rate factor
    curve: tuple[float, ...]  # rate factors of a rate-distortion curve, from the best quality down
    options: Mapping[str, str]  # for libavcodec, all but the rate factor
    parameters: Mapping[str, str] = field(default_factory=dict)  # for the encoder, handed over in one option
    parameters_option: str | None = None  # the name of that option
    rate_in_parameters: bool = False  # whether the rate factor is a parameter, not an option
    gop: int = MOST_BETWEEN  # frames from one key frame to the next, at most
    # With these no key frame comes earlier, and no frame refers across one.
    even_options: Mapping[str, str] = field(default_factory=dict)
    even_parameters: Mapping[str, str] = field(default_factory=dict)

    def with_gop(self, frames: int) -> Encoder:
        """The encoder with a key frame every so many frames, and none in between."""
        return replace(
            self,
            gop=frames,
            options={**self.options, **self.even_options, "keyint_min": str(frames)},
            parameters={**self.parameters, **self.even_parameters},
        )

    def options_at(self, crf: float) -> dict[str, str]:
        """Everything libavcodec is told, colour included."""
        rate = {"crf": f"{crf:g}"}
        parameters = {**self.parameters, **(rate if self.rate_in_parameters else {})}
        options = {**self.options, **({} if self.rate_in_parameters else rate), "g": str(self.gop)}
        if self.parameters_option is not None:
            options[self.parameters_option] = ":".join(f"{key}={value}" for key, value in parameters.items())
        # A parameter that this version does not know is an error, not another result.
        return {**options, "err_detect": "explode", **tag_options()}

    def open(self, width: int, height: int, rate: Fraction, crf: float) -> VideoCodecContext:
        """An open encoder, on one thread: the same bits on every machine and in every run.

        Raises:
            FFmpegError: the encoder refuses the size or a setting.
            ValueError: likewise.
        """
        context = CodecContext.create(self.library, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = width, height, PIXEL_FORMAT
        context.thread_count = 1
        context.framerate, context.time_base = rate, 1 / rate
        context.options = self.options_at(crf)
        with scheduling_kept():
            context.open()
        return context


# "tune psnr" in all three: what PSNR does not see, their own defaults spend bits on.
_X264 = Encoder(
    library="libx264",
    decoder="h264",
    scale=Scale(1, 51, step=1 / 16, octave=6, start=30),  # 0 would be lossless, another profile
    curve=(18, 24, 30, 36, 42),
    options={"preset": "medium", "tune": "psnr"},
    even_options={"sc_threshold": "0"},
)
_X265 = Encoder(
    library="libx265",
    decoder="hevc",
    scale=Scale(1, 51, step=1 / 16, octave=6, start=28),
    curve=(16, 22, 28, 34, 40),
    options={"preset": "medium", "tune": "psnr"},
    # Without "info" the stream does not carry a description of the encoder.
    parameters={"pools": "none", "frame-threads": "1", "info": "0", "log-level": "error"},
    parameters_option="x265-params",
    even_parameters={"scenecut": "0", "open-gop": "0"},
)
_SVT_AV1 = Encoder(
    library="libsvtav1",
    decoder="libdav1d",
    scale=Scale(1, 63, step=1, octave=12, start=40),
    curve=(20, 30, 40, 50, 60),
    options={"preset": "8"},
    parameters={"lp": "1", "tune": "1"},
    parameters_option="svtav1-params",
    rate_in_parameters=True,
)
_AOM_AV1 = Encoder(
    library="libaom-av1",
    decoder="libdav1d",
    scale=Scale(1, 63, step=1, octave=12, start=40),
    curve=(20, 30, 40, 50, 60),
    options={"cpu-used": "6", "tune": "psnr", "b": "0"},
)

ENCODERS: dict[str, tuple[Encoder, ...]] = {"x264": (_X264,), "x265": (_X265,), "av1": (_SVT_AV1, _AOM_AV1)}
"""By name, what may stand behind it, in the order of preference."""


def choose_encoder(name: str) -> Encoder:
    """The encoder that the installed PyAV has for a codec.

    Raises:
        SweettokError: a name that is not in :data:`ENCODERS`, or PyAV was built without the encoder.
    """
    if name not in ENCODERS:
        raise SweettokError(f"{name} is no codec to compare with; choose from {', '.join(ENCODERS)}.")
    for encoder in ENCODERS[name]:
        if {encoder.library, encoder.decoder} <= av.codecs_available:
            special = {"libsvtav1": _with_quarters, "libx264": _without_avx512}.get(encoder.library)
            return special(encoder) if special else encoder
    wanted = " or ".join(encoder.library for encoder in ENCODERS[name])
    raise SweettokError(
        f"This build of PyAV ({av.__version__}) has no encoder {wanted}, so {name} cannot be measured; "
        "install PyAV's own wheel (pip install --force-reinstall --only-binary av av) or leave it out."
    )


def _without_avx512(encoder: Encoder) -> Encoder:
    """x264's AVX-512 code reads what nobody has written: its bits differ by 1 % from run to run.

    With the code for AVX2 they are always the same (x264 165, 3 clips, 6 encodings each) and as fast. It is
    named only where a processor has both, because x264 believes what it is told.
    """
    import torch

    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return encoder
    return replace(encoder, parameters={"asm": "avx2"}, parameters_option="x264-params")


def _with_quarters(encoder: Encoder) -> Encoder:
    """SVT-AV1 takes quarters of a rate factor from version 4 on: finer steps, closer to the target."""
    # It talks to stderr past libavcodec's log; 1 leaves errors.
    os.environ.setdefault("SVT_LOG", "1")
    try:
        encoder.open(SMALLEST_SIDE, SMALLEST_SIDE, Fraction(25), encoder.scale.start + 0.25)
    except (FFmpegError, ValueError):
        return encoder
    return replace(encoder, scale=replace(encoder.scale, step=0.25))


class CodedClip:
    """A clip, encoded and decoded at any number of rate factors; it is encoded once at each.

    Frames are padded to even sides of at least 64 by repeating the edge, converted to 8-bit 4:2:0 BT.709, and
    cut back after decoding.

    Args:
        frames: uint8 RGB ``[t, h, w, 3]``; one for an image.
        rate: frames a second. Encoders weigh frames by how long they are shown; clamped to 1 to 240.
        encoder: with its settings.

    Raises:
        ValueError: another shape or type.
    """

    def __init__(self, frames: np.ndarray, rate: Fraction, encoder: Encoder) -> None:
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not frames.size:
            raise ValueError(f"expected uint8 [t, h, w, 3], got {frames.dtype} {list(frames.shape)}")
        self.shape = frames.shape
        self._encoder = encoder
        self._rate = min(_FASTEST, max(_SLOWEST, Fraction(rate).limit_denominator(_FINEST)))
        height, width = frames.shape[1:3]
        even = Fit.to_multiple(max(width, SMALLEST_SIDE), max(height, SMALLEST_SIDE), 2)
        self._fit = Fit(width, height, even.padded_width, even.padded_height)
        convert = FromRgb(PIXEL_FORMAT)
        self._pictures = [convert(self._fit.pad(frame)) for frame in frames]
        self._packets: dict[float, list[bytes]] = {}

    def bits(self, crf: float) -> int:
        """Eight times the bytes of the elementary stream, without the encoder's description of itself.

        Raises:
            SweettokError: the encoder refuses the clip.
        """
        return 8 * sum(map(len, self.packets(crf)))

    def decode(self, crf: float) -> np.ndarray:
        """The clip after the codec: uint8 RGB, of the shape of the source.

        Raises:
            SweettokError: as for :meth:`bits`, or not all frames come back.
        """
        context = CodecContext.create(self._encoder.decoder, "r")
        assert isinstance(context, VideoCodecContext)
        context.thread_count = 1
        convert = ToRgb()
        decoded = np.empty(self.shape, np.uint8)
        count = 0
        for data in [*self.packets(crf), None]:
            for frame in context.decode(None if data is None else Packet(data)):
                if count < len(decoded):
                    decoded[count] = self._fit.crop(convert(frame))
                count += 1
        if count != len(decoded):
            raise SweettokError(
                f"{self._encoder.decoder} gave {count} frames back of {len(decoded)} that "
                f"{self._encoder.library} encoded; leave this codec out of the comparison."
            )
        return decoded

    def packets(self, crf: float) -> list[bytes]:
        """The elementary stream, a picture each. Encoded once for each rate factor.

        Raises:
            SweettokError: the encoder refuses the clip.
        """
        if crf not in self._packets:
            self._packets[crf] = self._encode(crf)
        return self._packets[crf]

    def _encode(self, crf: float) -> list[bytes]:
        encoder, fit = self._encoder, self._fit
        packets: list[Packet] = []
        try:
            context = encoder.open(fit.padded_width, fit.padded_height, self._rate, crf)
            for time, picture in enumerate(self._pictures):
                picture.pts, picture.time_base = time, context.time_base
                packets += context.encode(picture)
            packets += context.encode(None)
        except (FFmpegError, ValueError) as error:
            raise SweettokError(
                f"{encoder.library} cannot encode {fit.width}x{fit.height} pixels at crf {crf:g} "
                f"({reason(error)}); leave this codec out or resize the clips."
            ) from error
        data = [bytes(packet) for packet in packets]
        if encoder.library == "libx264" and data:
            # Several hundred bytes that x264 cannot be told to leave out: a tenth of a short clip.
            data[0] = without_sei(data[0])
        return data


def without_sei(stream: bytes) -> bytes:
    """An H.264 byte stream (Annex B) without supplemental information."""
    starts = [match.start() for match in re.finditer(rb"\x00?\x00\x00\x01", stream)]
    units = [stream[start:end] for start, end in itertools.pairwise([*starts, len(stream)])]
    return b"".join(unit for unit in units if unit[unit.index(1) + 1] & 0x1F != _SEI)
