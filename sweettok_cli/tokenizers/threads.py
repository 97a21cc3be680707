"""Overlap reading, computing and writing: a thread that reads before the model, one that writes behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")
#: How often a waiting thread looks whether the other side has given up, in seconds.
_POLL = 0.1


class _End:
    """The last thing in a queue, with the error that ended it, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def read_ahead(items: Iterable[T], depth: int = 1) -> Generator[T, None, None]:
    """The same items, produced by a thread up to ``depth`` ahead of the caller.

    An exception in the thread is raised here, after the items before it. When the caller closes this
    generator early, the thread has ended and ``items`` is closed before that returns.
    """
    queue: Queue[T | _End] = Queue(depth)
    stop = threading.Event()

    def produce() -> None:
        end = _End()
        try:
            for item in items:
                if not _put(queue, item, stop):
                    break
        except BaseException as error:
            end = _End(error)
        finally:
            if isinstance(items, Generator):
                items.close()
        _put(queue, end, stop)

    thread = threading.Thread(target=produce, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        thread.join()


class _WriteBehind(Generic[T]):
    """Hands items to a thread; see :func:`write_behind`."""

    def __init__(self, write: Callable[[T], None], depth: int) -> None:
        self._write = write
        self._queue: Queue[T | _End] = Queue(depth)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._consume, name="write-behind", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        if not _put(self._queue, item, self._stop):
            self._raise()

    def finish(self) -> None:
        _put(self._queue, _End(), self._stop)
        self._thread.join()
        self._raise()

    def abandon(self) -> None:
        self._stop.set()
        self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _consume(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    item = self._queue.get(timeout=_POLL)
                except Empty:
                    continue
                if isinstance(item, _End):
                    return
                self._write(item)
        except BaseException as error:
            self._error = error
            self._stop.set()


@contextmanager
def write_behind(write: Callable[[T], None], depth: int) -> Iterator[Callable[[T], None]]:
    """Yield a function that queues an item for ``write``, which a thread calls in order, ``depth`` behind.

    Leaving the block waits until everything is written. An exception of ``write`` is raised by the next call,
    or on leaving; an exception in the block discards what is queued.
    """
    behind = _WriteBehind(write, depth)
    try:
        yield behind.put
    except BaseException:
        behind.abandon()
        raise
    behind.finish()


def _put(queue: Queue[T | _End], item: T | _End, stop: threading.Event) -> bool:
    """Wait for room; False when the other side gave up first."""
    while not stop.is_set():
        try:
            queue.put(item, timeout=_POLL)
        except Full:
            continue
        return True
    return False
