"""One source of a pack: its frames, smaller and fewer if need be, in pieces that are quick to read."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sweettok_cli.data.entry import Entry, Facts
from sweettok_cli.data.stretch import with_short_side
from sweettok_cli.errors import SweettokError
from sweettok_cli.files import WriteError, atomic_output
from sweettok_cli.video.images import write_image
from sweettok_cli.video.info import ROUNDING, VideoInfo, probe
from sweettok_cli.video.reader import VideoReader, read_clip, shown_at
from sweettok_cli.video.writer import VideoWriter

H264, LOSSLESS, COPY = "h264", "lossless", "copy"
CODECS = (H264, LOSSLESS, COPY)
# Reading begins at a key frame: from a random frame on, half as many are decoded in vain.
_KEY_FRAMES = 16


class Stopped(Exception):
    """The work was called off."""


#: Gives a sample, uint8 RGB [t, h, w, 3], codes of some tokenizer, [t', h', w'].
Encode = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Packing:
    """What becomes of every source."""

    codec: str = H264  # one of :data:`CODECS`
    crf: float = 18  # of H.264
    short_side: int = 256  # in pixels, at most; 0 leaves sizes as they are
    fps: Fraction | None = None  # frames a second, at most
    seconds: float = 10  # of a piece, about; 0 leaves videos whole
    sample: tuple[int, int] | None = None  # pieces are samples of this side and so many frames
    teacher: str = ""  # SHA-256 of the weights whose codes are packed, too
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
    codes: str = ""  # the file of its codes, if it has any


@dataclass(frozen=True)
class PieceMaker:
    """Writes the pieces of sources into a folder.

    Args:
        packing: what becomes of them. Frames come at an even rate, by their time stamps.
        folder: where to write.
        called_off: asked between frames.
        encode: gives samples the codes that are packed beside them.
    """

    packing: Packing
    folder: Path
    called_off: Callable[[], bool]
    encode: Encode | None = None

    def make(self, source: Path, entry: Entry, stem: str) -> list[Piece]:
        """Write the pieces of one source, as ``stem`` with a number and an ending.

        Args:
            source: the file that holds what the entry is.
            entry: the part of it that counts.
            stem: how the files' names begin.

        Raises:
            SweettokError: the source cannot be read, or a piece not be written.
            Stopped: the work was called off.
        """
        packing = self.packing
        if packing.codec == COPY:
            return [self._copied(source, entry, stem)]
        with VideoReader(source, threads=1, keep_going=packing.keep_going, strict=packing.strict) as reader:
            info = reader.info
            rate = info.rate if packing.fps is None else min(info.rate, packing.fps)
            # What is written down in decimals is not exactly when a frame is shown.
            first, last = entry.start - ROUNDING, entry.end - ROUNDING
            timed = ((frame.rgb, frame.time) for frame in reader)
            after = itertools.dropwhile(lambda shown: shown[1] < first, timed)
            shown = shown_at(itertools.takewhile(lambda shown: shown[1] < last, after), rate)
            if packing.sample is not None:
                made = self._samples(shown, packing.sample, rate, stem)
            else:
                made = self._parts(shown, info, _length(info, entry, rate, packing.seconds), rate, stem)
        if not made:
            raise SweettokError(f"{source} has no frame between {entry.start:g} and {entry.end:g} s.")
        return made

    def _parts(
        self, frames: Iterator[np.ndarray], info: VideoInfo, length: int | None, rate: Fraction, stem: str
    ) -> list[Piece]:
        """Pieces of whole frames."""
        size = _size(info, self.packing.short_side)
        scaled = (_scaled(frame, size) for frame in frames)
        parts = enumerate(_parted(scaled, length))
        return [self._written(f"{stem}-{number:04}", part, rate, info.is_image) for number, part in parts]

    def _samples(
        self, frames: Iterator[np.ndarray], sample: tuple[int, int], rate: Fraction, stem: str
    ) -> list[Piece]:
        """Pieces that are samples; what is left at the end and too short for one is left out."""
        side, length = sample
        made: list[Piece] = []
        while group := [_middle(frame, side) for frame in itertools.islice(frames, length)]:
            if len(group) < length and made:
                break
            group += group[-1:] * (length - len(group))
            made.append(self._written(f"{stem}-{len(made):04}", group, rate, length == 1))
        return made

    def _written(self, stem: str, frames: Iterable[np.ndarray], rate: Fraction, picture: bool) -> Piece:
        lossless = self.packing.codec == LOSSLESS
        ending = (".png" if lossless else ".jpg") if picture else ".mp4"
        path = self.folder / f"{stem}{ending}"
        frames = iter(frames)
        first = next(frames)
        height, width = first.shape[:2]
        count = 1
        if picture:
            write_image(path, first, force=True)
        else:
            writer = VideoWriter(
                *(path, width, height, rate),
                crf=self.packing.crf,
                lossless=lossless,
                key_frames=_KEY_FRAMES,
                repeatable=True,
                force=True,
            )
            with writer:
                writer.write(first)
                for frame in frames:
                    if self.called_off():
                        raise Stopped
                    writer.write(frame)
                    count += 1
        codes = ""
        if self.encode is not None:  # as training will read it
            codes = f"{stem}.npy"
            with atomic_output(self.folder / codes, force=True) as part, open(part, "wb") as stream:
                np.save(stream, self.encode(read_clip(path, 0, count)).astype(np.int32))
        return Piece(path.name, path.stat().st_size, count, float(rate), width, height, codes)

    def _copied(self, source: Path, entry: Entry, stem: str) -> Piece:
        """The source as it is."""
        if entry.is_part:
            raise SweettokError(f"{source} cannot be copied in part; give another --codec than copy.")
        info = probe(source)
        facts = Facts(1, 1.0) if info.is_image else entry.declared()
        path = self.folder / f"{stem}-0000{Path(entry.name).suffix.lower()}"
        try:
            shutil.copyfile(source, path)
        except OSError as error:
            raise WriteError(path, error) from error
        rate = facts.rate or float(info.rate)
        return Piece(path.name, path.stat().st_size, facts.frames, rate, info.width, info.height)


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


def _middle(rgb: np.ndarray, side: int) -> np.ndarray:
    """The middle of a frame whose short side is scaled to ``side``, as training cuts it with ``centre``."""
    scaled = _scaled(rgb, with_short_side(side, rgb.shape[1], rgb.shape[0]))
    y, x = (scaled.shape[0] - side) // 2, (scaled.shape[1] - side) // 2
    return np.ascontiguousarray(scaled[y : y + side, x : x + side])
