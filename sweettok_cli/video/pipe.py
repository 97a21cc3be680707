"""A video that comes through a pipe: read once, from its beginning, as it arrives."""

from __future__ import annotations

import itertools
import logging
import select
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.video.cropping import NOTHING
from sweettok_cli.video.decoding import Clock, Progress, Upright, decode, set_threads, stated_time
from sweettok_cli.video.info import ROUNDING, describe, look_at_pace
from sweettok_cli.video.loss import Distances, Loss, in_words
from sweettok_cli.video.reader import Frame
from sweettok_cli.video.selection import WHOLE, Selection
from sweettok_cli.video.source import check_container, packets_of, reason, video_stream
from sweettok_cli.video.wholeness import Wholeness

_log = logging.getLogger(__name__)
# Packets that are looked at before the first is decoded; a live source takes as long to send them.
_PEEKED = 16
_POLL = 0.2  # seconds between looks whether to go on waiting


class Pipe:
    """The end of a pipe, such as stdin; ``name`` is what to call it, and its outputs."""

    def __init__(self, stream: Any, name: str) -> None:
        self.stream, self.name = stream, name
        self.bytes = Wholeness()
        self.ended = False  # whether nothing more comes
        self._stopped = False

    @classmethod
    def stdin(cls) -> Pipe:
        """What is piped into this program."""
        return cls(open(0, "rb", buffering=0, closefd=False), "stdin")

    def __str__(self) -> str:
        return self.name

    def check(self) -> None:
        """Raise :class:`SweettokError` where a person would have to type the video."""
        if self.stream.isatty():
            raise SweettokError(
                f"{self.name} is a terminal; pipe a video into it: ffmpeg ... -f matroska - | sweettok "
                "encode -"
            )

    def is_dir(self) -> bool:
        """Not a folder."""
        return False

    def read(self, size: int) -> bytes:
        """What is there, up to ``size`` bytes; waits for some; nothing is the end, or :meth:`stop`."""
        while not self._stopped and not self._ready():
            continue
        if self._stopped:
            return b""
        data: bytes = self.stream.read(size) or b""
        self.bytes.feed(data)
        self.ended = not data
        return data

    def stop(self) -> None:
        """Let no thread wait any longer for what may never come."""
        self._stopped = True

    def _ready(self) -> bool:
        """Whether reading would not wait, looked at for a while; of what is no pipe, always."""
        try:
            return bool(select.select([self.stream], [], [], _POLL)[0])
        except (OSError, ValueError, TypeError):
            return True


class PipeReader:
    """The frames of a pipe as they come; can be gone through once. Memory does not grow with its length.

    One thread decodes: more would hold frames back, and could not begin again where the data is damaged.

    Attributes:
        info: what the first packets say.
        selection: which frames of what comes these are.
        loss: what was missing, once all frames were read; it is logged, too.

    Raises:
        SweettokError: on opening, where what comes is no video; while iterating, where it ends in the middle.
    """

    def __init__(
        self, pipe: Pipe, *, keep_going: bool = False, strict: bool = False, selection: Selection = WHOLE
    ) -> None:
        """Wait for the first frames of ``pipe``; the options are those of :class:`VideoReader`."""
        pipe.check()
        self._pipe = pipe
        self._name, self._keep_going, self._strict = str(pipe), keep_going, strict
        self.loss = Loss()
        self._container = self._opened(pipe)
        stream = video_stream(self._container, self._name)
        set_threads(stream, 1)
        coming = packets_of(self._container, stream)
        held: list[Packet] = []
        failed: list[Exception] = []

        def kept() -> Iterator[Packet]:
            try:
                for packet in coming:
                    held.append(packet)
                    yield packet
            except (FFmpegError, EOFError) as error:
                failed.append(error)
                raise

        def again() -> Iterator[Packet]:
            yield from held
            held.clear()
            if failed:
                raise failed[0]
            yield from coming

        pace = look_at_pace(self._container, stream, kept(), _PEEKED)
        held_bytes = held[0].size if held else 0
        self._progress = Progress(self._name)
        frames = decode(self._container, stream, self._progress, True, again())
        first = next(frames, None)
        if first is None and self._container.format.name.startswith("mov"):
            raise SweettokError(
                f"{self._name} is an MP4 whose index is at its end, out of a pipe's reach; give the file "
                "itself, or write it as -f matroska or with -movflags +faststart."
            )
        # Frames that are not compressed are of one size.
        self._frame_bytes = held_bytes if self._container.format.name == "yuv4mpegpipe" else 0
        self._whole = describe(Path(self._name), self._container, stream, first, pace, NOTHING)
        self._frames = itertools.chain([first] if first is not None else [], frames)
        self.selection = selection.for_pictures if self._whole.is_image else selection
        self.info = self.selection.describe(self._whole)

    def _opened(self, pipe: Pipe) -> InputContainer:
        try:
            options = {"protocol_whitelist": "file"}
            container = av.open(pipe, "r", options=options, metadata_errors="replace")
        except (FFmpegError, EOFError) as error:
            if not pipe.bytes.seen:
                raise SweettokError(
                    f"{pipe} is empty; the program that writes into it has failed, see what it says."
                ) from error
            raise SweettokError(
                f"{pipe} cannot be read as a video ({reason(error)}); write a kind that can be read from its "
                "beginning, such as ffmpeg's -f matroska, mpegts or yuv4mpegpipe."
            ) from error
        check_container(container, str(pipe))
        return container

    def __enter__(self) -> PipeReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        own, size = (self._whole.width, self._whole.height), (self.info.width, self.info.height)
        rate, tick = self._whole.rate, max(self._whole.time_base, ROUNDING)
        distances = Distances(rate, min(tick, 1 / (4 * rate)))
        clock, end = Clock(rate, self._container), Fraction(0)
        upright = Upright(self._name, NOTHING, own)

        def timed() -> Iterator[tuple[VideoFrame, Fraction]]:
            nonlocal end
            for frame in self._frames:
                time = clock.time(frame)
                distances.add(time, stated_time(frame), self._progress)
                end = time + 1 / rate
                yield frame, time

        none = True
        for frame, time in self.selection.chosen(timed(), 1 / rate):
            none = False
            yield Frame(upright(frame, size), time)
        self._report(distances, end)
        if none:
            raise SweettokError(self.selection.nothing_left(self._name, end, self._whole.is_image))

    def _report(self, distances: Distances, end: Fraction) -> None:
        """Say what is missing, as far as that shows without the pipe's beginning."""
        progress = self._progress
        words = [f"{progress.damaged} damaged packets were passed over"] if progress.damaged else []
        short = self._pipe.ended and self._pipe.bytes.is_cut(self._frame_bytes)
        cut = progress.broken or progress.cut or short
        if cut:
            found = f"it ends in the middle, after {float(end):.2f} s"
            found += f" ({progress.broken})" if progress.broken else ""
            if not self._keep_going:
                how = f"see what the program that writes it says, or take that with {option('keep_going')}"
                raise SweettokError(f"{self._name} is cut short: {found}; {how}.")
            words.append(found)
        gaps = distances.gaps(None, progress.signs)
        if gaps:
            words.append(in_words(gaps))
        if not words:
            return
        said = ", ".join(words)
        self.loss = Loss(progress.damaged, distances.missing(gaps), gaps, end if cut else None, said)
        if self._strict:
            raise SweettokError(
                f"{self._name} is not whole: {said}; send it again, or leave out {option('strict')}."
            )
        _log.warning("%s: %s; what came is damaged or cut short", self._name, said)
