"""Folders of videos to token files: which file is made from which, and one job after the other.

The jobs of a plan know nothing of each other, and :func:`encode_job` does one of them: to share a plan out
among processes or machines takes no more than these two.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import TargetExists, check_target
from sweettok_cli.runtime import OnProgress, Watcher, trimming
from sweettok_cli.video.images import WRITTEN
from sweettok_cli.video.source import MEDIA, check_readable, find_files

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.tokens import TokenMeta
    from sweettok_cli.tokens.layout import TokenizerSpec
    from sweettok_cli.video.info import VideoInfo
    from sweettok_cli.video.loss import Loss

SUFFIX = ".npz"


@dataclass(frozen=True)
class Job:
    """One source and the file to make of it."""

    source: Path
    output: Path


@dataclass(frozen=True)
class Result:
    """What became of one source.

    It is ``skipped`` because its output is there, and ``refused`` before any model was asked, because it
    cannot be read or its output not be written.
    """

    source: Path  # a video or an image; or what was given and is none
    output: Path | None  # its token file; None if it was not told where to put one
    status: Literal["encoded", "skipped", "refused", "failed"]
    error: Exception | None = None  # why it was refused or failed
    meta: TokenMeta | None = None  # of the tokens, if it was encoded
    seconds: float = 0.0  # that reading, encoding and writing took
    info: VideoInfo | None = None  # what the source is, if it was encoded
    loss: Loss | None = None  # what was missing of it


def is_batch(inputs: Sequence[Path]) -> bool:
    """Whether there may be many files: one that fails does not stop the others."""
    if not inputs:
        raise SweettokError("There is nothing to encode; name at least one file or folder.")
    return len(inputs) > 1 or inputs[0].is_dir()


def other_files(inputs: Sequence[Path]) -> list[Path]:
    """What lies in the folders among ``inputs`` and is taken for no video or picture; token files aside."""
    others: list[Path] = []
    for folder in filter(Path.is_dir, inputs):
        find_files(folder, {SUFFIX, *MEDIA}, lambda error: None, others)
    return sorted(others)


def encode_folder(
    inputs: Sequence[Path],
    output: Path | None,
    load: Callable[[], Tokenizer],
    *,
    to_folder: bool = False,
    force: bool = False,
    skip_existing: bool = False,
    spec: Callable[[], TokenizerSpec] | None = None,
    batch_clips: int | None = None,
    overlap: int = 0,
    keep_going: bool = False,
    strict: bool = False,
    watch: Watcher | None = None,
) -> Iterator[Result]:
    """Encode files and all that folders hold, one after the other; what fails costs no other.

    What is skipped or refused comes first, before the model is loaded.

    Args:
        inputs: files and folders, at least one.
        output: where to, as in :func:`plan_jobs`. Folders that are missing are made, but for a single file
            with a name of its own.
        load: gives the model; asked once, and only if there is something to encode.
        to_folder: ``output`` names a folder even if there is none.
        force: replace outputs that exist; else their sources are refused.
        skip_existing: pass over sources whose output is there, of this model and newer than they are. With
            ``force`` only what differs is replaced.
        spec: of the tokenizer, where that can be had without loading it.
        batch_clips: as for :func:`encode_job`, like ``overlap``, ``keep_going`` and ``strict``.
        watch: given each job's place, their number and the source's name.

    Raises:
        SweettokError: ``output`` has the wrong kind, there is nothing to encode, or there is no such model.
    """
    planned, refused = plan_jobs(inputs, output, to_folder)
    yield from refused
    make_folder = to_folder or is_batch(inputs)
    jobs = []
    loaded = cache(load)
    known = spec or (lambda: loaded().spec)
    for job in planned:
        try:
            if skip_existing and job.output.is_file():
                stale = why_stale(job, known())
                if stale is None:
                    yield Result(job.source, job.output, "skipped")
                    continue
                if not force:
                    raise SweettokError(
                        f"{stale}; pass --force too to encode it again, or -o to write elsewhere."
                    )
            _prepare(job, force, make_folder)
        except SweettokError as error:
            yield Result(job.source, job.output, "refused", error)
        else:
            jobs.append(job)
    if not jobs:
        return
    tokenizer = loaded()
    for place, job in enumerate(jobs):
        # Another program may be at work on the same folder.
        if skip_existing and job.output.is_file() and why_stale(job, tokenizer.spec) is None:
            yield Result(job.source, job.output, "skipped")
            continue
        with watch(place, len(jobs), job.source.name) if watch else nullcontext() as on_progress:
            result = encode_job(
                job,
                tokenizer,
                force=force,
                batch_clips=batch_clips,
                overlap=overlap,
                keep_going=keep_going,
                strict=strict,
                on_progress=on_progress,
            )
        if skip_existing and isinstance(result.error, TargetExists):
            result = Result(job.source, job.output, "skipped")
        yield result


def why_stale(job: Job, spec: TokenizerSpec) -> str | None:
    """Why the token file that is there is not what the job would make; None where it is.

    A source that has changed since is told by the times of both files.
    """
    from sweettok_cli.tokens import read_meta

    try:
        meta = read_meta(job.output)
        changed = job.source.stat().st_mtime > job.output.stat().st_mtime
    except SweettokError as error:
        return str(error).rstrip(".")
    except OSError as error:
        return f"{error.filename} cannot be looked at ({error.strerror})"
    if meta.weights_sha256 != spec.weights_sha256:
        return f"{job.output} was encoded by {meta.model} with other weights than those of {spec.name}"
    if meta.source != job.source.name:
        return f"{job.output} was encoded from {meta.source}, not from {job.source.name}"
    return f"{job.source} has changed since {job.output} was encoded" if changed else None


def encode_job(
    job: Job,
    tokenizer: Tokenizer,
    *,
    force: bool = False,
    batch_clips: int | None = None,
    overlap: int = 0,
    keep_going: bool = False,
    strict: bool = False,
    on_progress: OnProgress | None = None,
) -> Result:
    """Encode one source into its token file, whose folder is there; whatever goes wrong is in the result.

    The options are those of :func:`~sweettok_cli.pipeline.encode.encode_video`.
    """
    # The model's code takes seconds to import; what is wrong with a plan should be told at once.
    from sweettok_cli.pipeline.encode import encode_video
    from sweettok_cli.tokens import write_tokens

    update = None if on_progress is None else trimming(on_progress)
    start = time.perf_counter()
    read: list[Any] = []
    try:
        tokens = encode_video(
            job.source,
            tokenizer,
            batch_clips=batch_clips,
            overlap=overlap,
            keep_going=keep_going,
            strict=strict,
            on_read=lambda *found: read.extend(found),
            on_progress=update,
        )
        write_tokens(job.output, tokens, force)
    # Whatever is wrong with one file of many must not cost the others.
    except Exception as error:
        _forget_locals(error)
        return Result(job.source, job.output, "failed", error)
    seconds = time.perf_counter() - start
    return Result(job.source, job.output, "encoded", None, tokens.meta, seconds, *read)


def _prepare(job: Job, force: bool, make_folder: bool) -> None:
    """Find what would go wrong on writing before the model has run for hours."""
    check_readable(job.source)
    if make_folder:
        try:
            job.output.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SweettokError(
                f"The folder {job.output.parent} cannot be made ({error.strerror}); choose another with -o."
            ) from error
    check_target(job.output, force)


def _forget_locals(error: BaseException | None) -> None:
    """Let go of the frames and tensors that a kept error's traceback would keep, too."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def plan_jobs(
    inputs: Sequence[Path], output: Path | None, to_folder: bool = False
) -> tuple[list[Job], list[Result]]:
    """Lay out where the output of every input goes; nothing is made or checked yet.

    One file becomes a file of the same name ending in .npz beside it, or ``output``, or a file in the folder
    ``output``. For several inputs or a folder, ``output`` is a folder that keeps the structure of the inputs.
    Two sources that would make the same file (``a.mp4``, ``a.png``) both keep their ending: ``a.mp4.npz``.
    With ``to_folder``, ``output`` names a folder even if there is none.

    Returns:
        Jobs in the order of what was given, folders sorted by name; and what cannot even be tried.

    Raises:
        SweettokError: ``output`` has the wrong kind, or nothing is left to do.
    """
    if not is_batch(inputs):
        return [Job(inputs[0], _single(inputs[0], output, to_folder))], []
    if output is not None and output.exists() and not output.is_dir():
        raise SweettokError(f"{output} is a file; give a folder with -o for the outputs of several inputs.")
    refused: list[Result] = []

    def refuse(source: Path, reason: str) -> None:
        refused.append(Result(source, None, "refused", SweettokError(reason)))

    def unreadable(error: OSError) -> None:
        name = Path(error.filename)
        refuse(name, f"{name} cannot be read ({error.strerror}); check its permissions.")

    places: list[tuple[Path, Path]] = []  # a source, and where its output goes but for the ending
    for given in inputs:
        if given.is_dir():
            # As cp -r does: the folder's own name appears only where there are several.
            inside = Path(given.resolve().name) if len(inputs) > 1 else Path()
            for source in find_files(given, MEDIA, unreadable):
                relative = source.relative_to(given)
                places.append((source, source if output is None else output / inside / relative))
        elif given.exists():
            places.append((given, given if output is None else output / given.name))
        else:
            refuse(given, f"{given} does not exist; check the name.")
    places = list(dict.fromkeys(places))
    short = Counter(place.with_suffix(SUFFIX) for _, place in places)
    taken: dict[Path, Path] = {}
    for source, place in places:
        target = place.with_suffix(SUFFIX)
        if short[target] > 1:
            target = place.with_name(place.name + SUFFIX)
        if (other := taken.setdefault(target, source)) != source:
            refuse(source, f"{source} would become {target} as {other} does; give another folder with -o.")
    if not taken and not refused:
        raise SweettokError(f"{inputs[0]} holds no video or image; name files with other endings one by one.")
    return [Job(source, target) for target, source in taken.items()], refused


def _single(source: Path, output: Path | None, to_folder: bool) -> Path:
    if output is None:
        return source.with_suffix(SUFFIX)
    if to_folder or output.is_dir():
        return output / source.with_suffix(SUFFIX).name
    if output.suffix.lower() != SUFFIX:
        how = "name it so, or end it with / to make it a folder"
        raise SweettokError(f"{output} does not end in {SUFFIX}; {how}.")
    return output


def decoded_path(tokens_file: Path, output: Path | None, image: bool) -> Path:
    """Where the video or image of a token file goes: ``NAME.decoded.mp4`` or ``.png``, unless it is named.

    ``output`` is a file, or a folder that is there; None for beside the token file.

    Raises:
        SweettokError: ``output`` has an ending that is not written.
    """
    ending, what = (".png", "an image") if image else (".mp4", "a video")
    name = f"{tokens_file.stem}.decoded{ending}"
    if output is None:
        return tokens_file.with_name(name)
    if output.is_dir():
        return output / name
    written = WRITTEN if image else {".mp4", ".m4v", ".mov"}
    if output.suffix.lower() not in (*written, ".npy"):
        raise SweettokError(
            f"{tokens_file} holds {what}, which is not written as {output.name}; name it {ending}."
        )
    return output
