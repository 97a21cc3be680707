"""Frames into files: H.264 or VP9 video, and plain arrays with every pixel as the model gave it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal

import av
import numpy as np
from av.error import FFmpegError
from av.packet import Packet

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output, check_ending, check_target
from sweettok_cli.video.audio import SoundTrack
from sweettok_cli.video.color import FromRgb, packed_rgb, tag_options


@dataclass(frozen=True)
class _Kind:
    """A kind of file, by its ending."""

    format: str  # as libav calls it
    clock: Fraction | None = None  # its tick in seconds, where that is fixed
    codec: Literal["libx264", "libvpx-vp9"] = "libx264"
    settings: dict[str, str] = field(default_factory=lambda: {"preset": "medium"})

    @property
    def iso(self) -> bool:
        """Whether it is of the family of MP4."""
        return self.format in ("mp4", "mov")


_MATROSKA_CLOCK = Fraction(1, 1000)
_VP9 = {"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}
_KINDS = {
    ".mp4": _Kind("mp4"),
    ".m4v": _Kind("mp4"),
    ".mov": _Kind("mov"),
    ".mkv": _Kind("matroska", _MATROSKA_CLOCK),
    ".webm": _Kind("webm", _MATROSKA_CLOCK, "libvpx-vp9", _VP9),
}
#: What ``VideoWriter`` writes.
VIDEO_ENDINGS = tuple(_KINDS)
# At 14 the file differs from the frames it was given by 42 to 45 dB on the shipped clips, noise included: a
# reconstruction of 26 dB loses 0.1 dB at most, so what is seen and measured is the model and not the codec.
DEFAULT_CRF = 14
# H.264's encoder keeps 40 frames to look ahead, two gigabytes of 4K; this many pixels of them are enough.
_LOOKED_AHEAD = 5 * 3840 * 2160
_FINEST_CLOCK = 1_000_000
# Between two frames: MP4 keeps the distance in 32 bits (ISO/IEC 14496-12, 8.6.1.2), libav with a sign.
_MOST_TICKS = 1 << 29
_FINEST_RATIO = (1 << 16) - 1  # H.264 keeps pixels' sides in 16 bits (ITU-T H.264, E.1.1)
_LEAST_CLOCK = 10_000  # ticks a second of a track to which libav doubles a coarser one
_MOST_CLOCK = (1 << 31) - 1
_REORDERED = 16  # frames that H.264 may show later than it decodes them (ITU-T H.264, A.3.1)


class VideoWriter:
    """Writes RGB frames as H.264, in WebM as VP9.

    The target appears when the ``with`` block ends without an error; until then, and on any error or
    interrupt, there is only a temporary file beside it, which is removed. Even sizes are yuv420p, which plays
    everywhere; an odd width or height needs yuv444p to come out at exactly its size. Colour is BT.709,
    limited range, and says so.

    Raises:
        SweettokError: a wrong ending, an existing file without ``force``, a folder or disk that cannot
            be written, ``audio_from`` that cannot be read, or no frame at all.
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
        audio_span: tuple[Fraction, Fraction] | None = None,
        sample_aspect_ratio: Fraction = Fraction(1),
        lossless: bool = False,
        key_frames: int | None = None,
        repeatable: bool = False,
        force: bool = False,
    ) -> None:
        """Describe the file; it is opened by ``with``.

        Args:
            path: ends in .mp4, .m4v, .mov, .mkv or .webm.
            width: of every frame.
            height: of every frame.
            rate: frames a second, from one in 17 years to a million. Kept exactly where MP4 can count in it:
                always where a frame lasts less than a day and the rate is a ratio of numbers below 2 ** 29.
            crf: the codec's quality, 0 (lossless) to 51.
            times: when each frame is shown, in seconds, growing; for a variable rate. Counted from the first
                one. Exact where they share a tick of at least a microsecond, else to the microsecond; less so
                where there are pauses of more than nine minutes; Matroska and WebM count milliseconds. 17
                years at most.
            audio_from: a file whose sound is copied; one without sound is no error.
            audio_span: the part of it that is copied: when that begins, in seconds after the file's first
                picture, and how many seconds it lasts. All by default.
            sample_aspect_ratio: width of a pixel over its height, for players to stretch it to.
            lossless: H.264 of RGB, bit for bit; few players know it. ``crf`` does not count then.
            key_frames: one at least every so many frames, so that reading can begin there.
            repeatable: H.264 of the same bytes every time. One thread, and without x264's macroblock tree,
                which reads what it has not written; files are a little larger.
            force: replace an existing file.
        """
        self._path = Path(path)
        self._width, self._height = width, height
        self._rate, self._clock = _countable(Fraction(rate))
        self._crf = crf
        self._sample_aspect_ratio = sample_aspect_ratio.limit_denominator(_FINEST_RATIO)
        self._audio_from = None if audio_from is None else Path(audio_from)
        self._audio_span = audio_span
        self._lossless, self._key_frames, self._repeatable = lossless, key_frames, repeatable
        self._force = force
        self._count = 0
        self._held: Packet | None = None
        self._first_dts = 0
        check_ending(self._path, VIDEO_ENDINGS)
        self._kind = kind = _KINDS[self._path.suffix.lower()]
        check_clock(self._path, self._rate, times)
        self._ticks: list[int] | None = None
        if times is not None and len(times) > 1:  # of one alone, the rate says how long it is shown
            times = [time - times[0] for time in times]
            self._clock = kind.clock or _tick(times)
            self._ticks = in_ticks(times, self._clock)
            self._rate = max(self._rate, 1 / (self._clock * _MOST_TICKS))  # a frame has a length, too
        check_target(self._path, force)

    def __enter__(self) -> VideoWriter:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_output(self._path, self._force))
            self._container = av.open(
                str(temporary), "w", format=self._kind.format, options=self._container_options()
            )
            stack.callback(self._abandon)
            even = self._width % 2 == 0 and self._height % 2 == 0
            pixel_format = "rgb24" if self._lossless else "yuv420p" if even else "yuv444p"
            self._from_rgb = packed_rgb if self._lossless else FromRgb(pixel_format)
            options = {"crf": f"{self._crf:g}", **self._kind.settings, **tag_options()}
            if self._lossless:
                options = {"qp": "0", **self._kind.settings}
            if self._key_frames is not None:
                options["g"] = str(self._key_frames)
            if self._repeatable:
                options["x264-params"] = "mbtree=0"
            if self._kind.codec == "libx264":
                options["rc-lookahead"] = str(min(40, max(4, _LOOKED_AHEAD // (self._width * self._height))))
            if self._kind.codec == "libvpx-vp9" and not self._crf:
                options["lossless"] = "1"
            if self._kind.codec == "libx264" and (self._ticks is not None or _long(self._rate, self._clock)):
                # Frames that are decoded long before they are shown leave MP4 no length for the last one; and
                # it keeps in 32 bits how long before.
                options["bf"] = "0"
            # Where a rate is told that is higher than the clock's, players lose the last frame.
            rate = min(self._rate, 1 / self._clock)
            codec = "libx264rgb" if self._lossless else self._kind.codec
            self._stream = self._container.add_stream(codec, rate=rate, options=options)
            self._stream.codec_context.thread_count = int(self._repeatable)  # 0: as many as it likes
            self._stream.width, self._stream.height = self._width, self._height
            self._stream.pix_fmt = pixel_format
            self._stream.codec_context.time_base = self._clock
            if self._sample_aspect_ratio != 1:
                self._stream.codec_context.sample_aspect_ratio = self._sample_aspect_ratio
            self._sound = None
            if self._audio_from is not None:
                self._sound = SoundTrack.open(
                    self._audio_from, self._container, self._clock, stack, self._audio_span
                )
            self._lead = self._sound.lead_ticks if self._sound else 0
            self._stack = stack.pop_all()
        return self

    def _container_options(self) -> dict[str, str]:
        if not self._kind.iso:
            return {}
        options = {"movflags": "+faststart", "movie_timescale": str(_movie_clock(self._clock))}
        if self._counted:
            # Left alone, libav counts in 10000 ticks a second or more: too many for a pause of hours.
            options["video_track_timescale"] = str(self._clock.denominator)
        return options

    def write(self, rgb: np.ndarray) -> None:
        """Append one frame, uint8 RGB [h, w, 3]."""
        if rgb.shape != (self._height, self._width, 3) or rgb.dtype != np.uint8:
            wanted = f"uint8 [{self._height}, {self._width}, 3]"
            raise ValueError(f"expected {wanted}, got {rgb.dtype} {list(rgb.shape)}")
        if self._ticks is not None and self._count == len(self._ticks):
            raise ValueError(f"there are times for {len(self._ticks)} frames only")
        frame = self._from_rgb(rgb)
        frame.time_base = self._clock
        frame.pts = self._lead + (self._at(self._count) if self._ticks is None else self._ticks[self._count])
        self._count += 1
        with self._blamed():
            self._mux(self._stream.encode(frame))
            if self._sound is not None:
                self._sound.write(frame.pts * self._clock)

    def _blamed(self) -> AbstractContextManager[None]:
        return nullcontext() if self._sound is None else self._sound.blamed()

    @property
    def _counted(self) -> bool:
        """Whether the clock is not the rate's own."""
        return self._ticks is not None or self._clock * self._rate != 1

    def _at(self, number: int) -> int:
        """When a frame is shown at an even rate, in ticks."""
        return round(number / (self._rate * self._clock))

    def _mux(self, packets: list[Packet]) -> None:
        for packet in packets:
            if self._held is None:
                self._first_dts = packet.dts or 0
            else:
                self._container.mux(self._held)
            self._held = packet

    def _finish(self) -> None:
        """Give the last packet the time that is left, so that the last frame is shown as long as due.

        MP4 stores durations by order of decoding and takes the last one from the packet; a wrong one changes
        the average rate that players and this package read back.
        """
        self._mux(self._stream.encode(None))
        if self._held is not None and self._held.dts is not None:
            self._held.duration = self._length() + self._first_dts - self._held.dts
            self._container.mux(self._held)

    def _length(self) -> int:
        """Ticks from the first frame to the end of the last, which is shown as long as the one before it."""
        if self._ticks is None:
            return self._at(self._count)
        shown = self._ticks[: self._count]
        last = shown[-1] - shown[-2] if len(shown) > 1 else max(1, round(1 / (self._rate * self._clock)))
        return shown[-1] - shown[0] + last

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is not None:
            return self._stack.__exit__(kind, error, trace)
        with self._stack:
            if not self._count:
                raise SweettokError(
                    f"{self._path} was not written because there are no frames; check the source."
                )
            with self._blamed():
                self._finish()
                if self._sound is not None:
                    self._sound.write(None)
                self._container.close()
        return None

    def _abandon(self) -> None:
        # Closing twice does nothing; after an error, that error says more than a failing close.
        with suppress(FFmpegError, OSError):
            self._container.close()


def _tick(times: Sequence[Fraction]) -> Fraction:
    """The longest tick of which all times are multiples; coarser, where a pause would be too many for MP4."""
    pause = max((b - a for a, b in itertools.pairwise(times)), default=Fraction(0))
    finest = min(_FINEST_CLOCK, int(_MOST_TICKS / pause) if pause else _FINEST_CLOCK) or 1
    ticks = math.lcm(*(Fraction(time).denominator for time in times))
    return Fraction(1, min(ticks, finest))


def _countable(rate: Fraction) -> tuple[Fraction, Fraction]:
    """The rate, or one near it, and the tick to count it in: a frame, where libav can."""
    if rate.numerator <= _MOST_CLOCK and rate.denominator * _finer(rate.numerator) <= _MOST_TICKS:
        return rate, 1 / rate
    clock = Fraction(1, max(1, min(_FINEST_CLOCK, int(_MOST_TICKS * rate))))
    return 1 / (clock * max(1, round(1 / (rate * clock)))), clock


def _finer(clock: int) -> int:
    """How many times finer than so many ticks a second a track may be."""
    return max(1, -(-_LEAST_CLOCK // clock)) * 2


def _long(rate: Fraction, clock: Fraction) -> bool:
    """Whether some frames of that rate last longer than MP4 can say, in ticks of a ``clock``."""
    frame = clock.numerator * _finer(clock.denominator) / (rate * clock)
    return frame * _REORDERED > _MOST_CLOCK


def in_ticks(times: Sequence[Fraction], clock: Fraction) -> list[int]:
    """Times in ticks; frames nearer than a tick are a tick apart."""
    if any(a >= b for a, b in itertools.pairwise(times)):
        raise ValueError("the times of the frames must grow")
    ticks: list[int] = []
    for time in times:
        tick = round(Fraction(time) / clock)
        ticks.append(max(tick, ticks[-1] + 1) if ticks else tick)
    return ticks


def check_clock(path: Path, rate: Fraction, times: Sequence[Fraction] | None) -> None:
    """Raise :class:`SweettokError` where a kind of file counts too coarsely for these frames."""
    clock = _KINDS[path.suffix.lower()].clock
    if clock is not None:
        coarse_ticks(path, times or [Fraction(0), 1 / rate], clock)


def coarse_ticks(
    path: Path, times: Sequence[Fraction], clock: Fraction, longest: int | None = None
) -> list[int]:
    """Times in ticks of a kind of file that counts no finer than ``clock``.

    Raises:
        SweettokError: frames lie nearer to each other than two ticks, or further apart than ``longest``.
    """
    gaps = [b - a for a, b in itertools.pairwise(times)]
    if gaps and min(gaps) < 2 * clock:
        raise SweettokError(
            f"{path} cannot hold frames {float(min(gaps)):.4g} s apart: a {path.suffix} counts in steps of "
            f"{float(clock):g} s, of which players need two; name it .mp4."
        )
    if gaps and longest is not None and max(gaps) > longest * clock:
        raise SweettokError(f"{path} cannot hold a pause of {float(max(gaps)):.0f} s; name it .mp4 or .webm.")
    return [round(time / clock) for time in times]


def _movie_clock(tick: Fraction) -> int:
    """A movie clock in which the length of the video is a whole number; milliseconds would round it."""
    return tick.denominator * -(-1000 // tick.denominator)


@contextmanager
def array_writer(
    path: Path, shape: tuple[int, ...], force: bool = False
) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield what takes the frames of a ``.npy`` file one after the other; whole once the block ends.

    Memory holds one frame. ``shape`` is ``(t, h, w, 3)``, or ``(h, w, 3)`` for one image.

    Raises:
        SweettokError: the file exists or cannot be written.
        ValueError: fewer or more frames came than ``shape`` says.
    """
    frames, *size = shape if len(shape) == 4 else (1, *shape)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    # Written piece by piece: a full disk ends a memory-mapped file, and the process with it, by a signal.
    with atomic_output(path, force) as temporary, open(temporary, "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        done = 0

        def write(frame: np.ndarray) -> None:
            nonlocal done
            if done == frames:
                raise ValueError(f"more than {frames} frames")
            if list(frame.shape) != size or frame.dtype != np.uint8:
                raise ValueError(f"expected uint8 {size}, got {frame.dtype} {list(frame.shape)}")
            stream.write(np.ascontiguousarray(frame).data)
            done += 1

        yield write
        if done < frames:
            raise ValueError(f"{done} frames instead of {frames}")
        stream.flush()
