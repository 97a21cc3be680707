"""A process that encodes with a model of its own, beside others."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from itertools import count
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.pipeline.batch import Result
from sweettok_cli.pipeline.helper_process import Orders, say_again, serve
from sweettok_cli.pipeline.plan import Job

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.pipeline.shared_model import Filling

_MOST_STARTS = 3  # of one lane's processes that are ended before they can encode
_PATIENCE = 10.0  # seconds that a process has to end once it is asked to


class Helper:
    """A process with a model: a lane, or several that share it.

    It is started with its first job, and again where it has ended: a source that ends it costs no other.

    Args:
        load: gives the model; a function of a module with its arguments, as other processes can have it.
        options: for :func:`~sweettok_cli.pipeline.folder.encode_job`.
        threads: of the network, and of decoders.
        filling: how many videos are at once in it; None for one.
    """

    def __init__(
        self,
        load: Callable[[], Tokenizer],
        options: Mapping[str, Any],
        threads: int,
        filling: Filling | None = None,
    ) -> None:
        self._orders = Orders(load, options, threads, filling, option("x").startswith("-"))
        self._process: Process | None = None
        self._lock = threading.Lock()
        self._company = Company()
        self._lanes = 0  # that may come with jobs
        self._over = False
        self._starts = 0  # of processes that were ended before they could encode

    def encode(self, job: Job) -> Result:
        """As :meth:`~sweettok_cli.pipeline.dataset.Engine.encode`.

        What is at work in a process that ends, and not alone in it, is tried again alone.

        Raises:
            Unable: the model cannot be loaded.
        """
        code: int | None = None
        for alone in (False, True) if self._orders.filling is not None else (False,):
            with self._company.inside(alone):
                tried = self._tried(job)
            if isinstance(tried, Result):
                return tried
            code = tried
        how = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
        return Result(
            job.source,
            job.output,
            "failed",
            SweettokError(
                f"{job.source} ended the process that encoded it ({how}); try it by itself, or with fewer "
                f"processes ({option('workers', 'N')}): there may have been too little memory."
            ),
        )

    def begin(self) -> None:
        """As :meth:`~sweettok_cli.pipeline.crew.Lane.begin`."""
        self._expect(1)

    def rest(self) -> None:
        """As :meth:`~sweettok_cli.pipeline.crew.Lane.rest`."""
        self._expect(-1)

    def stop(self) -> None:
        """End the process; what it has not finished is removed."""
        with self._lock:
            self._over = True
            process = self._process
        if process is not None:
            process.stop()

    def _tried(self, job: Job) -> Result | int | None:
        """The result of a job, or the code with which the process ended."""
        with self._lock:
            if self._over:
                raise _Ended
            if self._process is None or self._process.ended:
                self._process = Process(self._orders, self._lanes)
            process = self._process
        try:
            result = process.asked(job)
        except Unable as error:
            if self._may_start_again(process, error):
                return self._tried(job)
            raise
        if result is None and self._over:
            raise _Ended
        return process.code if result is None else result

    def _may_start_again(self, process: Process, error: Unable) -> bool:
        """Whether a process that was ended before it could encode is replaced by another one."""
        with self._lock:
            if self._over or not error.ended:
                return False
            if self._process is process:  # the first lane that hears of it counts
                self._process, self._starts = None, self._starts + 1
            return self._starts < _MOST_STARTS

    def _expect(self, more: int) -> None:
        with self._lock:
            self._lanes += more
            if self._process is not None:
                self._process.tell(more)


class Company:
    """Who is at work in one place: several together, or one alone."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._inside = self._want_alone = 0

    @contextmanager
    def inside(self, alone: bool) -> Iterator[None]:
        """In the block nobody else is inside, or others may be; who wants to be alone comes before them."""
        with self._change:
            self._want_alone += alone
            self._change.wait_for(lambda: not (self._inside if alone else self._want_alone))
            self._inside += 1
        try:
            yield
        finally:
            with self._change:
                self._inside -= 1
                self._want_alone -= alone
                self._change.notify_all()


class Process:
    """A process that has been started, and the jobs that it is at; so many ``lanes`` may come with some."""

    def __init__(self, orders: Orders, lanes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, far = context.Pipe()
        self._process: Any = context.Process(target=serve, args=(far, orders), daemon=True)
        with _interruptions_held():
            self._process.start()
        far.close()
        self.ended = False
        self._lock = threading.Lock()
        self._numbers = count()
        self._at: dict[int, Future[Result | None]] = {}
        self._ready: Future[None] = Future()
        threading.Thread(target=self._listen, name="helper", daemon=True).start()
        self.tell(lanes)

    @property
    def code(self) -> int | None:
        """With which it has ended; negative: that of a signal."""
        return self._process.exitcode

    def tell(self, more: int) -> None:
        """So many lanes more, or fewer, may come."""
        with suppress(OSError), self._lock:
            self._connection.send(more)

    def asked(self, job: Job) -> Result | None:
        """The result of a job; None where the process ended.

        Raises:
            Unable: the model cannot be loaded.
        """
        self._ready.result()
        answer: Future[Result | None] = Future()
        with self._lock:
            if self.ended:
                return None
            number = next(self._numbers)
            self._at[number] = answer
            with suppress(OSError):  # that it has ended is told by what listens
                self._connection.send((number, job))
        return answer.result()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _listen(self) -> None:
        ready = told = self._told()
        if ready is None:
            self._ready.set_result(None)
            while (told := self._told()) is not _ENDED:
                number, result, said = told
                say_again(said)
                self._at.pop(number).set_result(result)
        self._process.join(_PATIENCE)
        with self._lock:
            self.ended = True
            left = list(self._at.values())
        if not self._ready.done():
            if ready is _ENDED:
                ready = SweettokError(
                    f"A process that was to encode ended with code {self.code} before it could; "
                    f"give fewer processes ({option('workers', 'N')}): there may be too little memory."
                )
            self._ready.set_exception(Unable(ready, ended=told is _ENDED))
        for answer in left:
            answer.set_result(None)

    def _told(self) -> Any:
        try:
            wait([self._connection, self._process.sentinel])
            return self._connection.recv() if self._connection.poll() else _ENDED
        except (EOFError, OSError):
            return _ENDED


@contextmanager
def _interruptions_held() -> Iterator[None]:
    """What is started in the block never sees Ctrl-C, which is for the process that starts it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_ENDED = object()


class _Ended(Exception):
    """There is no use in going on."""


class Unable(Exception):
    """No source can be encoded, for a reason that has nothing to do with it."""

    def __init__(self, error: Exception, ended: bool = False) -> None:
        super().__init__(str(error))
        self.error, self.ended = error, ended  # the process, by a signal say
