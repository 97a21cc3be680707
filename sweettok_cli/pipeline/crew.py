"""Lanes at work on one line of jobs; whichever is free takes the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from queue import Empty, Queue
from types import TracebackType
from typing import Protocol

from sweettok_cli.pipeline.batch import Result
from sweettok_cli.pipeline.dataset import Engine
from sweettok_cli.pipeline.helper import Unable
from sweettok_cli.pipeline.order import in_order
from sweettok_cli.pipeline.plan import Job

#: Results that are held back until what comes before them has ended.
MOST_WAITING = 1000
_TICK = 1.0  # seconds between two looks at the clock


class Lane(Engine, Protocol):
    """What encodes one source after the other, beside others. Several lanes may be one object."""

    def begin(self) -> None:
        """Jobs may come from now on."""

    def rest(self) -> None:
        """No more come until it begins again."""

    def stop(self) -> None:
        """End, whatever it is at; called once for every lane."""


class Crew:
    """Lanes at work on one line of jobs; in a ``with`` block, on leaving which they end."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for lane in self._lanes:
            lane.stop()
        for thread in self._threads:
            if thread.ident is not None:  # an interruption may come before all are started
                thread.join()

    def work(
        self, jobs: Iterable[Job], one: Callable[[Job, Lane], Result | None], tick: Callable[[], None]
    ) -> Iterator[tuple[Job, Result | None]]:
        """Every job with what came of it, in the order of the jobs, however they end.

        Where very many have ended and one before them has not, they no longer wait for it: memory stays flat.

        Args:
            jobs: what to do.
            one: does a job in a lane, in a thread of that lane's own.
            tick: called about once a second while nothing ends.

        Raises:
            SweettokError: the model cannot be loaded, or the manifest not be written.
        """
        line, lock = zip(count(), iter(jobs), strict=False), threading.Lock()
        ended: Queue[tuple[int, Job, Result | None] | BaseException | None] = Queue()

        def serve(lane: Lane) -> None:
            try:
                while not self._stopped.is_set():
                    with lock:
                        taken = next(line, None)
                    if taken is None:
                        break
                    ended.put((*taken, one(taken[1], lane)))
                lane.rest()
                ended.put(None)
            except BaseException as error:
                ended.put(error)

        self._threads = [
            threading.Thread(target=serve, args=(lane,), name="crew", daemon=True) for lane in self._lanes
        ]
        for lane in self._lanes:
            lane.begin()
        for thread in self._threads:
            thread.start()
        yield from in_order(self._told(ended, tick), MOST_WAITING)

    def _told(
        self, ended: Queue[tuple[int, Job, Result | None] | BaseException | None], tick: Callable[[], None]
    ) -> Iterator[tuple[int, tuple[Job, Result | None]]]:
        left = len(self._threads)
        while left:
            try:
                told = ended.get(timeout=_TICK)
            except Empty:
                tick()
                continue
            if isinstance(told, BaseException):
                raise told.error if isinstance(told, Unable) else told
            if told is None:
                left -= 1
            else:
                yield told[0], told[1:]
