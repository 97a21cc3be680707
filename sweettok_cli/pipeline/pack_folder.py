"""Token files, and folders of them, to packed ones and back, one job after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweettok_cli.errors import SweettokError
from sweettok_cli.packing.file import PACKED, PackedFile, looks_packed, write_packed
from sweettok_cli.packing.prior import TokenPrior
from sweettok_cli.packing.token_file import PLAIN
from sweettok_cli.pipeline.batch import Result, do_jobs, forget_locals, prepare, settle, why_older
from sweettok_cli.pipeline.plan import Job, Outputs, find_sources, is_batch, token_name
from sweettok_cli.runtime import OnProgress, Watcher
from sweettok_cli.tokens.file import read_tokens, write_tokens
from sweettok_cli.tokens.meta import TokenMeta, Tokens
from sweettok_cli.zoo.token_files import find_prior


@dataclass(frozen=True)
class Repacking:
    """One way or the other.

    Attributes:
        verb: what is done.
        source: how the names of what it is done to end.
        output: how those of what is made end.
        check: raises SweettokError of a source that is of the other kind.
        read: a source.
        write: an output, whether it is there or not.
    """

    verb: str
    source: str
    output: str
    check: Callable[[Path], None]
    read: Callable[[Path], Tokens]
    write: Callable[[Path, Tokens, bool], None]


def packing(prior_of: Callable[[TokenMeta], TokenPrior | None]) -> Repacking:
    """Token files to packed ones, with the token priors that ``prior_of`` gives."""

    def check(path: Path) -> None:
        if looks_packed(path):
            raise SweettokError(f"{path} is packed already; give a token file ({PLAIN}).")

    def write(path: Path, tokens: Tokens, force: bool) -> None:
        write_packed(path, tokens, prior_of(tokens.meta), force)

    return Repacking("pack", PLAIN, PACKED, check, read_tokens, write)


def unpacking(model: Path | None) -> Repacking:
    """Packed token files to plain ones; ``model`` is the folder of one that may have their token prior."""

    def check(path: Path) -> None:
        if not looks_packed(path):
            PackedFile.open(path)  # says what it is

    def read(path: Path) -> Tokens:
        return PackedFile.open(path).read(lambda meta, sha256: find_prior(meta, sha256, model))

    return Repacking("unpack", PACKED, PLAIN, check, read, write_tokens)


def repack_folder(
    inputs: Sequence[Path],
    output: Path | None,
    how: Repacking,
    *,
    to_folder: bool = False,
    force: bool = False,
    skip_existing: bool = False,
    watch: Watcher | None = None,
) -> Iterator[Result]:
    """Pack or unpack files and all that folders hold, one after the other; what fails costs no other.

    Others may be at work on the same folder, see :func:`~sweettok_cli.pipeline.batch.do_jobs`.

    Args:
        inputs: files and folders, at least one.
        output: see :meth:`~sweettok_cli.pipeline.plan.Outputs.named`, like ``to_folder``.
        how: :func:`packing` or :func:`unpacking`.
        force: replace outputs that exist; else their sources are refused.
        skip_existing: pass over sources whose output is there and not older, or holds the same tokens. With
            ``force`` only what is older and holds others is replaced.
        watch: given each job's place, their number and the source's name.

    Raises:
        SweettokError: ``output`` has the wrong kind, or there is nothing to do.
    """
    outputs = Outputs.named(output, (how.output,), to_folder, not is_batch(inputs, how.verb))
    refused: list[Result] = []

    def refuse(source: Path, reason: str) -> None:
        refused.append(Result(source, None, "refused", SweettokError(reason)))

    def settled(job: Job, begun: bool = True) -> Result | None:
        return settle(
            job,
            job.output,
            lambda: why_stale(job, f"{how.verb}ed"),
            how.verb,
            begun=begun,
            force=force,
            skip_existing=skip_existing,
        )

    jobs: list[Job] = []
    taken: dict[Path, Path] = {}
    for found in find_sources(inputs, frozenset((how.source,)), refuse):
        assert isinstance(found.source, Path)
        source, target = found.source, outputs.place(found.source, found.relative, _name(found.source, how))
        job = Job(source, target)
        try:
            if (other := taken.setdefault(target, source)) != source:
                raise SweettokError(f"{source} would become {target} as {other} does; name it with -o.")
            how.check(source)
            result = settled(job, begun=False)
            if result is None:
                prepare(target, force, make_folder=outputs.file is None)
        except SweettokError as error:
            result = Result(source, target, "refused", error)
        if result is None:
            jobs.append(job)
        else:
            refused.append(result)
    if not taken and not refused:
        raise SweettokError(f"{inputs[0]} holds no file that ends in {how.source}; name another folder.")
    yield from refused

    def work(job: Job, on_progress: OnProgress | None) -> Result:
        assert isinstance(job.source, Path)
        start = time.perf_counter()
        try:
            tokens = how.read(job.source)
            how.write(job.output, tokens, force)
            if on_progress is not None:
                on_progress(tokens.meta.clips, tokens.meta.clips)
        # Whatever is wrong with one file of many must not cost the others.
        except Exception as error:
            forget_locals(error)
            return Result(job.source, job.output, "failed", error)
        seconds = time.perf_counter() - start
        return Result(job.source, job.output, "done", meta=tokens.meta, seconds=seconds)

    yield from do_jobs(jobs, work, settled, watch)


def why_stale(job: Job, done: str) -> str | None:
    """Why the output that is there is not what the job would make; None where it is.

    That is told by the files' times, and where the source is the newer one, by their tokens: a file that was
    packed is what its packed one unpacks to.
    """
    assert isinstance(job.source, Path)
    older = why_older(job.source, job.output, done)
    return None if older is None or _same_tokens(job.source, job.output) else older


def _same_tokens(one: Path, other: Path) -> bool:
    """Whether a packed file and a plain one, in any order, hold the same; not where one cannot be read."""
    packed, plain = (one, other) if looks_packed(one) else (other, one)
    try:
        return PackedFile.open(packed).holds(read_tokens(plain))
    except SweettokError:
        return False


def _name(source: Path, how: Repacking) -> str:
    return token_name(source) + how.output
