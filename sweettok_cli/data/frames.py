"""What an item of a data set holds: frames out of a video file, a folder of pictures or bare planes."""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from sweettok_cli.data.datasets import Item
from sweettok_cli.errors import SweettokError
from sweettok_cli.video.color import ToRgb
from sweettok_cli.video.decoding import Progress, decode, set_threads
from sweettok_cli.video.images import count_pictures, is_picture, read_pictures
from sweettok_cli.video.info import VideoInfo, probe
from sweettok_cli.video.reader import VideoReader, read_clip
from sweettok_cli.video.source import PICTURES, open_container, video_stream


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
    if item.path.is_dir():
        return PictureFolder(item.path, item.rate or Fraction(24))
    if item.path.suffix.lower() == ".yuv":
        return BarePlanes(item.path)
    return VideoFile(item.path)


class VideoFile(FrameSource):
    """A video or picture file."""

    def __init__(self, path: Path) -> None:
        self.info = probe(path)
        self._path = path

    def count(self) -> int:
        """Counted by decoding: what a container declares is not always there."""
        if is_picture(self._path):
            return count_pictures(self._path)
        with open_container(self._path) as container:
            stream = video_stream(container, str(self._path))
            set_threads(stream, 1)
            return sum(1 for _ in decode(container, stream, Progress(str(self._path))))

    def frames(self, start: int = 0, count: int | None = None) -> Iterator[np.ndarray]:
        """As :meth:`FrameSource.frames`."""
        if count is not None:
            yield from read_clip(self._path, start, count, threads=0)
            return
        with VideoReader(self._path) as reader:
            for frame in itertools.islice(reader, start, None):
                yield frame.rgb


class PictureFolder(FrameSource):
    """Pictures that are the frames of one video, in the order of their names."""

    def __init__(self, folder: Path, rate: Fraction) -> None:
        self._paths = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in PICTURES and not path.name.startswith(".")
        )
        if not self._paths:
            raise SweettokError(f"The folder {folder} holds no pictures; unpack the data set again.")
        first = probe(self._paths[0])
        self.info = _silent(folder, first.width, first.height, rate, len(self._paths))

    def frames(self, start: int = 0, count: int | None = None) -> Iterator[np.ndarray]:
        """As :meth:`FrameSource.frames`."""
        size = self.info.height, self.info.width
        for path in self._paths[start : None if count is None else start + count]:
            with closing(read_pictures(path)) as pictures:  # type: ignore[type-var]
                rgb, _ = next(pictures)
            if rgb.shape[:2] != size:
                raise SweettokError(
                    f"{path} is {rgb.shape[1]}x{rgb.shape[0]}, but the first frame of its video "
                    f"{size[1]}x{size[0]}; unpack the data set again."
                )
            yield rgb


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
