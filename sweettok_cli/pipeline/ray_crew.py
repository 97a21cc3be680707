"""Actors of Ray Data that encode side by side: sources are rows, and so is what became of them."""

from __future__ import annotations

import pickle
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.pipeline.actor import Actor, Orders, Told
from sweettok_cli.pipeline.batch import Result
from sweettok_cli.pipeline.cluster import LISTENER, Node, Ray, Shape, await_room, joined, nodes_of, shape_of
from sweettok_cli.pipeline.crew import MOST_WAITING
from sweettok_cli.pipeline.dataset import Settings
from sweettok_cli.pipeline.helper_process import say_again
from sweettok_cli.pipeline.manifest import Manifest, take_in
from sweettok_cli.pipeline.member import files_of
from sweettok_cli.pipeline.order import in_order
from sweettok_cli.pipeline.plan import Job
from sweettok_cli.pipeline.share import Share
from sweettok_cli.runtime import cores, threads_allowed

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer

#: Sources of one task of Ray. An actor has two tasks: whoever waits for less has less to wait for at the end.
MOST_IN_BLOCK = 32
# Seconds between two looks at the clock and at the cluster, and that ended actors have to let go.
_TICK, _LOOK, _PATIENCE = 1.0, 5.0, 15.0


class RayCrew:
    """Actors at work on one line of jobs after the other.

    Args:
        ray: where.
        load: gives the model on a device; a function of a module with its arguments.
        settings: how sources are encoded.
        manifest: to which what became of them is appended.
        share: whose manifest that is.
        workers: actors; by default one a GPU, else one for every few cores.
        tick: called about once a second.
    """

    def __init__(
        self,
        ray: Ray,
        load: Callable[[str], Tokenizer],
        settings: Settings,
        manifest: Manifest,
        share: Share,
        workers: int | None,
        tick: Callable[[], None],
    ) -> None:
        self._ray, self._load, self._settings = ray, load, settings
        self._manifest, self._share, self._workers = manifest, share, workers
        self._tick, self._run = tick, secrets.token_hex(8)

    def work(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Result | None]]:
        """Every job with what came of it, in the order of the jobs; None where another program is at it.

        Raises:
            SweettokError: there is no cluster, or too small a one; or a model cannot be loaded.
        """
        try:
            for place, told in in_order(self._ended(jobs), MOST_WAITING):
                yield jobs[place], told.result
        finally:
            give_up = time.monotonic() + _PATIENCE
            while not take_in(self._manifest, self._run) and time.monotonic() < give_up:
                time.sleep(0.2)

    def _ended(self, jobs: Sequence[Job]) -> Iterator[tuple[int, tuple[int, Told]]]:
        if self._ray.address is None:
            shape_of([Node(cores(), 0)], self._workers, "cpu")  # refused before Ray has started
        left = dict(enumerate(jobs))
        while left:
            before = len(left)
            why: object = "it gave no results"
            try:
                with joined(self._ray.address) as ray:
                    for place, told in self._answers(ray, left):
                        if left.pop(place, None) is None:
                            continue
                        if told.unable is not None:
                            raise told.unable
                        say_again(told.said)
                        if told.row is not None:
                            self._manifest.add(told.row)
                        yield place, (place, told)
            except _Failed as failed:
                why = failed
            if len(left) == before:
                raise SweettokError(
                    f"Ray does not go on ({why}); see that sweettok is on all its machines, or give fewer "
                    f"processes with {option('workers', 'N')}, and run the command again: what is done "
                    "is kept."
                )

    def _answers(self, ray: ModuleType, left: dict[int, Job]) -> Iterator[tuple[int, Told]]:
        """What actors tell of sources, as they tell it; ends early where the cluster has become smaller."""
        shape = shape_of(nodes_of(ray), self._workers, self._ray.device)
        await_room(ray, shape)
        shape = Shape(min(shape.actors, len(left)), shape.cpus, shape.gpus)
        rows = self._rows(ray, left, shape)
        told: Queue[tuple[int, Told] | _Failed | None] = Queue()

        def listen() -> None:
            try:
                for row in rows.iter_rows():
                    told.put((row["place"], pickle.loads(row["told"])))
                told.put(None)
            except BaseException as error:
                told.put(_Failed(error))

        threading.Thread(target=listen, name=LISTENER, daemon=True).start()
        looked = time.monotonic()
        while True:
            try:
                answer = told.get(timeout=_TICK)
            except Empty:
                self._tick()
            else:
                if answer is None:
                    return
                if isinstance(answer, _Failed):
                    raise answer
                yield answer
            if time.monotonic() - looked > _LOOK:
                looked = time.monotonic()
                if shape.room(nodes_of(ray)) < shape.actors:
                    return

    def _rows(self, ray: ModuleType, left: dict[int, Job], shape: Shape) -> Any:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        context.execution_no_progress_timeout_s = -1  # a video may take hours
        context.target_max_block_size = 1  # bytes: a row is told as soon as it is there
        blocks = max(-(-len(left) // MOST_IN_BLOCK), min(len(left), 32 * shape.actors))
        jobs = [{"place": place, "job": pickle.dumps(job)} for place, job in left.items()]
        return ray.data.from_items(jobs, override_num_blocks=blocks).map(
            Actor,
            fn_constructor_args=(self._orders(left, shape),),
            compute=ray.data.ActorPoolStrategy(size=shape.actors, max_tasks_in_flight_per_actor=2),
            num_cpus=shape.cpus,
            num_gpus=shape.gpus or None,
        )

    def _orders(self, left: dict[int, Job], shape: Shape) -> Orders:
        device = self._ray.device
        if device == "auto":
            device = "cuda" if shape.gpus else "cpu"
        folder, model = self._manifest.folder, self._settings.model
        files = (path for job in left.values() for path in files_of(job.source))
        relative = not all(map(Path.is_absolute, (folder, *([model] if model else []), *files)))
        return Orders(
            _On(self._load, device),
            self._settings,
            folder,
            self._share,
            self._run,
            min(shape.cpus, threads_allowed() or shape.cpus),
            str(Path.cwd()) if relative else None,
            option("x").startswith("-"),
        )


@dataclass(frozen=True)
class _On:
    """Loads a model on a device."""

    load: Callable[[str], Tokenizer]
    device: str

    def __call__(self) -> Tokenizer:
        return self.load(self.device)


class _Failed(Exception):
    """Ray has ended what it was at, for a reason that is no source's."""

    def __init__(self, error: BaseException) -> None:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        super().__init__(f"{type(error).__name__}: {lines[-1] if lines else ''}".rstrip(": ."))
