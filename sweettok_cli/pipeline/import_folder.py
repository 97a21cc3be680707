"""A folder of shards to the token files that it was made from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.packing.token_file import PLAIN
from sweettok_cli.pipeline.batch import Result, do_jobs, forget_locals, prepare, settle
from sweettok_cli.pipeline.plan import Job
from sweettok_cli.runtime import OnProgress, Watcher
from sweettok_cli.sequences.shard import Sample, ShardReader
from sweettok_cli.sequences.shards import Shard, Shards
from sweettok_cli.tokens.file import read_tokens, write_tokens
from sweettok_cli.tokens.meta import Tokens


def import_folder(
    folder: Path,
    out: Path,
    *,
    force: bool = False,
    skip_existing: bool = False,
    watch: Watcher | None = None,
) -> Iterator[Result]:
    """Write the token file (.npz) of every video of a folder of shards; what fails costs no other.

    Args:
        folder: that :func:`~sweettok_cli.pipeline.export_folder.export_folder` wrote.
        out: folder to write into; the structure below it is that of what was exported.
        force: replace outputs that exist; else their videos are refused.
        skip_existing: pass over outputs that are there and hold the same tokens. With ``force`` only others
            are replaced.
        watch: given each job's place, their number and the video's name.

    Raises:
        SweettokError: the folder is none of shards, or its record is damaged.
    """
    shards = Shards(folder)
    videos: dict[Path, tuple[Shard, Sample]] = {}
    jobs: list[Job] = []
    refused: list[Result] = []

    def settled(job: Job, begun: bool = True) -> Result | None:
        return settle(
            job,
            job.output,
            lambda: why_other(job),
            "import",
            begun=begun,
            force=force,
            skip_existing=skip_existing,
        )

    def why_other(job: Job) -> str | None:
        try:
            same = _same(read_tokens(job.output), tokens(job))
        except SweettokError:
            same = False
        return None if same else f"{job.output} holds other tokens than {job.source}"

    opened: list[tuple[Shard, ShardReader]] = []  # the last one

    def tokens(job: Job) -> Tokens:
        shard, sample = videos[job.output]
        if not opened or opened[0][0] is not shard:
            opened[:] = [(shard, shards.open(shard))]
        return shards.tokens(opened[0][1], sample)

    for shard in shards.shards:
        source = shard.stem.with_suffix(".jsonl")
        try:
            shards.check(shard)
            samples = shards.samples(shard)
        except SweettokError as error:
            refused.append(Result(source, None, "refused", error))
            continue
        for sample in samples:
            source = shard.stem / sample.name
            try:
                target = out / _relative(sample.name)
                if target in videos:
                    raise SweettokError(f"{folder} has two videos called {brief(sample.name)}; export again.")
                videos[target] = shard, sample
                job = Job(source, target)
                result = settled(job, begun=False)
                if result is None:
                    prepare(target, force, make_folder=True)
            except SweettokError as error:
                result = Result(source, None, "refused", error)
            if result is None:
                jobs.append(job)
            else:
                refused.append(result)
    yield from refused

    def work(job: Job, on_progress: OnProgress | None) -> Result:
        assert isinstance(job.source, Path)
        start = time.perf_counter()
        try:
            found = tokens(job)
            write_tokens(job.output, found, force)
            if on_progress is not None:
                on_progress(found.meta.clips, found.meta.clips)
        # Whatever is wrong with one video of many must not cost the others.
        except Exception as error:
            forget_locals(error)
            return Result(job.source, job.output, "failed", error)
        return Result(job.source, job.output, "done", meta=found.meta, seconds=time.perf_counter() - start)

    yield from do_jobs(jobs, work, settled, watch)


def _relative(name: str) -> Path:
    """Where the token file of a video belongs below the output's folder.

    Raises:
        SweettokError: it would lie elsewhere.
    """
    path = Path(name)
    if path.anchor or not path.name or ".." in path.parts or "\0" in name:
        raise SweettokError(f"The name {brief(name)} leads out of the folder; export the tokens again.")
    return path.with_name(path.name + PLAIN)


def _same(one: Tokens, other: Tokens) -> bool:
    return one.meta == other.meta and all(
        np.array_equal(array, other.arrays[name]) for name, array in one.arrays.items()
    )
