"""What a video can be read from: a file here or elsewhere, numbered pictures, or a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path
from typing import Protocol

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.video.images import scaled
from sweettok_cli.video.info import VideoInfo
from sweettok_cli.video.loss import Loss
from sweettok_cli.video.pipe import Pipe, PipeReader
from sweettok_cli.video.reader import Frame, VideoReader
from sweettok_cli.video.remote import RemoteFile, check_url, is_url
from sweettok_cli.video.selection import WHOLE, Selection
from sweettok_cli.video.sequence import FrameSequence
from sweettok_cli.video.source import check_readable

#: What is given on a command line before it is looked at; a path or an address may be a folder's.
Given = Path | RemoteFile | Pipe
Input = Given | FrameSequence


class Frames(Protocol):
    """Frames with their times, and what they are of; :attr:`loss` counts once all were read."""

    @property
    def info(self) -> VideoInfo:
        """What is known of the video."""

    @property
    def loss(self) -> Loss:
        """What was missing."""

    @property
    def selection(self) -> Selection:
        """Which frames of the source these are."""

    def __iter__(self) -> Iterator[Frame]:
        """From the first one."""


def read_input(text: str | PathLike[str]) -> Given:
    """What a text stands for: ``-`` for stdin, ``https://...`` for an address, anything else for a path.

    Raises:
        WrongUsage: an address names nothing.
    """
    if text == "-":
        return Pipe.stdin()
    if not (isinstance(text, str) and is_url(text)):
        return Path(text)
    check_url(text)
    return RemoteFile(text)


def open_video(
    source: Input, *, keep_going: bool = False, strict: bool = False, selection: Selection = WHOLE
) -> AbstractContextManager[Frames]:
    """What gives the frames of a source with their times, as far as they are selected.

    ``keep_going`` and ``strict`` are those of :class:`~sweettok_cli.video.reader.VideoReader`.

    Raises:
        SweettokError: the source cannot be read.
    """
    if isinstance(source, Pipe):
        return PipeReader(source, keep_going=keep_going, strict=strict, selection=selection)
    if not isinstance(source, FrameSequence):
        return VideoReader(source, keep_going=keep_going, strict=strict, selection=selection)
    if strict and source.loss:
        raise SweettokError(
            f"{source}: {source.loss.words}; leave out {option('strict')} to take the others."
        )
    return SomePictures(source, selection.for_pictures) if selection.for_pictures else source


class SomePictures:
    """Numbered pictures, as far as they are selected."""

    def __init__(self, sequence: FrameSequence, selection: Selection) -> None:
        self._sequence, self.selection = sequence, selection
        self.info, self.loss = selection.describe(sequence.info), sequence.loss

    def __enter__(self) -> SomePictures:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __iter__(self) -> Iterator[Frame]:
        rate, size = self._sequence.rate, (self.info.width, self.info.height)
        if not (taken := chosen_numbers(self._sequence, self.selection)):
            end = len(self._sequence.files) / rate
            raise SweettokError(self.selection.nothing_left(str(self._sequence), end))
        for number, rgb in enumerate(self._sequence.frames(taken[0], taken[-1] + 1), taken[0]):
            yield Frame(scaled(rgb, size), number / rate)


def chosen_numbers(sequence: FrameSequence, selection: Selection) -> list[int]:
    """Which pictures are selected, counted from 0; no picture is read."""
    timed = ((number, number / sequence.rate) for number in range(len(sequence.files)))
    return [number for number, _ in selection.for_pictures.chosen(timed, 1 / sequence.rate)]


def modified(source: Input) -> float | None:
    """When a source was changed, in seconds since 1970; None where that is not known.

    Raises:
        OSError: a file cannot be looked at.
    """
    if isinstance(source, RemoteFile):
        return source.modified
    if isinstance(source, Pipe):
        return None
    files = source.files if isinstance(source, FrameSequence) else (source,)
    return max(path.stat().st_mtime for path in files)


def check_input(source: Input) -> None:
    """Raise :class:`SweettokError` unless a source may be read."""
    if isinstance(source, Pipe):
        source.check()
        return
    for path in source.files if isinstance(source, FrameSequence) else (source,):
        check_readable(path)
