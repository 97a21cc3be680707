"""Video out: H.264 in MP4, whole or not at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output
from sweettok_cli.video.color import FromRgb, tag_options

_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov"}
# At 14 the file differs from the frames it was given by about 48 dB, 20 dB less than any tokenizer's error: what is
# seen and measured is the model, not the codec.
DEFAULT_CRF = 14
_FINEST_CLOCK = 1_000_000


class VideoWriter:
    """Writes RGB frames as H.264.

    The target appears when the ``with`` block ends without an error; until then, and on any error or interrupt, there is
    only a temporary file beside it, which is removed. Even sizes are yuv420p, which plays everywhere; an odd width or
    height needs yuv444p to come out at exactly its size. Colour is BT.709, limited range, and says so.

    ::

        with VideoWriter("out.mp4", 256, 256, Fraction(30000, 1001)) as writer:
            for rgb in frames:
                writer.write(rgb)
    """

    def __init__(
        self,
        path: Path | str,
        width: int,
        height: int,
        rate: Fraction,
        *,
        crf: float = DEFAULT_CRF,
        times: Sequence[Fraction] | None = None,
        audio_from: Path | str | None = None,
        force: bool = False,
    ) -> None:
        """Describe the file; it is opened by ``with``.

        Args:
            path: ends in .mp4, .m4v or .mov.
            width: of every frame.
            height: of every frame.
            rate: frames a second, kept exactly.
            crf: x264's quality, 0 (lossless) to 51.
            times: when each frame is shown, seconds, growing; for a variable rate.
            audio_from: a file whose sound is copied; one without sound is no error.
            force: replace an existing file.
        """
        self._path = Path(path)
        self._size = (width, height)
        self._rate = Fraction(rate)
        self._crf = crf
        self._times = times
        self._audio_from = None if audio_from is None else Path(audio_from)
        self._force = force
        self._stack = ExitStack()
        self._count = 0
        if self._path.suffix.lower() not in _FORMATS:
            raise SweettokError(f"{path} has no ending that H.264 is written to; name it .mp4 or .mov.")

    def __enter__(self) -> VideoWriter:
        temporary = self._stack.enter_context(atomic_output(self._path, self._force))
        width, height = self._size
        pixel_format = "yuv420p" if width % 2 == 0 and height % 2 == 0 else "yuv444p"
        self._from_rgb = FromRgb(pixel_format)
        self._container: OutputContainer = av.open(
            str(temporary), "w", format=_FORMATS[self._path.suffix.lower()], options={"movflags": "+faststart"}
        )
        stream = self._container.add_stream(
            "libx264", rate=self._rate, options={"crf": str(self._crf), "preset": "medium", **tag_options()}
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = pixel_format
        self._clock = _tick(self._times) if self._times is not None else 1 / self._rate
        stream.codec_context.time_base = self._clock
        self._stream = stream
        return self

    def write(self, rgb: np.ndarray) -> None:
        """Append one frame, uint8 RGB [h, w, 3]."""
        width, height = self._size
        if rgb.shape != (height, width, 3) or rgb.dtype != np.uint8:
            raise ValueError(f"expected uint8 [{height}, {width}, 3], got {rgb.dtype} {list(rgb.shape)}")
        frame = self._from_rgb(rgb)
        frame.time_base = self._clock
        frame.pts = self._count if self._times is None else round(self._times[self._count] / self._clock)
        self._count += 1
        self._container.mux(self._stream.encode(frame))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is None:
            try:
                self._container.mux(self._stream.encode(None))
                self._container.close()
            except BaseException as late:
                self._stack.__exit__(type(late), late, late.__traceback__)
                raise
        else:
            with suppress(FFmpegError, OSError):
                self._container.close()
        return self._stack.__exit__(kind, error, trace)


def _tick(times: Sequence[Fraction]) -> Fraction:
    """The longest tick of which all times are multiples, or a microsecond."""
    ticks = math.lcm(*(Fraction(t).denominator for t in times)) if times else 1
    return Fraction(1, ticks) if ticks <= _FINEST_CLOCK else Fraction(1, _FINEST_CLOCK)
