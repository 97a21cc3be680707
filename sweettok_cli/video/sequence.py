"""Numbered pictures that are the frames of one video: a folder of them, or a pattern such as img_%04d.png."""

from __future__ import annotations

import itertools
import logging
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import check_target, move_to
from sweettok_cli.holding import let_go, temporary_folder
from sweettok_cli.video.images import read_pictures, save_picture
from sweettok_cli.video.info import DEFAULT_RATE, VideoInfo, probe
from sweettok_cli.video.loss import Loss
from sweettok_cli.video.reader import Frame
from sweettok_cli.video.selection import WHOLE, Selection
from sweettok_cli.video.source import PICTURES, find_files

_log = logging.getLogger(__name__)
_NUMBER = re.compile(r"%(0[1-9])?d")


def is_pattern(path: Path) -> bool:
    """Whether a name stands for numbered pictures, as ``img_%04d.png`` does."""
    return path.suffix.lower() in PICTURES and len(_NUMBER.findall(path.name)) == 1


def numbered(pattern: Path, number: int) -> Path:
    """The picture of this number."""
    found = _NUMBER.search(pattern.name)
    assert found is not None
    digits = found[0] % number
    return pattern.with_name(pattern.name[: found.start()] + digits + pattern.name[found.end() :])


@dataclass(frozen=True)
class FrameSequence:
    """Pictures that are the frames of one video, in the order of their numbers."""

    path: Path  # the folder, or the pattern
    files: tuple[Path, ...]  # at least one
    rate: Fraction  # frames a second
    loss: Loss = field(default_factory=Loss)  # numbers that are missing
    selection: ClassVar[Selection] = WHOLE  # which of them are taken

    @classmethod
    def of(cls, path: Path, rate: Fraction | None = None) -> FrameSequence:
        """The pictures in a folder, or those of a pattern; 25 a second unless ``rate`` is given.

        Raises:
            SweettokError: there are none, or a folder holds those of several videos.
        """
        path = path if path.name not in ("", "..") else path.resolve()
        found = _matching(path) if is_pattern(path) else _alike(path)
        numbers = sorted(found)
        files = tuple(found[number] for number in numbers)
        steps = [b - a for a, b in itertools.pairwise(numbers)]
        usual = min(steps, default=1)
        holes = [place for place, step in enumerate(steps) if step > usual]
        if not holes:
            return cls(path, files, rate or DEFAULT_RATE)
        missing = sum(steps[place] // usual - 1 for place in holes)
        words = f"{missing} numbers are missing, the first after {files[holes[0]].name}"
        _log.warning("%s: %s", path, words)
        return cls(path, files, rate or DEFAULT_RATE, Loss(frames=missing, words=words))

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """As of a file: the folder's name, or the pattern."""
        return self.path.name

    @cached_property
    def info(self) -> VideoInfo:
        """What is known of the video: the size is the first picture's.

        Raises:
            SweettokError: the first picture cannot be read.
        """
        first = probe(self.files[0])
        return VideoInfo(
            path=self.path,
            width=first.width,
            height=first.height,
            rate=self.rate,
            frames=len(self.files),
            time_base=1 / self.rate,
            variable_rate=False,
            has_audio=False,
            is_image=False,
            duration=len(self.files) / self.rate,
        )

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Frames ``start`` to ``stop`` (all that follow by default), uint8 RGB [h, w, 3].

        Raises:
            SweettokError: a picture cannot be read, or has another size than the first.
        """
        size = self.info.height, self.info.width
        for path in self.files[start:stop]:
            with closing(read_pictures(path)) as pictures:  # type: ignore[type-var]
                rgb, _ = next(pictures)
            if rgb.shape[:2] != size:
                raise SweettokError(
                    f"{path} is {rgb.shape[1]}x{rgb.shape[0]}, but the first frame of its video "
                    f"{size[1]}x{size[0]}; the frames of a video have one size."
                )
            yield rgb

    def __enter__(self) -> FrameSequence:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __iter__(self) -> Iterator[Frame]:
        return (Frame(rgb, number / self.rate) for number, rgb in enumerate(self.frames()))


def check_sequence(pattern: Path, frames: int, force: bool) -> None:
    """Find out before any long work whether :func:`sequence_writer` may write.

    Raises:
        SweettokError: one of the pictures exists without ``force``, or others of the pattern would follow
            the last one.
    """
    for path in _entries(pattern.parent) if pattern.parent.is_dir() else ():
        number = _number(pattern, path.name)
        if number is not None and 1 <= number <= frames:
            check_target(path, force)
        elif number is not None:
            raise SweettokError(
                f"{path} is none of the {frames} frames and would look like one; move it away or name "
                "another pattern."
            )
    if pattern.parent.exists():
        check_target(numbered(pattern, frames), force)


@contextmanager
def sequence_writer(
    pattern: Path, frames: int, force: bool = False
) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield what takes ``frames`` frames, uint8 RGB [h, w, 3], which are numbered from 1.

    The pictures lie in a hidden folder until all are there, and are then moved to their names in turn. The
    pattern's folder is made where it is missing, and goes again on an error.

    Raises:
        SweettokError: as :func:`check_sequence`; or the disk is full.
        ValueError: fewer or more frames came.
    """
    check_sequence(pattern, frames, force)
    folder, done, moved = pattern.parent, 0, 0
    made = not folder.exists()
    try:
        folder.mkdir(exist_ok=True)
        part, held = temporary_folder(pattern.with_suffix(""))
        try:

            def write(rgb: np.ndarray) -> None:
                nonlocal done
                done += 1
                save_picture(numbered(part / pattern.name, done), rgb)

            yield write
            if done != frames:
                raise ValueError(f"{done} frames instead of {frames}")
            check_sequence(pattern, frames, force)  # another program may have been faster
            while moved < frames:
                target = numbered(pattern, moved + 1)
                move_to(part / target.name, target, force)
                moved += 1
        except BaseException:
            for number in range(1, moved + 1) if not force else ():
                numbered(pattern, number).unlink(missing_ok=True)
            raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
            let_go(held)
    except OSError as error:
        raise SweettokError(
            f"Cannot write {pattern} ({error.strerror or error}); free some space or choose another folder."
        ) from error
    finally:
        if made:
            with suppress(OSError):
                folder.rmdir()  # only where nothing was written


def find_sequences(folder: Path, on_error: Callable[[OSError], None] | None = None) -> list[Path]:
    """The folders in and below ``folder`` that hold pictures, itself included, sorted."""
    return sorted({picture.parent for picture in find_files(folder, PICTURES, on_error)})


def _number(pattern: Path, name: str) -> int | None:
    """The number of a picture of the pattern; None for any other file."""
    found = _NUMBER.search(pattern.name)
    assert found is not None
    start, end = (re.escape(part) for part in (pattern.name[: found.start()], pattern.name[found.end() :]))
    match = re.fullmatch(rf"{start}(\d+){end}", name)
    return int(match[1]) if match and found[0] % int(match[1]) == match[1] else None


def _matching(pattern: Path) -> dict[int, Path]:
    numbers = {
        number: path
        for path in _entries(pattern.parent)
        if (number := _number(pattern, path.name)) is not None
    }
    if not numbers:
        raise SweettokError(
            f"There are no pictures {pattern}; check the name, in which %04d stands for four digits."
        )
    return numbers


def _alike(folder: Path) -> dict[int, Path]:
    """The pictures of a folder by their numbers, the last in each name; all else must be the same."""
    found: dict[int, Path] = {}
    kinds: dict[str, Path] = {}
    for path in _entries(folder):
        if path.suffix.lower() in PICTURES and not path.name.startswith("."):
            match = re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem)
            number = int(match[2]) if match else 0
            kind = f"{match[1]}\0{match[3]}{path.suffix}" if match else path.name
            kinds.setdefault(kind, path)
            if len(kinds) > 1 or number in found:
                first = next(iter(kinds.values()))
                raise SweettokError(
                    f"{folder} holds {first.name} and {path.name}, which are no frames of one video; name "
                    "its pictures by a pattern such as img_%04d.png."
                )
            found[number] = path
    if not found:
        raise SweettokError(f"The folder {folder} holds no pictures; give one that does.")
    return found


def _entries(folder: Path) -> Iterable[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise SweettokError(f"{folder} cannot be read ({error.strerror}); check its name.") from error
