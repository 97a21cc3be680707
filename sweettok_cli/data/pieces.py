"""One source of a pack: its frames, smaller and fewer if need be, in pieces that are quick to read."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sweettok_cli.data.entry import Entry, Facts
from sweettok_cli.errors import SweettokError
from sweettok_cli.files import WriteError
from sweettok_cli.video.images import write_image
from sweettok_cli.video.info import ROUNDING, VideoInfo, probe
from sweettok_cli.video.reader import VideoReader, shown_at
from sweettok_cli.video.writer import VideoWriter

H264, LOSSLESS, COPY = "h264", "lossless", "copy"
CODECS = (H264, LOSSLESS, COPY)
# Reading begins at a key frame: from a random frame on, half as many are decoded in vain.
_KEY_FRAMES = 16


class Stopped(Exception):
    """The work was called off."""


@dataclass(frozen=True)
class Packing:
    """What becomes of every source."""

    codec: str = H264  # one of :data:`CODECS`
    crf: float = 18  # of H.264
    short_side: int = 256  # in pixels, at most; 0 leaves sizes as they are
    fps: Fraction | None = None  # frames a second, at most
    seconds: float = 10  # of a piece, about; 0 leaves videos whole
    keep_going: bool = False  # take what is left of files that are cut short
    strict: bool = False  # refuse files of which anything is missing

    def as_json(self) -> dict[str, Any]:
        """Its values, as JSON has them."""
        return {**vars(self), "fps": None if self.fps is None else str(self.fps)}


@dataclass(frozen=True)
class Piece:
    """One file that was made."""

    file: str  # its name
    size: int  # bytes
    frames: int
    rate: float
    width: int
    height: int


def make_pieces(
    source: Path, entry: Entry, packing: Packing, folder: Path, stem: str, called_off: Callable[[], bool]
) -> list[Piece]:
    """Write the pieces of one source into a folder, as ``stem`` with a number and an ending.

    Args:
        source: the file that holds what the entry is.
        entry: the part of it that counts.
        packing: what becomes of it. Its frames come at an even rate, by their time stamps.
        folder: where to write.
        stem: how the files' names begin.
        called_off: asked between frames.

    Raises:
        SweettokError: the source cannot be read, or a piece not be written.
        Stopped: the work was called off.
    """
    if packing.codec == COPY:
        return [_copied(source, entry, folder, stem)]
    with VideoReader(source, threads=1, keep_going=packing.keep_going, strict=packing.strict) as reader:
        info = reader.info
        size = _size(info, packing.short_side)
        if info.is_image:
            frame = next(iter(reader))
            return [_picture(_scaled(frame.rgb, size), packing, folder, stem)]
        rate = info.rate if packing.fps is None else min(info.rate, packing.fps)
        # What is written down in decimals is not exactly when a frame is shown.
        first, last = entry.start - ROUNDING, entry.end - ROUNDING
        timed = ((frame.rgb, frame.time) for frame in reader)
        after = itertools.dropwhile(lambda shown: shown[1] < first, timed)
        shown = shown_at(itertools.takewhile(lambda shown: shown[1] < last, after), rate)
        made = []
        for number, frames in enumerate(_parted(shown, _length(info, entry, rate, packing.seconds))):
            path = folder / f"{stem}-{number:04}.mp4"
            made.append(_written(path, (_scaled(f, size) for f in frames), rate, size, packing, called_off))
    if not made:
        raise SweettokError(f"{source} has no frame between {entry.start:g} and {entry.end:g} s.")
    return made


def _length(info: VideoInfo, entry: Entry, rate: Fraction, seconds: float) -> int | None:
    """Frames of a piece: of about so many seconds, and such that the last one is as long as the others."""
    if not seconds:
        return None
    wanted = max(1, round(seconds * rate))
    declared = info.duration or (info.frames / info.rate if info.frames else None)
    if declared is None:
        return wanted
    lasts = min(float(declared), entry.end) - entry.start
    total = max(1, round(lasts * rate))
    return -(-total // max(1, round(total / wanted)))


def _parted(frames: Iterator[np.ndarray], length: int | None) -> Iterator[Iterator[np.ndarray]]:
    """Groups of ``length`` frames; each is to be used up before the next one."""
    for first in frames:
        group = itertools.chain([first], frames)
        yield group if length is None else itertools.islice(group, length)


def _written(
    path: Path,
    frames: Iterator[np.ndarray],
    rate: Fraction,
    size: tuple[int, int],
    packing: Packing,
    called_off: Callable[[], bool],
) -> Piece:
    count = 0
    writer = VideoWriter(
        *(path, *size, rate),
        crf=packing.crf,
        lossless=packing.codec == LOSSLESS,
        key_frames=_KEY_FRAMES,
        repeatable=True,
        force=True,
    )
    with writer:
        for frame in frames:
            if called_off():
                raise Stopped
            writer.write(frame)
            count += 1
    return Piece(path.name, path.stat().st_size, count, float(rate), *size)


def _picture(rgb: np.ndarray, packing: Packing, folder: Path, stem: str) -> Piece:
    path = folder / f"{stem}-0000{'.png' if packing.codec == LOSSLESS else '.jpg'}"
    write_image(path, rgb, force=True)
    return Piece(path.name, path.stat().st_size, 1, 1.0, rgb.shape[1], rgb.shape[0])


def _copied(source: Path, entry: Entry, folder: Path, stem: str) -> Piece:
    """The source as it is."""
    if entry.is_part:
        raise SweettokError(f"{source} cannot be copied in part; give another --codec than copy.")
    info = probe(source)
    facts = Facts(1, 1.0) if info.is_image else entry.declared()
    path = folder / f"{stem}-0000{Path(entry.name).suffix.lower()}"
    try:
        shutil.copyfile(source, path)
    except OSError as error:
        raise WriteError(path, error) from error
    rate = facts.rate or float(info.rate)
    return Piece(path.name, path.stat().st_size, facts.frames, rate, info.width, info.height)


def _size(info: VideoInfo, short_side: int) -> tuple[int, int]:
    """Width and height of a piece: no larger than the source's, even where they were changed."""
    short = min(info.width, info.height)
    if not short_side or short <= short_side:
        return info.width, info.height
    scale = short_side / short
    width, height = (max(short_side, 2 * round(side * scale / 2)) for side in (info.width, info.height))
    return width, height


def _scaled(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if size == (rgb.shape[1], rgb.shape[0]):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))
