"""Encode a data set from its sources to its manifest, with one process or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sweettok_cli.errors import SweettokError
from sweettok_cli.packing.token_file import PLAIN
from sweettok_cli.pipeline.batch import Result
from sweettok_cli.pipeline.cluster import Ray
from sweettok_cli.pipeline.dataset import DataSet, Engine, Settings
from sweettok_cli.pipeline.folder import encode_job
from sweettok_cli.pipeline.gone import note_gone
from sweettok_cli.pipeline.manifest import Manifest, take_in
from sweettok_cli.pipeline.manifest_table import write_table
from sweettok_cli.pipeline.member import State
from sweettok_cli.pipeline.plan import Job, plan_jobs
from sweettok_cli.pipeline.share import Share
from sweettok_cli.pipeline.shared_model import Filling, SharedModel
from sweettok_cli.runtime import threads_of_each
from sweettok_cli.video.inputs import Given

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.pipeline.crew import Lane


class Watch(Protocol):
    """Who looks on."""

    def begin(self, jobs: int, size: int) -> None:
        """So many sources are to be read, of so many bytes together."""

    def part(self, job: Job, done: float, total: int | None) -> None:
        """Of a source, so many frames are done."""

    def over(self, result: Result, size: int) -> None:
        """A source is done with, of so many bytes; called by any thread."""

    def tick(self) -> None:
        """About a second has gone by."""


@dataclass(frozen=True)
class Sources:
    """Where the sources of a data set lie, and where their token files go."""

    inputs: Sequence[Given]  # all of them paths
    folder: Path  # of the data set
    to_folder: bool = False  # whether it is one, whatever its name ends in
    frames: bool = False  # each folder of pictures is a video
    rate: Fraction | None = None  # of those, in frames a second
    ending: str = PLAIN  # of token files


@dataclass(frozen=True)
class Workforce:
    """What encodes.

    Attributes:
        load: gives the model on a device; a function of a module with its arguments, where there are several
            processes.
        devices: gives those that processes are shared out among.
        workers: processes, one of them this one; by default as many as devices.
        share: of the sources, that is encoded here.
        ray: where actors of Ray encode instead, whose devices are the cluster's.
    """

    load: Callable[[str], Tokenizer]
    devices: Callable[[], Sequence[str]] = lambda: ("cpu",)
    workers: int | None = None
    share: Share = field(default_factory=Share)
    ray: Ray | None = None


def encode_dataset(
    sources: Sources,
    settings: Settings,
    workforce: Workforce,
    watch: Watch,
    say: Callable[[str], None],
) -> Iterator[Result]:
    """Encode what folders, lists and tar files hold, and note it in the data set's manifest.

    What is known without reading comes first; then every source that is read, in the order of their names,
    whichever process encodes it. What another program is at comes last, and is skipped if it still is then.

    Args:
        sources: what to encode, and where to.
        settings: how.
        workforce: with what.
        watch: told how far it is.
        say: told what is damaged, what is no longer there, and what cannot be done at the end.

    Raises:
        SweettokError: there is nothing to encode, the folder holds tokens of other weights or options, the
            model cannot be loaded, or the manifest not be written.
    """
    folder, share = sources.folder, workforce.share
    planned, refused = plan_jobs(
        sources.inputs,
        folder,
        sources.to_folder,
        frames=sources.frames,
        rate=sources.rate,
        ending=sources.ending,
    )
    begun = bool(planned) or folder.is_dir()  # else there is nothing to make it for
    for each in refused:
        if each.output is None or not begun:
            name = Path(str(each.source)) if each.output is None else each.output.relative_to(folder)
            if share.owns(name):
                yield Result(each.source, each.output, "refused", each.error)
    if not begun:
        return
    with Manifest(folder, share) as manifest:
        if (damage := manifest.damage) is not None:
            say(damage)
        take_in(manifest)
        data, left = DataSet(manifest, settings), []
        lost = {row.output: row for row in manifest.failures() if share.owns(Path(row.output))}
        for each in refused:
            if each.output is not None and share.owns(name := each.output.relative_to(folder)):
                lost.pop(name.as_posix(), None)
                yield data.refused(Job(each.source, each.output), each.error)
        for job in planned:
            if share.owns(name := job.output.relative_to(folder)):
                lost.pop(name.as_posix(), None)
                if (known := data.known(job)) is None:
                    left.append(job)
                else:
                    yield known
        if said := note_gone(manifest, lost.values(), sources.inputs, refused):
            say(said)
        del planned, refused
        if left:
            watch.begin(len(left), sum(map(bytes_of, left)))
            if workforce.ray is None:
                yield from _encoded(left, data, settings, workforce, watch)
            else:
                yield from _by_ray(left, manifest, settings, workforce, watch)
        try:
            write_table(manifest)
        except SweettokError as error:
            say(f"There is no table of the data set, only {manifest.path.name}: {error}")


def _encoded(
    jobs: Sequence[Job], data: DataSet, settings: Settings, workforce: Workforce, watch: Watch
) -> Iterator[Result]:
    def one(job: Job, engine: Engine) -> Result | None:
        size = bytes_of(job)
        result = data.one(job, engine)
        if result is not None:
            watch.over(result, size)
        return result

    def last(job: Job, engine: Engine) -> Result:
        return one(job, engine) or Result(job.source, job.output, "skipped", busy=True)

    held: list[Job] = []
    devices = workforce.devices()
    workers = workforce.workers or len(devices)
    filling = Filling.of(settings.spec, settings.options, devices[0])
    if workers == 1 and filling is None:
        engine = _Here(workforce.load(devices[0]), settings.options, watch)
        for job in jobs:
            if (result := one(job, engine)) is None:
                held.append(job)
            else:
                yield result
        yield from (last(job, engine) for job in held)
        return
    from sweettok_cli.pipeline.crew import Crew

    with Crew(_lanes(workforce, devices, workers, settings.options, filling, len(jobs))) as crew:
        for job, result in crew.work(jobs, one, watch.tick):
            if result is None:
                held.append(job)
            else:
                yield result
        for _, result in crew.work(held, last, watch.tick):
            assert result is not None
            yield result


def _lanes(
    workforce: Workforce,
    devices: Sequence[str],
    workers: int,
    options: Mapping[str, Any],
    filling: Filling | None,
    jobs: int,
) -> Sequence[Lane]:
    """Where so many jobs are done at once: in this process, or in several."""
    from sweettok_cli.pipeline.helper import Helper

    videos = 1 if filling is None else filling.videos
    if workers == 1:
        assert filling is not None
        return [SharedModel(workforce.load(devices[0]), options, filling)] * min(videos, jobs)
    loads = (partial(workforce.load, devices[n % len(devices)]) for n in range(min(workers, jobs)))
    helpers = [Helper(load, options, threads_of_each(workers), filling) for load in loads]
    # One to each before anyone has two.
    return [helper for _ in range(videos) for helper in helpers][:jobs]


def _by_ray(
    jobs: Sequence[Job], manifest: Manifest, settings: Settings, workforce: Workforce, watch: Watch
) -> Iterator[Result]:
    from sweettok_cli.pipeline.ray_crew import RayCrew

    assert workforce.ray is not None
    crew = RayCrew(
        workforce.ray, workforce.load, settings, manifest, workforce.share, workforce.workers, watch.tick
    )
    held: Sequence[Job] = jobs
    for last in (False, True):
        jobs, held = held, []
        for job, result in crew.work(jobs):
            if result is None and not last:
                held.append(job)
                continue
            result = result or Result(job.source, job.output, "skipped", busy=True)
            watch.over(result, bytes_of(job))
            yield result


class _Here:
    """This process, as an :class:`Engine`."""

    def __init__(self, tokenizer: Tokenizer, options: Mapping[str, Any], watch: Watch) -> None:
        self._tokenizer, self._options, self._watch = tokenizer, options, watch

    def encode(self, job: Job) -> Result:
        """As :meth:`Engine.encode`."""
        tell = partial(self._watch.part, job)
        return encode_job(job, self._tokenizer, force=True, on_progress=tell, **self._options)


def bytes_of(job: Job) -> int:
    """Of a source; 0 where it cannot be looked at, which whoever reads it says."""
    try:
        return State.of(job.source).size
    except SweettokError:
        return 0
