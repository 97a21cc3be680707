"""Folders of videos to token files, one job after the other.

The jobs of a plan know nothing of each other, and :func:`encode_job` does one of them: to share a plan out
among machines takes no more than these two. Processes that see the same folder share it by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.packing.token_file import ENDINGS, PLAIN
from sweettok_cli.pipeline.batch import Result, do_jobs, forget_locals, prepare, settle, why_older
from sweettok_cli.pipeline.collection import TAR
from sweettok_cli.pipeline.manifest import is_manifest
from sweettok_cli.pipeline.member import Source, TarMember, readable
from sweettok_cli.pipeline.plan import Job, plan_jobs
from sweettok_cli.runtime import OnProgress, Watcher, trimming
from sweettok_cli.video.inputs import Given, check_input, chosen_numbers
from sweettok_cli.video.selection import WHOLE, Selection
from sweettok_cli.video.sequence import FrameSequence
from sweettok_cli.video.source import MEDIA, find_files

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.tokens.layout import TokenizerSpec


def other_files(inputs: Sequence[Given]) -> list[Path]:
    """What lies in the folders among ``inputs`` and is taken for no video or picture; token files aside."""
    others: list[Path] = []
    for folder in inputs:
        if isinstance(folder, Path) and folder.is_dir():
            find_files(folder, {*ENDINGS, *MEDIA, TAR}, lambda error: None, others)
    return sorted(path for path in others if not is_manifest(path.name))


def encode_folder(
    inputs: Sequence[Given],
    output: Path | None,
    load: Callable[[], Tokenizer],
    *,
    to_folder: bool = False,
    frames: bool = False,
    rate: Fraction | None = None,
    ending: str = PLAIN,
    force: bool = False,
    skip_existing: bool = False,
    spec: Callable[[], TokenizerSpec] | None = None,
    batch_clips: int | None = None,
    overlap: int = 0,
    budget: Budget = USUAL,
    keep_going: bool = False,
    strict: bool = False,
    selection: Selection = WHOLE,
    watch: Watcher | None = None,
) -> Iterator[Result]:
    """Encode files and all that folders hold, one after the other; what fails costs no other.

    What is skipped or refused comes first, before the model is loaded. Others may encode the same folder at
    the same time: each file is encoded once, and what another has made meanwhile is skipped.

    Args:
        inputs: files and folders, at least one.
        output: where to, as in :func:`~sweettok_cli.pipeline.plan.plan_jobs`, like ``to_folder``, ``frames``,
            ``rate`` and ``ending``. Folders that are missing are made, but for a file with a name of its own.
        load: gives the model; asked once, and only if there is something to encode.
        force: replace outputs that exist; else their sources are refused.
        skip_existing: pass over sources whose output is there, of this model and newer than they are. With
            ``force`` only what differs is replaced.
        spec: of the tokenizer, where that can be had without loading it.
        batch_clips: as for :func:`encode_job`, like ``overlap``, ``budget``, ``keep_going``, ``strict`` and
            ``selection``.
        watch: given each job's place, their number and the source's name.

    Raises:
        SweettokError: ``output`` has the wrong kind, there is nothing to encode, or there is no such model.
    """
    planned, refused = plan_jobs(inputs, output, to_folder, frames=frames, rate=rate, ending=ending)
    yield from (Result(each.source, None, "refused", each.error) for each in refused)
    loaded = cache(load)
    known = spec or (lambda: loaded().spec)
    named = output is not None and any(job.output == output for job in planned)  # a file of its own

    def settled(job: Job, begun: bool = True) -> Result | None:
        return settle(
            job,
            job.output,
            lambda: why_stale(job, known(), budget, selection),
            "encode",
            begun=begun,
            force=force,
            skip_existing=skip_existing,
        )

    jobs = []
    for job in planned:
        try:
            found = settled(job, begun=False)
            if found is None:
                check_source(job.source)
                prepare(job.output, force, make_folder=not named)
        except SweettokError as error:
            found = Result(job.source, job.output, "refused", error)
        if found is None:
            jobs.append(job)
        else:
            yield found
    if not jobs:
        return
    tokenizer = loaded()

    def work(job: Job, on_progress: OnProgress | None) -> Result:
        return encode_job(
            job,
            tokenizer,
            force=force,
            batch_clips=batch_clips,
            overlap=overlap,
            budget=budget,
            keep_going=keep_going,
            strict=strict,
            selection=selection,
            on_progress=on_progress,
        )

    yield from do_jobs(jobs, work, settled, watch)


def check_source(source: Source) -> None:
    """Raise :class:`SweettokError` unless a source may be read."""
    check_input(source.tar if isinstance(source, TarMember) else source)


def why_stale(
    job: Job, spec: TokenizerSpec, budget: Budget = USUAL, selection: Selection = WHOLE
) -> str | None:
    """Why the token file that is there is not what the job would make; None where it is.

    A source that has changed since is told by the times of both files.
    """
    from sweettok_cli.packing.token_file import read_meta

    source, varies = job.source, bool(spec.levels) and not budget.fixed
    try:
        meta = read_meta(job.output)
    except SweettokError as error:
        return str(error).rstrip(".")
    if meta.weights_sha256 != spec.weights_sha256:
        return f"{job.output} was encoded by {meta.model} with other weights than those of {spec.name}"
    if (meta.budget, bool(meta.levels)) != (str(budget) if varies else "", varies):
        had = meta.budget or ("as many bits as usual" if meta.levels else "the same tokens for every clip")
        return f"{job.output} was encoded with another budget: {had}"
    if meta.source != source.name:
        return f"{job.output} was encoded from {meta.source}, not from {source.name}"
    asked = selection.for_pictures if meta.image or isinstance(source, FrameSequence) else selection
    if meta.selection != asked:
        return f"{job.output} is of another part of {source.name}: {meta.selection or 'all of it'}"
    if isinstance(source, FrameSequence):
        pictures = len(chosen_numbers(source, asked))
        if (meta.frames, meta.rate) != (pictures, source.rate):
            had, now = f"{meta.frames} at {meta.rate} fps", f"{pictures} at {source.rate} fps"
            return f"{job.output} was encoded from other pictures: {had}, not {now}"
    return why_older(source, job.output, "encoded")


def encode_job(
    job: Job,
    tokenizer: Tokenizer,
    *,
    force: bool = False,
    batch_clips: int | None = None,
    overlap: int = 0,
    budget: Budget = USUAL,
    keep_going: bool = False,
    strict: bool = False,
    selection: Selection = WHOLE,
    on_progress: OnProgress | None = None,
) -> Result:
    """Encode one source into its token file, whose folder is there; whatever goes wrong is in the result.

    The options are those of :func:`~sweettok_cli.pipeline.encode.encode_video`.
    """
    # The model's code takes seconds to import; what is wrong with a plan should be told at once.
    from sweettok_cli.pipeline.encode import encode_video
    from sweettok_cli.zoo.token_files import write_tokens

    update = None if on_progress is None else trimming(on_progress)
    start = time.perf_counter()
    read: list[Any] = []
    worst: list[float | None] = []
    tokenizer.redraw()  # what a source becomes depends on no other
    try:
        with readable(job.source, job.output) as source:
            tokens = encode_video(
                source,
                tokenizer,
                batch_clips=batch_clips,
                overlap=overlap,
                budget=budget,
                keep_going=keep_going,
                strict=strict,
                selection=selection,
                on_read=lambda *found: read.extend(found),
                on_worst=worst.append,
                on_progress=update,
            )
        write_tokens(job.output, tokens, force, model=tokenizer.folder)
    # Whatever is wrong with one file of many must not cost the others.
    except Exception as error:
        forget_locals(error)
        return Result(job.source, job.output, "failed", error)
    seconds = time.perf_counter() - start
    info, loss = read
    return Result(job.source, job.output, "done", None, tokens.meta, seconds, info, loss, worst[0])
