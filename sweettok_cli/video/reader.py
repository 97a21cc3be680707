"""Video in: any file PyAV or Pillow decodes, as a stream of RGB frames with their times."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.video.container_size import missing_bytes
from sweettok_cli.video.decoding import Clock, Progress, Upright, decode, set_threads, states_decoding_only
from sweettok_cli.video.images import is_picture, read_pictures
from sweettok_cli.video.info import VideoInfo, probe
from sweettok_cli.video.random_access import read_clip
from sweettok_cli.video.source import open_container, video_stream

__all__ = ["Frame", "VideoInfo", "VideoReader", "probe", "read_clip"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """A picture, uint8 RGB [h, w, 3], and when it is shown, in seconds after the first one."""

    rgb: np.ndarray
    time: Fraction


class VideoReader:
    """The frames of one file, decoded as they are asked for; memory does not grow with the file's length.

    ::

        with VideoReader("clip.mp4") as reader:
            for frame in reader:
                frame.rgb, frame.time

    Frames have the size ``info.width`` x ``info.height``: rotation is applied, a stream that changes its size
    is scaled to the first one, and pixels are taken as square. Colour is converted as
    :class:`sweettok_cli.video.color.ToRgb` says. Iterating again starts from the beginning.

    Raises:
        SweettokError: on opening, where the file cannot be read or holds no picture; while iterating, where
            it ends in the middle. Single packets that cannot be decoded are passed over, counted in
            ``damaged`` and logged.
    """

    def __init__(self, path: Path | str, *, threads: int = 0) -> None:
        """Open ``path``; decode with ``threads`` threads (0: as many as the decoder likes)."""
        self.info = probe(path)
        self.damaged = 0
        self._path = Path(path)
        self._threads = threads
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
        frames = self._pictures() if is_picture(self._path) else self._frames()
        self._running.append(frames)
        return frames

    def _pictures(self) -> Iterator[Frame]:
        for rgb, time in read_pictures(self._path):
            yield Frame(rgb, time)

    def _frames(self) -> Iterator[Frame]:
        progress = Progress(str(self._path))
        upright = Upright(str(self._path))
        size = (self.info.width, self.info.height)
        with open_container(self._path) as container:
            stream = video_stream(container, str(self._path))
            set_threads(stream, self._threads)
            clock = Clock(self.info.rate, states_decoding_only(container))
            end = Fraction(0)
            for frame in decode(container, stream, progress):
                time = clock.time(frame)
                end = time + 1 / self.info.rate
                yield Frame(upright(frame, size), time)
        self.damaged = progress.damaged
        self._check_complete(progress, end)

    def _check_complete(self, progress: Progress, end: Fraction) -> None:
        """``end``: when the last frame that could be read is over, in seconds."""
        declared = self.info.frames
        missing = missing_bytes(self._path)
        if missing and (declared is None or progress.frames < declared):
            of = f" of {declared}" if declared else ""
            raise SweettokError(
                f"{self._path} is cut short: {missing} bytes are missing and only {progress.frames}{of} "
                "frames can be read; fetch it again, or cut it there with a video editor to keep the rest."
            )
        if progress.damaged:
            _log.warning("%s: %d damaged packets were passed over", self._path, progress.damaged)
        if declared is not None and progress.frames < declared:
            _log.warning(
                "%s: only %d of %d frames could be read; the file is damaged or trimmed",
                self._path,
                progress.frames,
                declared,
            )
            return
        # By time and with some slack: where frames vary in length, their number says nothing.
        duration = None if declared is not None or self.info.has_audio else self.info.duration
        if duration is not None and end < duration * Fraction(9, 10):
            _log.warning(
                "%s: only %.1f of %.1f seconds could be read; the file is damaged or trimmed",
                self._path,
                end,
                duration,
            )
