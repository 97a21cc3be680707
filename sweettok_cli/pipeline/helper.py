"""A process that encodes with a model of its own, beside others."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, NoReturn

from sweettok_cli.errors import SweettokError, on_command_line, option
from sweettok_cli.holding import sweep
from sweettok_cli.pipeline.batch import Result, forget_locals
from sweettok_cli.pipeline.plan import Job

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer

_PATIENCE = 10.0  # seconds that a process has to end once it is asked to


class Helper:
    """A process with a model, an :class:`~sweettok_cli.pipeline.dataset.Engine`.

    It is started with its first job, and again where it has ended: a source that ends it costs no other.

    Args:
        load: gives the model; a function of a module with its arguments, as other processes can have it.
        options: for :func:`~sweettok_cli.pipeline.folder.encode_job`.
        threads: of the network, and of decoders.
    """

    def __init__(self, load: Callable[[], Tokenizer], options: Mapping[str, Any], threads: int) -> None:
        self._given = (load, options, threads, option("x").startswith("-"))
        self._process: Any = None
        self._connection: Connection | None = None
        self._lock = threading.Lock()
        self._over = False

    def encode(self, job: Job) -> Result:
        """As :meth:`~sweettok_cli.pipeline.dataset.Engine.encode`.

        Raises:
            Unable: the model cannot be loaded.
        """
        self._start()
        result = self._asked(job)
        if result is not None:
            return result
        code = self._process.exitcode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
        self._process = None
        return Result(
            job.source,
            job.output,
            "failed",
            SweettokError(
                f"{job.source} ended the process that encoded it ({how}); try it by itself, or with fewer "
                f"processes ({option('workers', 'N')}): there may have been too little memory."
            ),
        )

    def _start(self) -> None:
        with self._lock:
            if self._over:
                raise _Stopped
            if self._process is not None:
                return
            context = multiprocessing.get_context("spawn")
            self._connection, far = context.Pipe()
            self._process = context.Process(target=_serve, args=(far, *self._given), daemon=True)
            self._process.start()
            far.close()
        ready = self._told()
        if ready is _ENDED:
            self._process.join(_PATIENCE)
            ready = SweettokError(
                f"A process that was to encode ended with code {self._process.exitcode} before it could; "
                f"give fewer processes ({option('workers', 'N')}): there may be too little memory."
            )
        if isinstance(ready, Exception):
            raise Unable(ready)

    def _asked(self, job: Job) -> Result | None:
        """The result of a job; None where the process ended."""
        assert self._connection is not None
        with suppress(OSError):
            self._connection.send(job)
            if (told := self._told()) is not _ENDED:
                result, said = told
                say_again(said)
                return result
        self._process.join(_PATIENCE)
        return None

    def _told(self) -> Any:
        assert self._connection is not None
        try:
            wait([self._connection, self._process.sentinel])
            if self._over:
                raise _Stopped
            return self._connection.recv() if self._connection.poll() else _ENDED
        except (EOFError, ConnectionError):
            return _ENDED

    def stop(self) -> None:
        """End the process; what it has not finished is removed."""
        with self._lock:
            self._over = True
            process = self._process
        if process is not None:
            process.terminate()
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()


_ENDED = object()


class _Stopped(Exception):
    """There is no use in going on."""


class Unable(Exception):
    """No source can be encoded, for a reason that has nothing to do with it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _serve(
    connection: Connection,
    load: Callable[[], Tokenizer],
    options: Mapping[str, Any],
    threads: int,
    typed: bool,
) -> None:
    """What a helper's process does: jobs in, results out, until the other end is closed."""
    from sweettok_cli.runtime import let_waiting_threads_sleep, use_one_blas_thread, use_one_heap

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    let_waiting_threads_sleep()
    use_one_blas_thread()
    use_one_heap()
    said = Said()
    logging.getLogger("sweettok_cli").addHandler(said)
    with suppress(BrokenPipeError, EOFError, ConnectionError):
        if not typed:
            _obey(connection, load, options, threads, said)
            return
        with on_command_line():
            _obey(connection, load, options, threads, said)
    sweep()


def _obey(
    connection: Connection,
    load: Callable[[], Tokenizer],
    options: Mapping[str, Any],
    threads: int,
    said: Said,
) -> None:
    try:
        import torch

        from sweettok_cli.pipeline.folder import encode_job
        from sweettok_cli.runtime import ignore_progress
        from sweettok_cli.video.decoding import limit_threads

        torch.set_num_threads(threads)
        limit_threads(threads)
        tokenizer = load()
    except Exception as error:
        connection.send(sendable(error))
        return
    connection.send(None)
    while True:
        job = connection.recv()
        result = encode_job(job, tokenizer, force=True, on_progress=ignore_progress, **options)
        if result.error is not None:
            result = replace(result, error=sendable(result.error))
        connection.send((result, said.taken()))


class Said(logging.Handler):
    """What is logged while a job is done, to be said by the process that asked."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._records: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """As of any handler."""
        self._records.append((record.name, record.levelno, record.getMessage()))

    def taken(self) -> list[tuple[str, int, str]]:
        """What was logged since the last call."""
        records, self._records = self._records, []
        return records


def say_again(said: Iterable[tuple[str, int, str]]) -> None:
    """Log here what another process has logged."""
    for name, level, text in said:
        logging.getLogger(name).log(level, "%s", text)


def sendable(error: Exception) -> Exception:
    """An error that another process can have; ours are but what they say."""
    forget_locals(error)
    if isinstance(error, SweettokError):
        return SweettokError(str(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever a library has put into it
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _end(*_: object) -> NoReturn:
    raise SystemExit(0)


def _end_with_parent() -> None:
    """End this process when the one that started it has ended, however that ended; nobody waits for it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        sweep()
        os._exit(1)
