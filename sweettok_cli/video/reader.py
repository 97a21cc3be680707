"""Video in: any file PyAV or Pillow decodes, as a stream of RGB frames with their times."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sweettok_cli.errors import SweettokError
from sweettok_cli.video.color import ToRgb
from sweettok_cli.video.container_size import missing_bytes
from sweettok_cli.video.images import count_pictures, is_picture, read_pictures
from sweettok_cli.video.orientation import Orientation
from sweettok_cli.video.source import Source, check_readable, open_container, reason, source_name, video_stream
from sweettok_cli.video.timing import DEFAULT_RATE, is_regular

_log = logging.getLogger(__name__)
_PEEKED_PACKETS = 64


@dataclass(frozen=True)
class VideoInfo:
    """What a file says about itself before it is decoded.

    Attributes:
        path: the file.
        width, height: of a frame as it is shown (rotation applied), in pixels. Non-square pixels are not stretched.
        rate: frames a second, exact; 1 for a still picture.
        frames: how many the container declares; None where it does not. A file cut by an edit list gives fewer.
        time_base: one tick of the container's clock in seconds.
        variable_rate: whether the first frames keep to the rate; None where too few could be looked at to say that
            the whole file does.
        has_audio: whether there is sound.
        is_image: whether it is one still picture.
        start: when the first frame is shown on the container's clock, in seconds.
        duration: seconds; None where unknown.
    """

    path: Path
    width: int
    height: int
    rate: Fraction
    frames: int | None
    time_base: Fraction
    variable_rate: bool | None
    has_audio: bool
    is_image: bool
    start: Fraction = Fraction(0)
    duration: Fraction | None = None


@dataclass(frozen=True)
class Frame:
    """A picture, uint8 RGB [h, w, 3], and when it is shown, in seconds after the first one."""

    rgb: np.ndarray
    time: Fraction


def probe(path: Path | str) -> VideoInfo:
    """Describe a file by its header, some packets and its first frame; nothing more is decoded.

    Raises:
        SweettokError: the file cannot be read, or holds no picture.
    """
    path = Path(path)
    check_readable(path)
    if is_picture(path):
        return _probe_pictures(path)
    with open_container(path) as container:
        stream = video_stream(container, str(path))
        times, whole = _peek(container, stream)
        rate, regular = _rate(stream, times)
        variable = None if regular and not whole else not regular
        has_audio = bool(container.streams.audio)
    with open_container(path) as container:
        stream = video_stream(container, str(path))
        first = next((frame for frame, _ in _decode(container, stream, _Progress(str(path)))), None)
        if first is None:
            raise SweettokError(f"{path} holds no frame that can be decoded; it is damaged, fetch it again.")
        width, height = Orientation.of(first).size(first.width, first.height)
        base = Fraction(stream.time_base or Fraction(1, 1000))
        start = (first.pts if first.pts is not None else stream.start_time or 0) * base
        still = container.format.name.endswith("_pipe")
        duration = stream.duration * base if stream.duration else None
        if duration is None and container.duration and not still:
            duration = Fraction(container.duration, 1_000_000)
        frames = 1 if still else stream.frames or None
    return VideoInfo(path, width, height, rate, frames, base, variable, has_audio, still, start, duration)


def _probe_pictures(path: Path) -> VideoInfo:
    count = count_pictures(path)
    pictures = [(rgb.shape, time) for rgb, time in itertools.islice(read_pictures(path), _PEEKED_PACKETS)]
    (height, width, _), _ = pictures[0]
    times = [time for _, time in pictures]
    base = Fraction(1, 1000)
    if count == 1:
        return VideoInfo(path, width, height, Fraction(1), 1, base, False, False, True)
    rate = (len(times) - 1) / times[-1]
    regular = is_regular(times, rate, base)
    variable = None if regular and len(times) < count else not regular
    return VideoInfo(path, width, height, rate, count, base, variable, False, False)


def _peek(container: InputContainer, stream: VideoStream) -> tuple[list[Fraction], bool]:
    """Times of the first packets in order of display, and whether they were all there are."""
    base = Fraction(stream.time_base or Fraction(1, 1000))
    times: list[Fraction] = []
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                return sorted(times), True
            if packet.pts is not None:
                times.append(packet.pts * base)
            if len(times) == _PEEKED_PACKETS:
                break
    except FFmpegError:
        # Decoding meets the same damage and reports it.
        return sorted(times), False
    # With frames out of order the last few may still lack a neighbour.
    return sorted(times)[: _PEEKED_PACKETS - 16], False


def _rate(stream: VideoStream, times: list[Fraction]) -> tuple[Fraction, bool]:
    """The rate that the first frames keep to, or the average one; and whether they keep to it."""
    candidates = [Fraction(r) for r in (stream.average_rate, stream.guessed_rate, stream.base_rate) if r]
    base = Fraction(stream.time_base or Fraction(1, 1000))
    for rate in candidates:
        if is_regular(times, rate, base):
            return rate, True
    return (candidates[0], False) if candidates else (DEFAULT_RATE, True)


@dataclass
class _Progress:
    """What became of the packets of one file."""

    name: str
    frames: int = 0
    damaged: int = 0


def _decode(
    container: InputContainer, stream: VideoStream, progress: _Progress
) -> Iterator[tuple[VideoFrame, int]]:
    """Decoded frames and their number. Packets that cannot be decoded are counted and passed over."""
    packets = iter(container.demux(stream))
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError as error:
            raise SweettokError(
                f"{progress.name} cannot be read beyond frame {progress.frames} ({reason(error)}); "
                "it is damaged or cut short, fetch it again."
            ) from error
        if packet is None:
            return
        try:
            frames = packet.decode()
        except FFmpegError:
            progress.damaged += 1
            continue
        for frame in frames:
            yield frame, progress.frames
            progress.frames += 1


class VideoReader:
    """The frames of one file, decoded as they are asked for; memory does not grow with the file's length.

    ::

        with VideoReader("clip.mp4") as reader:
            for frame in reader:
                frame.rgb, frame.time

    Frames keep the size of the first one (``info.width`` x ``info.height``), rotation applied, pixels taken as square.
    Colour is converted as :class:`sweettok_cli.video.color.ToRgb` says. Iterating again starts from the beginning.

    Raises:
        SweettokError: on opening, where the file cannot be read or holds no picture; while iterating, where it ends
            in the middle. Single packets that cannot be decoded are passed over, counted in ``damaged`` and logged.
    """

    def __init__(self, path: Path | str, *, threads: int = 0) -> None:
        """Open ``path``; decode with ``threads`` threads (0: as many as the decoder likes)."""
        self.info = probe(path)
        self.damaged = 0
        self._path = Path(path)
        self._threads = threads
        self._container: InputContainer | None = None

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def __iter__(self) -> Iterator[Frame]:
        self.close()
        if is_picture(self._path):
            return self._pictures()
        return self._frames()

    def _pictures(self) -> Iterator[Frame]:
        for rgb, time in read_pictures(self._path):
            yield Frame(rgb, time)

    def _frames(self) -> Iterator[Frame]:
        self._container = container = open_container(self._path)
        stream = video_stream(container, str(self._path))
        _set_threads(stream, self._threads)
        progress = _Progress(str(self._path))
        to_rgb = _Upright()
        clock = _Clock(self.info.rate)
        try:
            for frame, _ in _decode(container, stream, progress):
                time = clock.time(frame)
                yield Frame(to_rgb(frame, (self.info.width, self.info.height), str(self._path)), time)
        finally:
            self.damaged = progress.damaged
            self.close()
        self._check_complete(progress)

    def _check_complete(self, progress: _Progress) -> None:
        declared = self.info.frames
        missing = missing_bytes(self._path)
        if missing and (declared is None or progress.frames < declared):
            of = f" of {declared}" if declared else ""
            raise SweettokError(
                f"{self._path} is cut short: {missing} bytes are missing and only {progress.frames}{of} frames can be "
                "read; fetch it again, or cut it there with a video editor to keep what is left."
            )
        if progress.damaged:
            _log.warning("%s: %d damaged packets were passed over", self._path, progress.damaged)


class _Clock:
    """Times of frames after the first one, always growing, also where the file states none."""

    def __init__(self, rate: Fraction) -> None:
        self._step = 1 / rate
        self._start: Fraction | None = None
        self._last: Fraction | None = None

    def time(self, frame: VideoFrame) -> Fraction:
        stated = None if frame.pts is None or frame.time_base is None else frame.pts * Fraction(frame.time_base)
        if self._start is None or self._last is None:
            self._start = stated if stated is not None else Fraction(0)
            self._last = Fraction(0)
            return self._last
        time = self._last + self._step if stated is None else stated - self._start
        if time <= self._last:
            time = self._last + self._step
        self._last = time
        return time


class _Upright:
    """Frames to RGB as they are to be shown."""

    def __init__(self) -> None:
        self._to_rgb = ToRgb()

    def __call__(self, frame: VideoFrame, size: tuple[int, int] | None, name: str) -> np.ndarray:
        orientation = Orientation.of(frame)
        try:
            return orientation.apply(self._to_rgb(frame, orientation.size(*size) if size else None))
        except SweettokError as error:
            raise SweettokError(f"{name}: {error}") from error


def _set_threads(stream: VideoStream, threads: int) -> None:
    stream.thread_type = "AUTO" if threads != 1 else "NONE"
    stream.codec_context.thread_count = threads


def read_clip(
    source: Source | str, start: int, count: int, *, size: tuple[int, int] | None = None, threads: int = 1
) -> np.ndarray:
    """Frames ``start`` to ``start + count`` of a video, uint8 RGB [t, h, w, 3]; fewer where it ends before.

    Decodes from the nearest key frame before ``start`` where the frames keep to a steady rate, else from the beginning:
    the frames are the same as :class:`VideoReader` gives under these numbers.

    Args:
        source: a file, or a seekable binary stream of one.
        start: number of the first frame, from 0.
        count: how many frames.
        size: width and height to scale to; the video's own by default.
        threads: of the decoder. One is fastest where many processes load clips.

    Raises:
        SweettokError: the source cannot be read, or has no frame ``start``.
    """
    if start < 0 or count < 1:
        raise ValueError(f"cannot read {count} frames from number {start}")
    source = Path(source) if isinstance(source, str) else source
    if isinstance(source, Path) and is_picture(source):
        pictures: Iterable[np.ndarray] = (rgb for rgb, _ in read_pictures(source))
        frames = list(itertools.islice(pictures, start, start + count))
    else:
        frames = _read_frames(source, start, count, size, threads)
    if not frames:
        raise SweettokError(f"{source_name(source)} has no frame {start}; it is shorter or damaged.")
    return np.stack(frames)


def _read_frames(
    source: Source, start: int, count: int, size: tuple[int, int] | None, threads: int
) -> list[np.ndarray]:
    frames: list[np.ndarray] = []
    name = source_name(source)
    with open_container(source) as container:
        stream = video_stream(container, name)
        _set_threads(stream, threads)
        to_rgb = _Upright()
        for frame, number in _decode(container, stream, _Progress(name)):
            if number < start:
                continue
            if size is None:
                size = Orientation.of(frame).size(frame.width, frame.height)
            frames.append(to_rgb(frame, size, name))
            if len(frames) == count:
                break
    return frames
