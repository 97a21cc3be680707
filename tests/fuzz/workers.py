"""Forked processes that try one case after the other; what crashes, hangs or eats memory ends one of them."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NoReturn

#: Bytes of address space beyond what a worker starts with: what a case may take, threads included.
MEMORY = 1 << 30
#: Seconds of the processor, and of the clock, after which a case counts as hanging.
PROCESSOR_SECONDS, SECONDS = 20, 600

#: Does one case in an empty folder and returns what is wrong with it.
Attempt = Callable[[int, Path], list[str]]


@dataclass(frozen=True)
class Outcome:
    """What became of one case: what is wrong, how long it took, and the worker's peak in bytes."""

    number: int
    faults: list[str]
    seconds: float
    peak: int


def try_all(attempt: Attempt, numbers: Iterable[int], jobs: int) -> Iterator[Outcome]:
    """Outcomes as they come, of cases done by ``jobs`` forked processes."""
    left = iter(numbers)
    workers: dict[Connection, _Worker] = {}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as shelf:
        try:
            for place in range(jobs):
                _give(workers, _Worker(attempt, Path(shelf, str(place))), left)
            while workers:
                for connection in wait(list(workers), timeout=1):
                    worker = workers.pop(connection)
                    outcome = worker.outcome()
                    yield outcome
                    _give(workers, worker if worker.alive else worker.again(), left)
                now = time.monotonic()
                for worker in workers.values():
                    if now - worker.since > SECONDS:
                        os.kill(worker.pid, signal.SIGKILL)
        finally:
            for worker in workers.values():
                worker.end()


def _give(workers: dict[Connection, _Worker], worker: _Worker, left: Iterator[int]) -> None:
    number = next(left, None)
    if number is None:
        worker.end()
    else:
        worker.begin(number)
        workers[worker.connection] = worker


class _Worker:
    def __init__(self, attempt: Attempt, shelf: Path) -> None:
        self._attempt, self._shelf = attempt, shelf
        self.connection, far = Pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self.connection.close()
            try:
                _work(attempt, far, shelf)
            finally:
                os._exit(1)
        far.close()
        self.alive, self.number, self.since = True, -1, 0.0

    def begin(self, number: int) -> None:
        self.number, self.since = number, time.monotonic()
        self.connection.send(number)

    def outcome(self) -> Outcome:
        try:
            faults, peak = self.connection.recv()
        except (EOFError, OSError):
            self.alive = False
            faults, peak = [_death(os.waitpid(self.pid, 0)[1])], 0
        return Outcome(self.number, faults, time.monotonic() - self.since, peak)

    def again(self) -> _Worker:
        self.connection.close()
        return _Worker(self._attempt, self._shelf)

    def end(self) -> None:
        self.connection.close()  # it ends when it asks for the next
        if self.alive:
            self.alive = False
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def _death(status: int) -> str:
    if os.WIFEXITED(status):
        return f"CRASH: the process ended itself with status {os.WEXITSTATUS(status)}"
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU:
        return f"HANG: more than {PROCESSOR_SECONDS} s of the processor"
    if number == signal.SIGKILL:
        return f"HANG: more than {SECONDS} s, or killed for its memory"
    return f"CRASH: {signal.Signals(number).name}"


def _work(attempt: Attempt, connection: Connection, shelf: Path) -> NoReturn:
    """The life of a worker."""
    shelf.mkdir(exist_ok=True)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        handle = os.open(shelf / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if address_space := _address_space():
        resource.setrlimit(resource.RLIMIT_AS, (address_space + MEMORY, resource.RLIM_INFINITY))
    while True:
        try:
            number = connection.recv()
        except (EOFError, OSError):
            os._exit(0)
        used = resource.getrusage(resource.RUSAGE_SELF)
        most = int(used.ru_utime + used.ru_stime) + 1 + PROCESSOR_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
        with tempfile.TemporaryDirectory(dir=shelf, ignore_cleanup_errors=True) as folder:
            try:
                faults = attempt(number, Path(folder))
            except Exception:
                faults = [f"ATTEMPT: {traceback.format_exc()[-1500:]}"]
        connection.send((faults, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10))


def _address_space() -> int | None:
    """Bytes that this process has mapped; None where the system does not say as Linux does."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return None
    return pages * resource.getpagesize()
