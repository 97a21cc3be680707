"""Overlap reading, computing and writing: a thread that reads before the model, one that writes behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import TypeVar

T = TypeVar("T")
#: How often a waiting thread looks whether the other side has given up, in seconds.
_POLL = 0.1


@dataclass
class _End:
    """The last thing in a queue, with the error that ended it, if one did."""

    error: BaseException | None = None


class _Worker(threading.Thread):
    """A thread that can be stopped for good, even where a signal hits while it is started."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self.stopped = threading.Event()
        self._work = work
        self._at_work = threading.Lock()

    def stop(self) -> None:
        """Tell the work to stop, and wait until it has; what was not begun never begins."""
        self.stopped.set()
        self.wait()

    def wait(self) -> None:
        with self._at_work:
            pass
        if self.is_alive():
            self.join()

    def run(self) -> None:
        with self._at_work:
            if not self.stopped.is_set():
                self._work()


def read_ahead(items: Iterable[T], depth: int = 1) -> Generator[T, None, None]:
    """The same items, produced by a thread up to ``depth`` ahead of the caller.

    An exception in the thread is raised here, after the items before it. When the caller closes this
    generator early, the thread is done with ``items``, and has closed it, before that returns.
    """
    queue: Queue[T | _End] = Queue(depth)

    def produce() -> None:
        end = _End()
        try:
            for item in items:
                if not _put(queue, item, worker.stopped):
                    break
        except BaseException as error:
            end = _End(error)
        finally:
            if isinstance(items, Generator):
                items.close()
        _put(queue, end, worker.stopped)

    worker = _Worker("read-ahead", produce)
    try:
        worker.start()
        while True:
            item = queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        worker.stop()


@contextmanager
def write_behind(write: Callable[[T], None], depth: int) -> Iterator[Callable[[T], None]]:
    """Yield a function that queues an item for ``write``, which a thread calls in order, ``depth`` behind.

    Leaving the block waits until everything is written. An exception of ``write`` is raised by the next call,
    or on leaving; an exception in the block discards what is queued.
    """
    queue: Queue[T | _End] = Queue(depth)
    failed = _End()

    def consume() -> None:
        try:
            while not worker.stopped.is_set():
                try:
                    item = queue.get(timeout=_POLL)
                except Empty:
                    continue
                if isinstance(item, _End):
                    return
                write(item)
                del item  # frames are large
        except BaseException as error:
            failed.error = error
            worker.stopped.set()

    def put(item: T) -> None:
        if not _put(queue, item, worker.stopped) and failed.error is not None:
            raise failed.error

    worker = _Worker("write-behind", consume)
    try:
        worker.start()
        yield put
    except BaseException:
        worker.stop()
        raise
    _put(queue, _End(), worker.stopped)
    worker.wait()
    if failed.error is not None:
        raise failed.error


def _put(queue: Queue[T | _End], item: T | _End, stop: threading.Event) -> bool:
    """Wait for room; False when the other side gave up first."""
    while not stop.is_set():
        try:
            queue.put(item, timeout=_POLL)
        except Full:
            continue
        return True
    return False
