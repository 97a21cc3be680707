"""What a helper's process does: jobs in, results out."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn

from sweettok_cli.errors import SweettokError, on_command_line
from sweettok_cli.holding import sweep
from sweettok_cli.pipeline.batch import Result, forget_locals
from sweettok_cli.pipeline.plan import Job

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.pipeline.shared_model import Filling


@dataclass(frozen=True)
class Orders:
    """What a process is told before its first job; ``typed``: messages name options as they are typed."""

    load: Callable[[], Tokenizer]
    options: Mapping[str, Any]
    threads: int
    filling: Filling | None
    typed: bool


def serve(connection: Connection, orders: Orders) -> None:
    """What a helper's process does: jobs in, results out, until the other end is closed."""
    from sweettok_cli.runtime import let_waiting_threads_sleep, use_one_blas_thread, use_one_heap

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it was not held
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    let_waiting_threads_sleep()
    use_one_blas_thread()
    use_one_heap()
    said = Said()
    logging.getLogger("sweettok_cli").addHandler(said)
    try:
        with (
            suppress(BrokenPipeError, EOFError, ConnectionError),
            on_command_line() if orders.typed else nullcontext(),
        ):
            _obey(connection, orders, said)
    finally:
        sweep()


def _obey(connection: Connection, orders: Orders, said: Said) -> None:
    try:
        import torch

        from sweettok_cli.models.common.batcher import Stopped
        from sweettok_cli.pipeline.folder import encode_job
        from sweettok_cli.pipeline.shared_model import SharedModel
        from sweettok_cli.runtime import ignore_progress
        from sweettok_cli.video.decoding import limit_threads

        torch.set_num_threads(orders.threads)
        limit_threads(orders.threads)
        tokenizer, options, filling = orders.load(), orders.options, orders.filling
        model = None if filling is None else SharedModel(tokenizer, options, filling)
    except Exception as error:
        connection.send(sendable(error))
        return
    turn = threading.Lock()

    def tell(number: int, result: Result) -> None:
        if result.error is not None:
            result = replace(result, error=sendable(result.error))
        with turn:
            connection.send((number, result, said.taken()))

    connection.send(None)
    if filling is None or model is None:
        while True:
            if not isinstance(told := connection.recv(), int):
                number, job = told
                tell(number, encode_job(job, tokenizer, force=True, on_progress=ignore_progress, **options))
    jobs: SimpleQueue[tuple[int, Job]] = SimpleQueue()

    def serve() -> None:
        with suppress(Stopped, BrokenPipeError, ConnectionError):
            while True:
                number, job = jobs.get()
                tell(number, model.encode(job))

    for _ in range(filling.videos):
        threading.Thread(target=serve, name="lane", daemon=True).start()
    try:
        while True:
            if isinstance(told := connection.recv(), int):
                model.expect(told)
            else:
                jobs.put(told)
    finally:
        model.stop()


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
