"""The video encoders that models are held against, and the settings they run with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
from av.codec.context import CodecContext
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.codecs.rate_search import Scale
from sweettok_cli.runtime import scheduling_kept
from sweettok_cli.video.color import tag_options

PIXEL_FORMAT = "yuv420p"
# x265 writes past its memory on frames 34 to 54 pixels wide, and older SVT-AV1 refuses less than 64.
SMALLEST_SIDE = 64
# No more frames between key frames than x264 and x265 have by themselves: one group for most clips.
_KEY_FRAMES = "250"


@dataclass(frozen=True)
class Encoder:
    """One encoder of one codec.

    Attributes:
        library: libavcodec's name of the encoder.
        decoder: libavcodec's name of the decoder.
        scale: of the rate factor.
        curve: rate factors of a rate-distortion curve, from the best quality down.
        options: for libavcodec, all but the rate factor.
        parameters: for the encoder itself, handed over in one option.
        parameters_option: the name of that option.
        rate_in_parameters: whether the rate factor is a parameter, not an option.
    """

    library: str
    decoder: str
    scale: Scale
    curve: tuple[float, ...]
    options: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)
    parameters_option: str | None = None
    rate_in_parameters: bool = False

    def options_at(self, crf: float) -> dict[str, str]:
        """Everything libavcodec is told, colour included."""
        rate = {"crf": f"{crf:g}"}
        parameters = {**self.parameters, **(rate if self.rate_in_parameters else {})}
        options = {**self.options, **({} if self.rate_in_parameters else rate), "g": _KEY_FRAMES}
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
            if encoder.library == "libsvtav1":
                return _with_quarters(encoder)
            return _without_avx512(encoder) if encoder.library == "libx264" else encoder
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
