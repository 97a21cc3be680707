"""What an item of a data set holds: frames out of a video file, a folder of pictures or bare planes."""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from sweettok_cli.data.datasets import Item
from sweettok_cli.errors import SweettokError
from sweettok_cli.video.color import ToRgb
from sweettok_cli.video.decoding import Progress, decode, set_threads
from sweettok_cli.video.images import count_pictures, is_picture
from sweettok_cli.video.info import VideoInfo, probe
from sweettok_cli.video.inputs import open_video
from sweettok_cli.video.reader import VideoReader, read_clip
from sweettok_cli.video.sequence import FrameSequence, is_pattern
from sweettok_cli.video.source import open_container, video_stream


class FrameSource(ABC):
    """Frames in order, read as they are asked for."""

    info: VideoInfo  # size, rate and kind; ``info.frames`` is what the file says, see :meth:`count`

    def count(self) -> int:
        """How many frames there really are."""
        assert self.info.frames is not None
        return self.info.frames

    @abstractmethod
    def frames(self, start: int = 0, count: int | None = None) -> Iterator[np.ndarray]:
        """Frames ``start`` to ``start + count`` (all that follow by default), uint8 RGB [h, w, 3]."""


def open_source(item: Item) -> FrameSource:
    """The frames of an item.

    Raises:
        SweettokError: it cannot be read, or is nothing that holds frames.
    """
    if item.path.is_dir() or (is_pattern(item.path) and not item.path.exists()):
        return NumberedPictures(item.path, item.rate, item.strict)
    if item.path.suffix.lower() == ".yuv":
        return BarePlanes(item.path)
    return VideoFile(item.path, item.keep_going, item.strict)


def middle_frames(source: FrameSource, count: int | None) -> Iterator[np.ndarray]:
    """The ``count`` frames in the middle, all where there are fewer, or by default; uint8 RGB [h, w, 3]."""
    start = 0 if count is None else max(0, (source.count() - count) // 2)
    return source.frames(start, count)


def files_of(item: Item) -> list[Path]:
    """The files that an item is read from; there may be others in its folder."""
    if item.path.is_dir():
        return sorted(item.path.iterdir())
    if is_pattern(item.path) and not item.path.exists():
        return list(FrameSequence.of(item.path).files)
    return [item.path]


class VideoFile(FrameSource):
    """A video or picture file; ``keep_going`` and ``strict`` are those of :class:`VideoReader`."""

    def __init__(self, path: Path, keep_going: bool = False, strict: bool = False) -> None:
        self.info = probe(path)
        self._path, self._keep_going, self._strict = path, keep_going, strict

    def count(self) -> int:
        """Counted by decoding: what a container declares is not always there."""
        if is_picture(self._path):
            return count_pictures(self._path)
        if self._strict:  # of which some frames are read: all are looked at
            with self._reader() as reader:
                return sum(1 for _ in reader)
        with open_container(self._path) as container:
            stream = video_stream(container, str(self._path))
            set_threads(stream, 1)
            return sum(1 for _ in decode(container, stream, Progress(str(self._path)), self._keep_going))

    def _reader(self) -> VideoReader:
        return VideoReader(self._path, keep_going=self._keep_going, strict=self._strict)

    def frames(self, start: int = 0, count: int | None = None) -> Iterator[np.ndarray]:
        """As :meth:`FrameSource.frames`."""
        if count is not None:
            yield from read_clip(self._path, start, count, threads=0)
            return
        with self._reader() as reader:
            for frame in itertools.islice(reader, start, None):
                yield frame.rgb


class NumberedPictures(FrameSource):
    """Pictures that are the frames of one video: a folder of them, or a pattern."""

    def __init__(self, folder: Path, rate: Fraction | None, strict: bool = False) -> None:
        self._sequence = FrameSequence.of(folder, rate)
        open_video(self._sequence, strict=strict)  # refuses what is missing
        self.info = self._sequence.info

    def frames(self, start: int = 0, count: int | None = None) -> Iterator[np.ndarray]:
        """As :meth:`FrameSource.frames`."""
        return self._sequence.frames(start, None if count is None else start + count)


def _silent(path: Path, width: int, height: int, rate: Fraction, frames: int) -> VideoInfo:
    """What is known of a video of even rate without sound."""
    return VideoInfo(
        path, width, height, rate, frames, 1 / rate,
        variable_rate=False, has_audio=False, is_image=False, duration=frames / rate,
    )  # fmt: skip


class BarePlanes(FrameSource):
    """8-bit 4:2:0 planes without a header: ``NAME_WIDTHxHEIGHT_RATE.yuv``."""

    _NAME = re.compile(r".*_(\d+)x(\d+)_(\d+(?:\.\d+)?)(?:fps)?(?:_.*)?")

    def __init__(self, path: Path) -> None:
        named = self._NAME.fullmatch(path.stem)
        if named is None:
            raise SweettokError(
                f"{path} does not say its size and rate; name it like videoSRC01_1920x1080_30.yuv."
            )
        width, height, rate = int(named[1]), int(named[2]), Fraction(named[3])
        self._path = path
        self._bytes = width * height + 2 * (-(-width // 2)) * (-(-height // 2))
        size = path.stat().st_size
        if not size or size % self._bytes or width % 2 or height % 2 or not rate:
            raise SweettokError(
                f"{path} does not hold whole 8-bit 4:2:0 frames of {width}x{height}; fetch it again."
            )
        self.info = _silent(path, width, height, rate, size // self._bytes)

    def frames(self, start: int = 0, count: int | None = None) -> Iterator[np.ndarray]:
        """As :meth:`FrameSource.frames`; colour as in any untagged video."""
        end = self.count() if count is None else min(self.count(), start + count)
        shape = self.info.height * 3 // 2, self.info.width
        convert = ToRgb()
        with self._path.open("rb") as stream:
            stream.seek(start * self._bytes)
            for _ in range(start, end):
                planes = np.frombuffer(stream.read(self._bytes), np.uint8).reshape(shape)
                yield convert(VideoFrame.from_ndarray(planes, format="yuv420p"))
