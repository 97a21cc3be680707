"""One video through a tokenizer and back, with everything needed to judge the result by eye and by number."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output, check_ending, check_target
from sweettok_cli.holding import claimed
from sweettok_cli.inspect.plot import draw_scores
from sweettok_cli.metrics.comparison import Comparison
from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.models.common.tokenizer import Tokenizer, decode_frames
from sweettok_cli.pipeline.decode import frame_writer
from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.pipeline.plan import token_stem
from sweettok_cli.runtime import OnProgress
from sweettok_cli.tokens.file import write_tokens
from sweettok_cli.tokens.meta import Tokens
from sweettok_cli.video.images import write_image
from sweettok_cli.video.info import probe
from sweettok_cli.video.inputs import open_video
from sweettok_cli.video.sequence import FrameSequence
from sweettok_cli.video.side_by_side import SideBySide
from sweettok_cli.video.source import MEDIA


@dataclass(frozen=True)
class RoundtripFiles:
    """Where a round trip leaves its files."""

    tokens: Path
    decoded: Path  # the reconstruction as a video, or a picture where the source is one
    side_by_side: Path  # source, reconstruction and amplified difference, of the same kind
    scores: Path  # CSV, one row a frame: frame, clip, psnr, ssim
    plot: Path  # the scores as a PNG picture

    @classmethod
    def named(cls, source: Path | FrameSequence, out: Path | None) -> RoundtripFiles:
        """Names for the files of one source: a video, a picture or numbered pictures.

        ``out`` is a folder, existing or not; or the name of the side-by-side video (or picture), beside which
        the other files are put and after which they are named. By default a folder beside the source.

        Raises:
            SweettokError: the source cannot be read.
            WrongUsage: ``out`` names a kind of file that is not written.
        """
        info = source.info if isinstance(source, FrameSequence) else probe(source)
        ending, name = ".png" if info.is_image else ".mp4", token_stem(source)
        place = source.path if isinstance(source, FrameSequence) else source
        folder = out or place.parent / f"{name}.roundtrip"
        if folder.suffix.lower() == ending and not folder.is_dir():
            stem, side_by_side, folder = folder.stem, folder, folder.parent
        elif folder.suffix.lower() in MEDIA and not folder.is_dir():
            what = "a picture" if info.is_image else "a video"
            check_ending(folder, (ending,), f"this source becomes {what}, name it so")
        else:
            stem, side_by_side = name, folder / f"{name}.side-by-side{ending}"
        tokens, decoded = folder / f"{stem}.npz", folder / f"{stem}.decoded{ending}"
        scores, plot = folder / f"{stem}.scores.csv", folder / f"{stem}.scores.png"
        return cls(tokens, decoded, side_by_side, scores, plot)

    def paths(self) -> dict[str, Path]:
        """All files, by what they hold."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    @contextmanager
    def prepared(self, force: bool) -> Iterator[None]:
        """Make the folder where it is missing, and refuse files that exist unless ``force``.

        When the block fails, the files that were not there before go again, and folders made for them.

        Raises:
            SweettokError: a file exists or is being made by another program, or the folder cannot be made.
        """
        folder = self.tokens.parent
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            how = "choose another with -o"
            raise SweettokError(f"Cannot make the folder {folder} ({error.strerror}); {how}.") from error
        try:
            for path in self.paths().values():
                check_target(path, force)
            with claimed(self.tokens) as mine:
                if not mine:
                    raise SweettokError(
                        f"{self.tokens} is being made by another program; wait for it, or write elsewhere."
                    )
                new = [path for path in self.paths().values() if not os.path.lexists(path)]
                try:
                    yield
                except BaseException:
                    for path in new:
                        path.unlink(missing_ok=True)
                    raise
        except BaseException:
            with suppress(OSError):  # others may have put something there
                for each in made:
                    each.rmdir()
            raise


@dataclass(frozen=True)
class Roundtrip:
    """What a round trip showed."""

    tokens: Tokens
    comparison: Comparison  # of every frame of the reconstruction, before any video codec touches it
    encode_seconds: float  # reading the source included
    decode_seconds: float  # comparing and writing included


def make_roundtrip(
    source: Path | FrameSequence,
    tokenizer: Tokenizer,
    files: RoundtripFiles,
    *,
    gain: float = 4.0,
    batch_clips: int | None = None,
    overlap: int = 0,
    budget: Budget = USUAL,
    keep_going: bool = False,
    strict: bool = False,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> Roundtrip:
    """Encode ``source``, decode the tokens, compare, and write all ``files``, each whole or not at all.

    Args:
        source: a video, a picture or numbered pictures.
        gain: factor by which the difference is shown larger.
        batch_clips: as for :func:`~sweettok_cli.pipeline.encode.encode_video`, like ``overlap``,
            ``budget``, ``keep_going`` and ``strict``.
        on_progress: called with the frames encoded plus those decoded, and twice the frames in all where that
            is known.

    Raises:
        SweettokError: the source cannot be read, or a file cannot be written.
    """

    def on_encode(done: float, total: int | None) -> None:
        if on_progress:
            on_progress(done, None if total is None else 2 * total)

    start = time.perf_counter()
    tokens = encode_video(
        source,
        tokenizer,
        batch_clips=batch_clips,
        overlap=overlap,
        budget=budget,
        keep_going=keep_going,
        strict=strict,
        on_progress=on_encode,
    )
    write_tokens(files.tokens, tokens, force)
    encoded = time.perf_counter()

    meta = tokens.meta
    comparison = Comparison()
    drawer = SideBySide(meta.width, meta.height, gain)
    with (
        open_video(source, keep_going=keep_going) as reader,
        frame_writer(files.decoded, meta, force=force) as write_decoded,
        frame_writer(files.side_by_side, meta, (drawer.width, drawer.height), force=force) as write_drawn,
    ):
        decoded = decode_frames(tokens, tokenizer, batch_clips=batch_clips)
        for number, (before, after) in enumerate(zip(reader, decoded, strict=True)):
            comparison.add(before.rgb, after, tokenizer.spec.begins_clip(number, meta.overlap))
            write_decoded(np.ascontiguousarray(after))
            write_drawn(drawer.draw(before.rgb, after, f"{comparison.psnr[-1]:.2f} dB"))
            if on_progress:
                on_progress(meta.frames + comparison.frames, 2 * meta.frames)
    decoded_at = time.perf_counter()

    _write_scores(files.scores, comparison, force)
    title = f"{source.name}  ·  {meta.model}"
    plot = draw_scores(title, comparison.psnr, comparison.ssim, comparison.borders)
    write_image(files.plot, np.asarray(plot), force=force)
    return Roundtrip(tokens, comparison, encoded - start, decoded_at - encoded)


def _write_scores(path: Path, comparison: Comparison, force: bool) -> None:
    with atomic_output(path, force) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("frame", "clip", "psnr", "ssim"))
        clip = 0
        for frame, (psnr, ssim) in enumerate(zip(comparison.psnr, comparison.ssim, strict=True)):
            clip += frame in comparison.borders
            writer.writerow((frame, clip, f"{psnr:.4f}", f"{ssim:.6f}"))
