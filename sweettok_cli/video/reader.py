"""Video in: any file PyAV or Pillow decodes, as a stream of RGB frames with their times."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TypeVar

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

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
)
from sweettok_cli.video.images import is_picture, read_pictures, scaled
from sweettok_cli.video.info import DEFAULT_RATE, ROUNDING, probe, source_cropping
from sweettok_cli.video.loss import Distances, Loss, in_words, others_end
from sweettok_cli.video.seeking import MARGIN, NEAR, frames_from, rewind, seek_to
from sweettok_cli.video.selection import WHOLE, Selection
from sweettok_cli.video.source import File, Source, open_container, source_name, video_stream
from sweettok_cli.video.structure import begins_again, check_structure, missing_bytes

_log = logging.getLogger(__name__)
Shown = TypeVar("Shown")
#: Width and height, or what gives them for a picture's own.
Size = tuple[int, int] | Callable[[int, int], tuple[int, int]] | None

_MOST_OF_IT = Fraction(9, 10)
_LEAST = Fraction(1, 10)  # of a second, that is missed
# Containers with an index that tells where a time is, by clocks that do not jump.
_INDEXED = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
_FAR_MARGIN = Fraction(10)  # seconds, where nearer key frames turn out to be shown later


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
    return scaled(rgb, size(rgb.shape[1], rgb.shape[0]) if callable(size) else size)


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
        timed = ((frame, clock.time(frame)) for frame in frames_from(container, stream, name, start))
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


@dataclass(frozen=True)
class Frame:
    """A picture, uint8 RGB [h, w, 3], and when it is shown, in seconds after the first one.

    ``came`` is when it was read, on the clock of :func:`time.monotonic`.
    """

    rgb: np.ndarray
    time: Fraction
    came: float = field(default_factory=monotonic, compare=False)


class VideoReader:
    """The frames of one file, decoded as they are asked for; memory does not grow with the file's length.

    Frames have the size ``info.width`` x ``info.height``: rotation is applied, a stream that changes its size
    is scaled to the first one, and pixels are taken as square. Colour is converted as
    :class:`sweettok_cli.video.color.ToRgb` says. Iterating again starts from the beginning.

    Attributes:
        info: what is known of the frames.
        selection: which frames of the file they are.
        loss: what was missing, once all frames were read; it is logged, too.

    Raises:
        SweettokError: on opening, where the file cannot be read or holds no picture; while iterating, where
            it ends in the middle.
    """

    def __init__(
        self,
        path: File | str,
        *,
        threads: int = 0,
        keep_going: bool = False,
        strict: bool = False,
        selection: Selection = WHOLE,
    ) -> None:
        """Open ``path``; decode with ``threads`` threads (0: as many as the decoder likes).

        ``keep_going`` takes what is left of a file that ends in the middle; ``strict`` refuses a file of
        which anything is missing. Of a ``selection`` no more is read than it takes: what is missing elsewhere
        does not count.
        """
        self._path = Path(path) if isinstance(path, str) else path
        self._whole = probe(self._path)
        self.selection = selection.for_pictures if self._whole.is_image else selection
        self.info = self.selection.describe(self._whole)
        self.loss = Loss()
        self._threads = threads
        self._keep_going, self._strict = keep_going, strict
        self._running: list[Iterator[Frame]] = []
        self._end = Fraction(0)  # when the last frame that was decoded is over, in seconds
        self._jumped = False  # over frames before those that were decoded
        self._read_out = False  # up to the file's end

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
        frames = self._pictures() if is_picture(self._path) else self._frames()
        self._running.append(frames)
        return frames

    def _pictures(self) -> Iterator[Frame]:
        size, end = (self.info.width, self.info.height), Fraction(0)

        def timed() -> Iterator[tuple[np.ndarray, Fraction]]:
            nonlocal end
            for rgb, time in read_pictures(self._path):
                end = time + 1 / self._whole.rate
                yield rgb, time

        frames = (Frame(scaled(rgb, size), time) for rgb, time in self._chosen(timed()))
        yield from self._some(frames, lambda: end)

    def _chosen(self, timed: Iterable[tuple[Shown, Fraction]]) -> Iterator[tuple[Shown, Fraction]]:
        return self.selection.chosen(timed, 1 / self._whole.rate)

    def _some(self, frames: Iterable[Frame], end: Callable[[], Fraction]) -> Iterator[Frame]:
        """The frames, of which there is at least one; ``end`` tells when the last that was seen is over."""
        none = True
        for frame in frames:
            none = False
            yield frame
        if none and self.selection:
            name, over = str(self._path), end() or None
            raise SweettokError(self.selection.nothing_left(name, over, self._whole.is_image))

    def _frames(self) -> Iterator[Frame]:
        yield from self._some(self._decoded(), lambda: self._end)

    def _decoded(self) -> Iterator[Frame]:
        given, self._end = 0, Fraction(0)
        for threads in (self._threads, 1):
            progress = Progress(str(self._path))
            rate, tick = self._whole.rate, max(self._whole.time_base, ROUNDING)
            distances = Distances(rate, min(tick, 1 / (4 * rate)))
            try:
                for frame in self._decoded_by(threads, progress, distances, given):
                    given += 1
                    yield frame
                break
            except DamagedPacket:
                continue
        self._report(progress, distances, self._end)

    def _decoded_by(
        self, threads: int, progress: Progress, distances: Distances, given: int
    ) -> Iterator[Frame]:
        """Frames after the first ``given``."""
        own, size = (self._whole.width, self._whole.height), (self.info.width, self.info.height)
        with open_container(self._path) as container:
            stream = video_stream(container, str(self._path))
            set_threads(stream, threads)
            distances.meant = bool(stream.frames) or container.format.name == "gif"
            frames, origin = self._from_start(container, stream, progress)
            self._jumped = origin is not None
            clock = Clock(self._whole.rate, container, origin)
            upright = Upright(str(self._path), source_cropping(self._path, stream), own)
            told = given > 0

            def timed() -> Iterator[tuple[VideoFrame, Fraction]]:
                for frame in frames:
                    time = clock.time(frame)
                    distances.add(time, stated_time(frame), progress)
                    progress.joins = clock.joins
                    self._end = time + 1 / self._whole.rate
                    yield frame, time
                self._read_out = True

            for number, (frame, time) in enumerate(self._chosen(timed())):
                if number < given:
                    continue
                rgb = upright(frame, size)
                if upright.other is not None and not told:
                    told = True
                    words = "%s: from %.2f s its frames are %dx%d, which are scaled to %dx%d; split it there"
                    _log.warning(words, self._path, time, *upright.other, *size)
                yield Frame(rgb, time)

    def _from_start(
        self, container: InputContainer, stream: VideoStream, progress: Progress
    ) -> tuple[Iterator[VideoFrame], Fraction | None]:
        """Frames from one on that is shown no later than what is selected, found by the container's index.

        And when the first of the file is shown, in seconds on the container's clock, where others come first.
        """
        start, rate = self.selection.start, self._whole.rate
        if start * rate >= NEAR and container.format.name in _INDEXED:
            for margin in (Fraction(0), MARGIN / rate, _FAR_MARGIN):
                shown = self._whole.start + start
                found = seek_to(container, stream, progress, shown, margin, self._keep_going)
                if found is not None:
                    return found, self._whole.start
                progress.begin_again()
            rewind(container, stream, progress.name)
        return decode(container, stream, progress, self._keep_going), None

    def _report(self, progress: Progress, distances: Distances, end: Fraction) -> None:
        """Say what is missing. ``end``: when the last frame that could be read is over, in seconds.

        Raises:
            SweettokError: the file ends in the middle, or anything is missing and the reader is strict.
        """
        declared = None if self._jumped else self._whole.frames
        missing = missing_bytes(self._path) if self._read_out else 0
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
        gaps = distances.gaps(self._path if self._read_out and not self._jumped else None, progress.signs)
        if gaps:
            words.append(in_words(gaps))
        # What an edit list trims away, and what AVI holds by null frames, is declared and not lost.
        shown = self._whole.start + end + 1 / self._whole.rate
        reached = self._whole.duration is not None and shown >= self._whole.duration
        lost = distances.missing(gaps)
        # The decoder passes over pictures that refer to lost ones without a word.
        swallowed = self._whole.stored.codec == "hevc" and progress.packets > progress.frames
        if (
            declared is not None
            and self._read_out
            and progress.frames < declared
            and (progress.damaged or swallowed or not reached)
        ):
            lost = declared - progress.frames
            if over is None:
                words.append(f"only {progress.frames} of {declared} frames could be read")
        if over is None and self._read_out and (short := self._ends_early(progress, end)):
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
        if self._whole.frames is None and structure.stop is not None:
            return f"nothing could be read after {float(end):.2f} s (damage at byte {structure.stop})"
        # By time and with some slack: where frames vary in length, their number says nothing.
        duration = None if self._whole.frames is not None or progress.joins else self._whole.duration
        if duration is None or end >= min(duration * _MOST_OF_IT, duration - _LEAST):
            return None
        if others_end(self._path) < duration * _MOST_OF_IT:
            return f"only {float(end):.1f} of {float(duration):.1f} seconds could be read"
        return None
