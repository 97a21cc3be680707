"""Helpers at work on one line of jobs; whoever is free takes the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from queue import Empty, Queue
from types import TracebackType

from sweettok_cli.pipeline.batch import Result
from sweettok_cli.pipeline.helper import Helper, Unable
from sweettok_cli.pipeline.order import in_order
from sweettok_cli.pipeline.plan import Job

#: Results that are held back until what comes before them has ended.
MOST_WAITING = 1000
_TICK = 1.0  # seconds between two looks at the clock


class Crew:
    """Helpers at work on one line of jobs; in a ``with`` block, on leaving which they end."""

    def __init__(self, helpers: Sequence[Helper]) -> None:
        self._helpers = helpers
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for helper in self._helpers:
            helper.stop()
        for thread in self._threads:
            thread.join()

    def work(
        self, jobs: Iterable[Job], one: Callable[[Job, Helper], Result | None], tick: Callable[[], None]
    ) -> Iterator[tuple[Job, Result | None]]:
        """Every job with what came of it, in the order of the jobs, however they end.

        Where very many have ended and one before them has not, they no longer wait for it: memory stays flat.

        Args:
            jobs: what to do.
            one: does a job with a helper, in a thread of that helper's own.
            tick: called about once a second while nothing ends.

        Raises:
            SweettokError: the model cannot be loaded, or the manifest not be written.
        """
        line, lock = zip(count(), iter(jobs), strict=False), threading.Lock()
        ended: Queue[tuple[int, Job, Result | None] | BaseException | None] = Queue()

        def serve(helper: Helper) -> None:
            try:
                while not self._stopped.is_set():
                    with lock:
                        taken = next(line, None)
                    if taken is None:
                        break
                    ended.put((*taken, one(taken[1], helper)))
                ended.put(None)
            except BaseException as error:
                ended.put(error)

        self._threads = [
            threading.Thread(target=serve, args=(helper,), name="crew", daemon=True)
            for helper in self._helpers
        ]
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
