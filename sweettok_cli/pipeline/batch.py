"""Jobs one after the other, beside other programs that may be at work on the same ones."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.files import TargetExists, check_target
from sweettok_cli.holding import claimed
from sweettok_cli.pipeline.member import Source, changed_at
from sweettok_cli.pipeline.plan import Job
from sweettok_cli.runtime import OnProgress, Watcher

if TYPE_CHECKING:
    from sweettok_cli.tokens import TokenMeta
    from sweettok_cli.video.info import VideoInfo
    from sweettok_cli.video.loss import Loss


@dataclass(frozen=True)
class Result:
    """What became of one source.

    It is ``skipped`` because its output is there or in the making, and ``refused`` before any model was
    asked, because it cannot be read or its output not be written.
    """

    source: Source  # or what was given and is none
    output: Path | None  # what was made of it; None if it was not told where to put that
    status: Literal["done", "skipped", "refused", "failed"]
    error: Exception | None = None  # why it was refused or failed
    meta: TokenMeta | None = None  # of the tokens, if it was done
    seconds: float = 0.0  # that reading, the model and writing took
    info: VideoInfo | None = None  # what the source is, if it was encoded
    loss: Loss | None = None  # what was missing of it
    worst: float | None = None  # decibels of the clip that comes back worst, where a model tried that
    busy: bool = False  # skipped because another program is making the output


def do_jobs(
    jobs: Sequence[Job],
    work: Callable[[Job, OnProgress | None], Result],
    settled: Callable[[Job], Result | None],
    watch: Watcher | None = None,
) -> Iterator[Result]:
    """Do every job that no other program does.

    Each output is claimed while it is made. What another program holds comes last; if it is still held then,
    it is skipped.

    Args:
        jobs: what to do; the folders of their outputs are there.
        work: does a job; whatever goes wrong is in its result.
        settled: looks again at the output of a job, when nobody else is making it, for what another program
            has left there meanwhile: the result where nothing is to be done.
        watch: given each job's place, their number and the source's name.
    """
    left = list(enumerate(jobs))
    for last in (False, True):
        held: list[tuple[int, Job]] = []
        for place, job in left:
            with claimed(job.claim) as mine:
                if not mine:
                    if not last:
                        held.append((place, job))
                        continue
                    result = Result(job.source, job.output, "skipped", busy=True)
                elif (found := settled(job)) is not None:
                    result = found
                else:
                    with watch(place, len(jobs), job.source.name) if watch else nullcontext() as on_progress:
                        result = work(job, on_progress)
                    if isinstance(result.error, TargetExists):
                        result = settled(job) or result
            yield result
        left = held


def settle(
    job: Job,
    made: Path,
    why_stale: Callable[[], str | None],
    again: str,
    *,
    begun: bool,
    force: bool,
    skip_existing: bool,
) -> Result | None:
    """What there is to say of an output that is there; None where the job is to be done.

    Args:
        job: what would be done.
        made: the file of its output that is looked for.
        why_stale: why the output is not what the job would make; None where it is.
        again: what doing it would be, such as ``encode``.
        begun: the output may have come after the jobs were planned.
        force: replace it; with ``skip_existing`` only where it is stale.
        skip_existing: pass over one that is not stale.
    """
    if not os.path.lexists(made) or (force and not skip_existing):
        return None
    stale = why_stale() if begun or skip_existing else ""
    if stale is None:
        return Result(job.source, job.output, "skipped")
    if force:
        return None
    error: SweettokError = TargetExists(made)
    if skip_existing:
        how = f"pass {option('force')} too to {again} it again, or write elsewhere"
        error = SweettokError(f"{stale}; {how}.")
    return Result(job.source, job.output, "failed" if begun else "refused", error)


def why_older(source: Source, made: Path, done: str) -> str | None:
    """Why a file that is there is not of its source as it is now, by their times; None where it is.

    Args:
        source: with numbered pictures, any of them; of a pipe, and of an address that does not say, no time
            is known.
        made: the file of the output that is written last.
        done: what was done to make it, such as ``encoded``.
    """
    try:
        state = made.stat()
        changed = (changed_at(source) or 0) > state.st_mtime
    except OSError as error:
        return f"{error.filename} cannot be looked at ({error.strerror})"
    if not state.st_size:
        return f"{made} is empty"
    return f"{source} has changed since {made} was {done}" if changed else None


def prepare(output: Path, force: bool, make_folder: bool) -> None:
    """Find what would go wrong on writing before the model has run for hours; make the folder if wanted.

    Raises:
        SweettokError: the folder cannot be made or written, or the output exists.
    """
    if make_folder:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SweettokError(
                f"The folder {output.parent} cannot be made ({error.strerror}); choose another with -o."
            ) from error
    check_target(output, force)


def forget_locals(error: BaseException | None) -> None:
    """Let go of the frames and tensors that a kept error's traceback would keep, too."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
