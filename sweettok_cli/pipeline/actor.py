"""What an actor of Ray does: a process with a model, to which sources come as rows, one after the other.

What it has made it notes in a journal of its own beside the manifest, before it tells anybody: whatever ends
it, or whoever waits for it, costs no more than the source that it is at. An actor that takes the place of one
that has ended is given that one's rows again, and knows them by the journals of its run.
"""

from __future__ import annotations

import logging
import os
import pickle
import platform
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweettok_cli.errors import SweettokError, on_command_line, option
from sweettok_cli.holding import claimed
from sweettok_cli.pipeline.batch import Result
from sweettok_cli.pipeline.dataset import DataSet, Settings
from sweettok_cli.pipeline.folder import encode_job
from sweettok_cli.pipeline.helper_process import Said, sendable
from sweettok_cli.pipeline.manifest import Manifest, journal_in, journals
from sweettok_cli.pipeline.plan import Job
from sweettok_cli.pipeline.row import Row
from sweettok_cli.pipeline.share import Share
from sweettok_cli.runtime import let_waiting_threads_sleep, use_one_blas_thread, use_one_heap

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer

#: How many processes a source may end before it is given up.
MOST_ENDED = 2


@dataclass(frozen=True)
class Orders:
    """What every actor of a run is told.

    Attributes:
        load: gives the model.
        settings: how sources are encoded.
        folder: of the data set, which all machines share.
        share: whose manifest whoever asks has opened there.
        run: hexadecimal, of this run alone.
        threads: of the network, and of decoders.
        here: folder that names are relative to; None where none is.
        typed: whether options are spelt as on the command line.
    """

    load: Callable[[], Tokenizer]
    settings: Settings
    folder: Path
    share: Share
    run: str
    threads: int
    here: str | None
    typed: bool


@dataclass(frozen=True)
class Told:
    """What an actor says of a source.

    Attributes:
        result: what became of it; None where another program is at it.
        row: for the manifest, where that has changed.
        said: what was logged meanwhile.
        unable: why no source can be encoded.
    """

    result: Result | None = None
    row: Row | None = None
    said: tuple[tuple[str, int, str], ...] = ()
    unable: Exception | None = None


class Actor:
    """An actor of Ray Data: a row with a source in, a row with what became of it out."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._stack = ExitStack()
        self._at_work: _AtWork | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """``place`` and ``job`` in, ``place`` and ``told`` out."""
        return {"place": row["place"], "told": pickle.dumps(self._told(pickle.loads(row["job"])))}

    def _told(self, job: Job) -> Told:
        if self._at_work is None:
            try:
                if self._orders.typed:
                    self._stack.enter_context(on_command_line())
                self._at_work = _AtWork(self._orders, self._stack)
            except Exception as error:
                self._stack.close()
                return Told(unable=sendable(error))
        try:
            return self._at_work.done(job)
        except Exception as error:  # a journal that cannot be written, or nothing that a source can do
            return Told(unable=sendable(error))


class _AtWork:
    """An actor that has its model. It is an :class:`~sweettok_cli.pipeline.dataset.Engine`."""

    def __init__(self, orders: Orders, stack: ExitStack) -> None:
        let_waiting_threads_sleep()
        use_one_blas_thread()
        use_one_heap()
        self._orders = orders
        _go_there(orders)
        self._said = Said()
        logging.getLogger("sweettok_cli").addHandler(self._said)
        import torch

        from sweettok_cli.video.decoding import limit_threads

        torch.set_num_threads(orders.threads)
        limit_threads(orders.threads)
        self._tokenizer = orders.load()
        if self._tokenizer.spec.weights_sha256 != orders.settings.spec.weights_sha256:
            raise SweettokError(
                f"{self._tokenizer.spec.name} has other weights on {platform.node()} than where the command "
                "was started; name a model folder that all machines share."
            )
        self._ended = _ended_at(orders)
        self._run = {*journals(orders.folder, orders.run)}
        self._journal = journal_in(orders.folder, orders.run, uuid.uuid4().hex)
        stack.enter_context(claimed(self._journal))
        self._manifest = stack.enter_context(Manifest(orders.folder, journal=self._journal))
        self._data = DataSet(self._manifest, orders.settings)

    def done(self, job: Job) -> Told:
        """Encode a source, unless that turns out to be done."""
        result = self._data.one(job, self)
        if result is None:
            return Told()
        name = self._name(job)
        file = self._manifest.file_of(name)
        row = self._manifest.row(name) if file == self._journal or file in self._run else None
        if row is not None and row.status == "begun":
            row = None
        if row is not None and file in self._run:
            result = _as_told(job, row)
        if result.error is not None:
            result = replace(result, error=sendable(result.error))
        return Told(result, row, tuple(self._said.taken()))

    def encode(self, job: Job) -> Result:
        """As :meth:`Engine.encode`; what has ended processes before is not tried again."""
        if self._ended[self._name(job)] >= MOST_ENDED:
            error = SweettokError(
                f"{job.source} ended the processes that encoded it, {MOST_ENDED} of them; try it by itself, "
                f"or with fewer processes ({option('workers', 'N')}): there may have been too little memory."
            )
            return Result(job.source, job.output, "failed", error)
        return encode_job(job, self._tokenizer, force=True, **self._orders.settings.options)

    def _name(self, job: Job) -> str:
        return job.output.relative_to(self._orders.folder).as_posix()


def _go_there(orders: Orders) -> None:
    """Make names mean what they mean where the command was started."""
    node = platform.node()
    if orders.here is not None:
        try:
            os.chdir(orders.here)
        except OSError as error:
            raise SweettokError(
                f"{orders.here} cannot be entered on {node} ({error.strerror}); sources and the folder to "
                "write into must lie where all machines of the cluster have them, by the same names."
            ) from error
    if not orders.share.manifest_in(orders.folder).exists():
        raise SweettokError(
            f"{orders.folder} is another folder on {node} than where the command was started; give one with "
            "-o that all machines of the cluster share."
        )


def _ended_at(orders: Orders) -> Counter[str]:
    """How many processes of this run ended while they made a token file, by its name."""
    ended: Counter[str] = Counter()
    for path in journals(orders.folder, orders.run):
        with claimed(path) as over:
            lines = path.read_bytes().splitlines() if over and path.exists() else []
        last = Row.read(lines[-1]) if lines else None
        if last is not None and last.status == "begun":
            ended[last.output] += 1
    return ended


def _as_told(job: Job, row: Row) -> Result:
    """What an actor that has ended would have told of a source."""
    from sweettok_cli.packing.token_file import read_meta

    if row.status == "failed":
        return Result(job.source, job.output, "failed", SweettokError(row.error))
    return Result(job.source, job.output, "done", None, read_meta(job.output), row.seconds)
