"""Batches that are made ahead of whoever takes them, by threads or by processes, always in the same order."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sweettok_cli.data.sampler import Batch
from sweettok_cli.errors import SweettokError

_NOTHING = np.zeros(0, np.uint8)


class Numbered(Protocol):
    """What makes batches; for processes it can be pickled, and takes in what they have found out."""

    def batch(self, number: int) -> Any:
        """Batch ``number``, a function of nothing else."""

    def note(self, unreadable: Mapping[int, str]) -> None:
        """Take in what could not be read for a batch that another process has made."""


@contextmanager
def prefetched(
    source: Numbered, start: int, workers: int, prefetch: int, loader: str = "threads", pinned: bool = False
) -> Iterator[Iterator[tuple[Any, float]]]:
    """Yield an endless (batch, seconds waited for it) from batch ``start`` on, made ahead.

    Args:
        source: makes them.
        start: number of the first one.
        workers: how many threads or processes make batches at once.
        prefetch: how many are kept ready, at least; processes have at least one each in hand.
        loader: ``threads``, which leave the interpreter's lock while they decode, or ``processes``, which
            never share it and pass batches on through shared memory.
        pinned: whether a batch's frames lie in memory from which a GPU copies while it computes.

    Raises:
        SweettokError: while iterating, what the source raises; or a process was ended from outside.
    """
    if loader == "processes":
        ahead = _by_processes(source, start, workers, -(-prefetch // workers), pinned)
        try:
            yield _timed(lambda: next(ahead))
        finally:
            ahead.close()
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    make = (lambda number: _pinned(source.batch(number))) if pinned else source.batch
    numbers = count(start)
    waiting = deque(pool.submit(make, next(numbers)) for _ in range(prefetch))

    def take() -> Any:
        batch = waiting.popleft().result()
        waiting.append(pool.submit(make, next(numbers)))
        return batch

    try:
        yield _timed(take)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _timed(take: Callable[[], Any]) -> Iterator[tuple[Any, float]]:
    while True:
        begin = time.perf_counter()
        batch = take()
        yield batch, time.perf_counter() - begin


def _pinned(batch: Any) -> Any:
    if not isinstance(batch, Batch):
        return batch
    frames = torch.from_numpy(np.ascontiguousarray(batch.frames))
    return replace(batch, frames=frames.pin_memory().numpy())


@dataclass(frozen=True)
class _Sent:
    """A batch on its way from a process to another: its frames go through shared memory."""

    frames: Tensor
    rest: Batch

    @classmethod
    def of(cls, batch: Batch) -> _Sent:
        frames = torch.from_numpy(np.ascontiguousarray(batch.frames))
        return cls(frames.share_memory_(), replace(batch, frames=_NOTHING))

    def pin_memory(self) -> _Sent:
        """For :class:`DataLoader`."""
        return replace(self, frames=self.frames.pin_memory())

    def arrived(self) -> Batch:
        """The batch."""
        return replace(self.rest, frames=self.frames.numpy())


class _Batches(Dataset[Any]):
    """The source's batches as the processes make them."""

    def __init__(self, source: Numbered) -> None:
        self._source = source

    def __getitem__(self, number: int) -> Any:
        try:
            batch = self._source.batch(number)
            return _Sent.of(batch) if isinstance(batch, Batch) else batch
        except SweettokError as error:  # to be raised as it is, and not with the trace of another process
            return error
        except RuntimeError as error:
            if "No space left" not in str(error) and "shared memory" not in str(error):
                raise
            return _ended(error)


def _by_processes(
    source: Numbered, start: int, workers: int, each: int, pinned: bool
) -> Generator[Any, None, None]:
    loader: DataLoader[Any] = DataLoader(
        _Batches(source),
        batch_size=None,
        sampler=count(start),
        num_workers=workers,
        prefetch_factor=each,
        pin_memory=pinned,
        worker_init_fn=_ignore_interrupts,
        # A copy of this process would have its threads' locks, and none of its threads.
        multiprocessing_context="spawn",
        # It draws one number for its processes, which must not be one of the run's.
        generator=torch.Generator(),
    )
    found = iter(loader)
    try:
        while True:
            try:
                batch = next(found)
            except RuntimeError as error:
                if not str(error).startswith("DataLoader worker (pid"):
                    raise
                raise _ended(error) from error
            if isinstance(batch, SweettokError):
                raise batch
            if isinstance(batch, _Sent):
                batch = batch.arrived()
                source.note(batch.skipped)
            yield batch
    finally:
        del found  # ends the processes


def _ended(error: RuntimeError) -> SweettokError:
    """The error for a process that was ended, as one is that has no shared memory left."""
    why = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    return SweettokError(
        f"A process that makes batches has ended ({why}); give it more memory (docker run --shm-size=8g), "
        "set fewer workers or a lower prefetch, or loader=threads."
    )


def _ignore_interrupts(worker: int) -> None:
    """Ctrl-C reaches all processes of a terminal; the one that trains ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
