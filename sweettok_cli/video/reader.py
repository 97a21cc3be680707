"""Video in: any file PyAV or Pillow decodes, as a stream of RGB frames with their times."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.video.decoding import (
    Clock,
    DamagedPacket,
    Progress,
    Upright,
    decode,
    set_threads,
    shown_size,
    stated_time,
    states_decoding_only,
)
from sweettok_cli.video.images import is_picture, read_pictures
from sweettok_cli.video.info import DEFAULT_RATE, ROUNDING, probe, source_cropping
from sweettok_cli.video.loss import Distances, Loss, in_words, others_end
from sweettok_cli.video.source import Source, open_container, reason, source_name, video_stream
from sweettok_cli.video.structure import begins_again, check_structure, missing_bytes

_log = logging.getLogger(__name__)
Shown = TypeVar("Shown")
#: Width and height, or what gives them for a picture's own.
Size = tuple[int, int] | Callable[[int, int], tuple[int, int]] | None

# Nearer frames are reached sooner by decoding than by seeking.
_NEAR = 32
# Containers seek by decoding time, which runs ahead of display by the depth of reordering.
_MARGIN = 8
_MOST_OF_IT = Fraction(9, 10)
_LEAST = Fraction(1, 10)  # of a second, that is missed


def read_clip(
    source: Source | str,
    start: int,
    count: int,
    *,
    size: Size = None,
    rate: float = 0,
    threads: int = 1,
) -> np.ndarray:
    """Frames ``start`` to ``start + count`` of a video, uint8 RGB [t, h, w, 3]; fewer where it ends before.

    Where the container's header proves a steady rate (MP4, MOV), decoding begins at the key frame before
    ``start``, else at the first frame. The frames are those that :class:`VideoReader` gives these numbers.

    Args:
        source: a file, or a seekable binary stream of one.
        start: number of the first frame, from 0.
        count: how many frames.
        size: width and height to scale to, or what gives them for those of the video; its own by default.
        rate: above 0, those that are shown at so many moments a second, by their time stamps, counted from
            that of frame ``start``.
        threads: of the decoder. One is fastest where many processes load clips.

    Raises:
        SweettokError: the source cannot be read, or has no frame ``start``.
    """
    if start < 0 or count < 1:
        raise ValueError(f"cannot read {count} frames from number {start}")
    source = Path(source) if isinstance(source, str) else source
    if (not isinstance(source, Path) or source.is_file()) and is_picture(source):
        pictures = shown_at(itertools.islice(read_pictures(source), start, None), rate)
        frames = [_scaled(rgb, size) for rgb in itertools.islice(pictures, count)]
    else:
        try:
            frames = _read_frames(source, start, count, size, rate, threads)
        except DamagedPacket:
            frames = _read_frames(source, start, count, size, rate, 1)
    if not frames:
        raise SweettokError(f"{source_name(source)} has no frame {start}; it is shorter or damaged.")
    return np.stack(frames)


def _scaled(rgb: np.ndarray, size: Size) -> np.ndarray:
    if size is None:
        return rgb
    wanted = size(rgb.shape[1], rgb.shape[0]) if callable(size) else size
    if wanted == (rgb.shape[1], rgb.shape[0]):
        return rgb
    return np.array(Image.fromarray(rgb).resize(wanted, Image.Resampling.BICUBIC))


def _read_frames(
    source: Source, start: int, count: int, size: Size, rate: float, threads: int
) -> list[np.ndarray]:
    name = source_name(source)
    with open_container(source) as container:
        stream = video_stream(container, name)
        set_threads(stream, threads)
        cropping = source_cropping(source, stream)
        upright = Upright(name, cropping)
        clock = Clock(Fraction(stream.average_rate or DEFAULT_RATE), container)
        timed = ((frame, clock.time(frame)) for frame in _from(container, stream, name, start))
        found = itertools.islice(shown_at(timed, rate), count)
        wanted: tuple[int, int] | None = None
        frames = []
        for frame in found:
            if wanted is None:
                own = shown_size(frame, cropping)
                wanted = size(*own) if callable(size) else size or own
            frames.append(upright(frame, wanted))
        return frames


def shown_at(timed: Iterable[tuple[Shown, Fraction]], rate: float | Fraction) -> Iterator[Shown]:
    """Of frames with their times, what is shown at ``rate`` moments a second from the first; 0: each once."""
    origin: Fraction | None = None
    shown: Shown | None = None
    given, last = 0, Fraction(0)
    for frame, time in timed:
        origin = time if origin is None else origin
        if not rate:
            yield frame
            continue
        while shown is not None and given / rate < time - origin - ROUNDING:
            yield shown
            given += 1
        shown, last = frame, time - origin
    if shown is not None:
        while given / rate < last + ROUNDING:
            yield shown
            given += 1


def _from(container: InputContainer, stream: VideoStream, name: str, start: int) -> Iterator[VideoFrame]:
    """Frames from number ``start`` on."""
    frames = decode(container, stream, Progress(name))
    if start < _NEAR or states_decoding_only(container) or not _is_steady(stream):
        yield from itertools.islice(frames, start, None)
        return
    first = next(frames, None)
    jumped = None if first is None else _jump(container, stream, name, start, stated_time(first))
    if jumped is not None:
        yield from jumped
        return
    try:
        container.seek(stream.start_time or 0, stream=stream)
    except FFmpegError as error:
        raise SweettokError(
            f"{name} cannot be read from its beginning ({reason(error)}); it is damaged, fetch it again."
        ) from error
    yield from itertools.islice(decode(container, stream, Progress(name)), start, None)


def _is_steady(stream: VideoStream) -> bool:
    """Whether the number of frames, the duration and the rate agree, so that time tells a frame's number."""
    rate, base = stream.average_rate, stream.time_base
    if not (stream.frames and stream.duration and rate and base and rate == stream.guessed_rate):
        return False
    return abs(stream.duration * Fraction(base) * rate - stream.frames) < Fraction(1, 2)


def _jump(
    container: InputContainer, stream: VideoStream, name: str, start: int, origin: Fraction | None
) -> Iterator[VideoFrame] | None:
    """Frames from number ``start`` on, decoded from the key frame before; None where that is impossible."""
    if origin is None or stream.average_rate is None or stream.time_base is None:
        return None
    rate = Fraction(stream.average_rate)
    target = origin + max(0, start - _MARGIN) / rate
    try:
        container.seek(int(target / stream.time_base), stream=stream)
    except (FFmpegError, OverflowError):
        return None
    frames = decode(container, stream, Progress(name))
    after_key = False
    for frame in frames:
        time = stated_time(frame)
        if time is None:
            return None
        exact = (time - origin) * rate
        number = round(exact)
        if abs(exact - number) > Fraction(1, 4) or number > start:
            return None
        # Frames shown before the key frame may refer to ones that were jumped over.
        after_key = after_key or bool(frame.key_frame)
        if number == start:
            return itertools.chain([frame], frames) if after_key else None
    return None


@dataclass(frozen=True)
class Frame:
    """A picture, uint8 RGB [h, w, 3], and when it is shown, in seconds after the first one."""

    rgb: np.ndarray
    time: Fraction


class VideoReader:
    """The frames of one file, decoded as they are asked for; memory does not grow with the file's length.

    Frames have the size ``info.width`` x ``info.height``: rotation is applied, a stream that changes its size
    is scaled to the first one, and pixels are taken as square. Colour is converted as
    :class:`sweettok_cli.video.color.ToRgb` says. Iterating again starts from the beginning.

    Attributes:
        loss: what was missing, once all frames were read; it is logged, too.

    Raises:
        SweettokError: on opening, where the file cannot be read or holds no picture; while iterating, where
            it ends in the middle.
    """

    def __init__(
        self, path: Path | str, *, threads: int = 0, keep_going: bool = False, strict: bool = False
    ) -> None:
        """Open ``path``; decode with ``threads`` threads (0: as many as the decoder likes).

        ``keep_going`` takes what is left of a file that ends in the middle; ``strict`` refuses a file of
        which anything is missing.
        """
        self.info = probe(path)
        self.loss = Loss()
        self._path = Path(path)
        self._threads = threads
        self._keep_going, self._strict = keep_going, strict
        self._running: list[Iterator[Frame]] = []

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; an iteration under way ends."""
        while self._running:
            self._running.pop().close()  # type: ignore[attr-defined]

    def __iter__(self) -> Iterator[Frame]:
        self.close()
        pictures = is_picture(self._path)
        frames = (Frame(*shown) for shown in read_pictures(self._path)) if pictures else self._frames()
        self._running.append(frames)
        return frames

    def _frames(self) -> Iterator[Frame]:
        given, last = 0, Fraction(0)
        for threads in (self._threads, 1):
            progress = Progress(str(self._path))
            rate, tick = self.info.rate, max(self.info.time_base, ROUNDING)
            distances = Distances(rate, min(tick, 1 / (4 * rate)))
            try:
                for frame in self._decoded(progress, distances, threads, given):
                    given, last = given + 1, frame.time
                    yield frame
                break
            except DamagedPacket:
                continue
        self._report(progress, distances, last + 1 / self.info.rate)

    def _decoded(self, progress: Progress, distances: Distances, threads: int, given: int) -> Iterator[Frame]:
        """Frames after the first ``given``."""
        size = (self.info.width, self.info.height)
        with open_container(self._path) as container:
            stream = video_stream(container, str(self._path))
            set_threads(stream, threads)
            distances.meant = bool(stream.frames) or container.format.name == "gif"
            clock = Clock(self.info.rate, container)
            upright = Upright(str(self._path), source_cropping(self._path, stream))
            told = given > 0
            for number, frame in enumerate(decode(container, stream, progress, self._keep_going)):
                time = clock.time(frame)
                distances.add(time, stated_time(frame), progress)
                progress.joins = clock.joins
                if number >= given:
                    rgb = upright(frame, size)
                    if upright.other is not None and not told:
                        told = True
                        words = (
                            "%s: from %.2f s its frames are %dx%d, which are scaled to %dx%d; split it there"
                        )
                        _log.warning(words, self._path, time, *upright.other, *size)
                    yield Frame(rgb, time)

    def _report(self, progress: Progress, distances: Distances, end: Fraction) -> None:
        """Say what is missing. ``end``: when the last frame that could be read is over, in seconds.

        Raises:
            SweettokError: the file ends in the middle, or anything is missing and the reader is strict.
        """
        declared = self.info.frames
        missing = missing_bytes(self._path)
        words = [f"{progress.damaged} damaged packets were passed over"] if progress.damaged else []
        over: Fraction | None = None
        if missing and (declared is None or progress.frames < declared):
            of = f" of {declared}" if declared else ""
            found = f"{missing} bytes are missing and only {progress.frames}{of} frames can be read"
            if not self._keep_going:
                how = f"fetch it again, or take that with {option('keep_going')}"
                raise SweettokError(f"{self._path} is cut short: {found}; {how}.")
            words.append(found)
            over = end
        gaps = distances.gaps(self._path, progress.signs)
        if gaps:
            words.append(in_words(gaps))
        # What an edit list trims away, and what AVI holds by null frames, is declared and not lost.
        shown = self.info.start + end + 1 / self.info.rate
        reached = self.info.duration is not None and shown >= self.info.duration
        lost = distances.missing(gaps)
        # The decoder passes over pictures that refer to lost ones without a word.
        swallowed = self.info.stored.codec == "hevc" and progress.packets > progress.frames
        if (
            declared is not None
            and progress.frames < declared
            and (progress.damaged or swallowed or not reached)
        ):
            lost = declared - progress.frames
            if over is None:
                words.append(f"only {progress.frames} of {declared} frames could be read")
        if over is None and (short := self._ends_early(progress, end)):
            words.append(short)
            over = end
        if not words:
            return
        said = ", ".join(words)
        self.loss = Loss(progress.damaged, lost, gaps, over, said)
        if self._strict:
            raise SweettokError(
                f"{self._path} is not whole: {said}; fetch it again, or leave out {option('strict')}."
            )
        _log.warning("%s: %s; the file is damaged, trimmed or joined", self._path, said)

    def _ends_early(self, progress: Progress, end: Fraction) -> str | None:
        """What shows that the file should go on after ``end`` seconds."""
        structure = check_structure(self._path)
        if (place := begins_again(self._path, max(progress.positions, default=0))) is not None:
            return f"another video begins at byte {place}, which is not read"
        if progress.broken:
            return f"nothing could be read after {float(end):.2f} s ({progress.broken})"
        if structure.cut or progress.cut:
            return f"it ends in the middle of a frame, at {float(end):.2f} s"
        if self.info.frames is None and structure.stop is not None:
            return f"nothing could be read after {float(end):.2f} s (damage at byte {structure.stop})"
        # By time and with some slack: where frames vary in length, their number says nothing.
        duration = None if self.info.frames is not None or progress.joins else self.info.duration
        if duration is None or end >= min(duration * _MOST_OF_IT, duration - _LEAST):
            return None
        if others_end(self._path) < duration * _MOST_OF_IT:
            return f"only {float(end):.1f} of {float(duration):.1f} seconds could be read"
        return None
