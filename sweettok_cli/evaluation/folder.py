"""How well a tokenizer gives back the videos and pictures of a folder, and what it charges for them."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.code_counts import CodeCounts, ListUse
from sweettok_cli.evaluation.comparison import Comparison, SeamFlicker
from sweettok_cli.evaluation.price import Price
from sweettok_cli.tokenizers.base import Tokenizer
from sweettok_cli.tokenizers.pipeline import iterate_reconstruction
from sweettok_cli.tokenizers.spec import TokenizerSpec
from sweettok_cli.video.endings import MEDIA
from sweettok_cli.video.reader import probe
from sweettok_cli.video.source import check_readable

Progress = Callable[[int, "int | None"], None]
Watcher = Callable[[int, int, str], AbstractContextManager[Progress]]

#: What papers report on; typed as a name, it deserves a better answer than that there is no such file.
_DATA_SETS = {"ucf101", "k400", "k600", "kinetics400", "kinetics600", "imagenet", "imagenet1k"}


@dataclass(frozen=True)
class FileScore:
    """What one video or picture costs and how well it comes back.

    Attributes:
        file: its name, relative to the folder that is measured.
        width: of its frames, in pixels.
        height: of its frames, in pixels.
        comparison: scores of every frame, at the source's own size, padding cut off.
        price: clips, tokens, indices and true bits.
        seconds: encoding, decoding and comparing, reading included.
    """

    file: str
    width: int
    height: int
    comparison: Comparison
    price: Price
    seconds: float

    @property
    def psnr(self) -> float:
        """Mean over the frames, in decibels."""
        return _mean(self.comparison.psnr)

    @property
    def ssim(self) -> float:
        """Mean over the frames."""
        return _mean(self.comparison.ssim)

    @property
    def pixels(self) -> int:
        """Of all frames, padding not counted."""
        return self.width * self.height * self.comparison.frames

    def record(self) -> dict[str, Any]:
        """One flat row of plain numbers."""
        return {
            "file": self.file,
            "width": self.width,
            "height": self.height,
            "frames": self.comparison.frames,
            "clips": self.price.clips,
            "psnr": self.psnr,
            "ssim": self.ssim,
            "tokens": self.price.tokens,
            "indices": self.price.indices,
            "bits": self.price.bits,
            "bits_per_pixel": self.price.bits / self.pixels,
            "seam_flicker": self.comparison.flicker.ratio,
            "seconds": self.seconds,
        }


@dataclass
class FolderScore:
    """The files of a folder taken together.

    Attributes:
        spec: of the tokenizer that is measured.
        files: one score each, in order.
        failed: name and reason of each file that could not be measured.
        codes: how often each code was named.
    """

    spec: TokenizerSpec
    files: list[FileScore] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    codes: CodeCounts = field(init=False)

    def __post_init__(self) -> None:
        self.codes = CodeCounts(self.spec.codebooks)

    def use(self) -> dict[str, ListUse]:
        """Use and perplexity of each codebook or word list over all files."""
        return self.codes.use()

    def record(self) -> dict[str, Any]:
        """Everything as plain numbers, None where there is nothing to average."""
        frames = [score for file in self.files for score in file.comparison.psnr]
        similar = [score for file in self.files for score in file.comparison.ssim]
        pixels = sum(file.pixels for file in self.files)
        bits = math.fsum(file.price.bits for file in self.files)
        flicker = SeamFlicker()
        for file in self.files:
            flicker.merge(file.comparison.flicker)
        return {
            "model": self.spec.name,
            "weights_sha256": self.spec.weights_sha256,
            "files": len(self.files),
            "frames": len(frames),
            "clips": sum(file.price.clips for file in self.files),
            "psnr": _mean(frames) if frames else None,
            "ssim": _mean(similar) if similar else None,
            "psnr_mean_of_files": _mean([file.psnr for file in self.files]) if self.files else None,
            "ssim_mean_of_files": _mean([file.ssim for file in self.files]) if self.files else None,
            "seam_flicker": flicker.ratio,
            "tokens": sum(file.price.tokens for file in self.files),
            "indices": sum(file.price.indices for file in self.files),
            "bits": bits,
            "bits_per_pixel": bits / pixels if pixels else None,
            "clip_256": clip_record(self.spec),
            "codebooks": {part: vars(use) for part, use in self.use().items()},
            "seconds": math.fsum(file.seconds for file in self.files),
            "per_file": [file.record() for file in self.files],
            "failed": [{"file": file, "error": error} for file, error in self.failed],
        }


def find_files(target: Path) -> list[Path]:
    """The videos and pictures in a folder and the folders below it, by name; or the one file given.

    Raises:
        SweettokError: there is no such path, or the folder holds none.
    """
    if target.is_file():
        check_readable(target)
        return [target]
    if not target.is_dir():
        known = target.name.lower().replace("-", "") in _DATA_SETS
        raise SweettokError(
            f"Data sets are not fetched by name yet; download {target.name} and give the folder it is in."
            if known
            else f"{target} does not exist; give a folder of videos or pictures, or one of them."
        )
    found: list[Path] = []
    for parent, folders, files in os.walk(target, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in files
            if Path(name).suffix.lower() in MEDIA and not name.startswith(".")
        ]
    if not found:
        raise SweettokError(f"The folder {target} holds no video or picture; give one that does.")
    return sorted(found)


def _unreadable(error: OSError) -> None:
    raise SweettokError(
        f"{error.filename} cannot be read ({error.strerror}); check its permissions."
    ) from error


def measure_folder(
    target: Path,
    tokenizer: Tokenizer,
    *,
    batch_clips: int | None = None,
    overlap: int = 0,
    limit: int | None = None,
    watch: Watcher | None = None,
    explain: Callable[[Exception], str] | None = None,
) -> FolderScore:
    """Send every file through the tokenizer and back, in memory, and score it against its source.

    One batch of clips of one file is held at a time. A file that cannot be read is noted and the others are
    still measured.

    Args:
        target: a folder, searched with the folders below it, or one file.
        tokenizer: to measure, already loaded.
        batch_clips: clips that go through the model at once; None for the tokenizer's own choice.
        overlap: frames that each clip repeats of the one before.
        limit: only the first so many files.
        watch: entered for each file with its place, their number and its name; gives what is called with the
            frames done and, where it is known, the frames in all.
        explain: one sentence for any error in one file, or raises it again to end everything. Without it only
            errors meant for the user are noted, and any other ends the measurement.

    Raises:
        SweettokError: ``target`` holds nothing to measure.
    """
    paths = find_files(target)[:limit]
    score = FolderScore(tokenizer.spec)
    for place, path in enumerate(paths):
        name = path.name if path == target else path.relative_to(target).as_posix()
        codes = CodeCounts(tokenizer.spec.codebooks)
        with watch(place, len(paths), name) if watch else nullcontext() as on_progress:
            try:
                file = measure_file(path, name, tokenizer, batch_clips, overlap, codes, on_progress)
            except Exception as error:
                score.failed.append((name, (explain or _own_errors)(error)))
                continue
        score.files.append(file)
        score.codes.merge(codes)  # only now: a file that fails half-way must not count
    return score


def _own_errors(error: Exception) -> str:
    if not isinstance(error, SweettokError):
        raise error
    return str(error)


def measure_file(
    path: Path,
    name: str,
    tokenizer: Tokenizer,
    batch_clips: int | None = None,
    overlap: int = 0,
    codes: CodeCounts | None = None,
    on_progress: Progress | None = None,
) -> FileScore:
    """Score one video or picture and add its codes to ``codes``; see :func:`measure_folder`.

    Raises:
        SweettokError: the file cannot be read or does not suit the tokenizer.
    """
    start = time.perf_counter()
    info = probe(path)
    spec = tokenizer.spec
    price = Price(spec)
    comparison = Comparison()

    def count(arrays: dict[str, np.ndarray]) -> None:
        price.add(arrays)
        if codes:
            codes.add(arrays)

    frames = iterate_reconstruction(
        path, tokenizer, batch_clips=batch_clips, overlap=overlap, on_arrays=count
    )
    for number, frame in enumerate(frames):
        comparison.add(frame.source, frame.decoded, spec.begins_clip(number, overlap))
        if on_progress:
            on_progress(comparison.frames, info.frames)
    if not comparison.frames:
        raise SweettokError(f"{path} holds no frame that can be decoded; it is damaged, fetch it again.")
    return FileScore(name, info.width, info.height, comparison, price, time.perf_counter() - start)


def clip_record(spec: TokenizerSpec, side: int = 256) -> dict[str, Any]:
    """What one full clip of ``side`` x ``side`` pixels costs: the figures that papers compare."""
    return {
        "frames": spec.clip_frames,
        "width": side,
        "height": side,
        "tokens": spec.tokens_per_clip(side, side),
        "indices": spec.indices_per_clip(side, side),
        "kbit": spec.bits_per_clip(side, side) / 1000,
    }


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
