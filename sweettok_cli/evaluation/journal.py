"""What a run has measured so far, on the disk: an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np
from filelock import FileLock, Timeout

from sweettok_cli.data.datasets import Item
from sweettok_cli.data.frames import files_of
from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.json_object import JsonObject
from sweettok_cli.evaluation.plan import Plan
from sweettok_cli.evaluation.results import ClipResult
from sweettok_cli.files import atomic_output, settle
from sweettok_cli.runtime import __version__, versions

_LINES = "items.jsonl"

Line = TypeVar("Line", bound=JsonObject)
Kept = TypeVar("Kept", bound="Lines[Any]")


@contextmanager
def open_journal(
    kind: type[Kept], folder: Path | None, key: str, fresh: bool, warn: Callable[[str], None]
) -> Iterator[Kept]:
    """The journal in ``folder``, or (None) in ``$XDG_CACHE_HOME/sweettok/eval``.

    Where that cache cannot be written, it is one for this run only, and ``warn`` is told.

    Raises:
        SweettokError: ``folder`` cannot be written, or another run is writing there.
    """
    with ExitStack() as stack:
        try:
            cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
            place = folder or Path(cache).expanduser() / "sweettok" / "eval"
            journal = kind(place, key, fresh)
            stack.enter_context(journal)
        except SweettokError as error:
            if folder is not None:
                raise
            warn(f"{error} If this run is interrupted, it starts over.")
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sweettok-eval-")))
            journal = kind(place, key)
            stack.enter_context(journal)
            journal.lasting = False
        yield journal


class Lines(Generic[Line]):
    """One JSON line for each item that was measured, and beside it the item's arrays (.npz).

    What a run depends on makes its key, a part of the folder's name: a run with another model, protocol,
    metric or version never reads these lines. An item counts as measured if its file has not changed since.
    A line is written after the arrays, in one piece, and the next item begins only when it is on the disk; a
    line that a kill has cut off, or that is not of :attr:`kind`, is dropped.

    Used as a context: one run at a time may write.

    Attributes:
        kind: what a line is, a class with ``from_json``.

    Args:
        folder: of all journals.
        key: from :func:`run_key`.
        fresh: forget what was measured before.

    Raises:
        SweettokError: the folder cannot be written, or another run is writing (on entering the context).
    """

    kind: type[Line]

    def __init__(self, folder: Path, key: str, fresh: bool = False) -> None:
        self.folder = folder / key[:24]
        self._lock = FileLock(folder / f"{key[:24]}.lock")
        self.lasting = True  # whether another run finds it
        self._fresh = fresh
        self._clips: dict[str, Line] = {}

    def __enter__(self) -> Self:
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            if self._fresh:
                shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(exist_ok=True)
            self._clips = self._read()
        except Timeout:
            raise SweettokError(
                f"The same measurement is running already and keeps its journal in {self.folder}; wait for "
                "it, or name another folder with --journal."
            ) from None
        except OSError as error:
            raise SweettokError(
                f"The journal {self.folder} cannot be written ({error.strerror}); name another folder with "
                "--journal."
            ) from error
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()
        if not self.folder.exists():
            Path(self._lock.lock_file).unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._clips)

    def get(self, key: str) -> Line | None:
        """What was measured of an item, or None."""
        return self._clips.get(key)

    def write(self, key: str, clip: Line, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep what was measured of an item, under the key from :func:`item_key`; arrays by name.

        Raises:
            SweettokError: the disk is full.
        """
        with atomic_output(self._arrays(key), force=True) as part:
            np.savez_compressed(part, **arrays)  # type: ignore[arg-type]
        # Floats come back from JSON as they were.
        line = json.dumps({"key": key, **clip.to_json()}, allow_nan=False)
        try:
            with (self.folder / _LINES).open("ab") as stream:
                stream.write(line.encode("utf-8", "surrogateescape") + b"\n")
                settle(stream)
        except OSError as error:
            raise SweettokError(
                f"The journal {self.folder} cannot be written ({error.strerror}); free some space and start "
                "again: what was measured before is kept."
            ) from error
        self._clips[key] = clip

    def arrays(self, key: str, prefix: str = "") -> dict[str, np.ndarray]:
        """The arrays of an item whose names begin with ``prefix``, by the rest of the name."""
        with np.load(self._arrays(key), allow_pickle=False) as file:
            return {name[len(prefix) :]: file[name] for name in file.files if name.startswith(prefix)}

    def discard(self) -> None:
        """Remove it all: the run is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _arrays(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def _read(self) -> dict[str, Line]:
        path = self.folder / _LINES
        if not path.exists():
            return {}
        whole, clips = [], {}
        content = path.read_bytes()
        for line in content.splitlines(keepends=True):
            try:
                row = json.loads(line.decode("utf-8", "surrogateescape"))
                key = row.pop("key")
                clip = self.kind.from_json(row)
            except (ValueError, KeyError, AttributeError):
                continue
            if line.endswith(b"\n") and self._arrays(key).exists():
                whole.append(line)
                clips[key] = clip
        if b"".join(whole) != content:
            # A line that a kill cut off must not run into the next one.
            with atomic_output(path, force=True) as part:
                part.write_bytes(b"".join(whole))
        return clips


class Journal(Lines[ClipResult]):
    """Of clips and what became of them."""

    kind = ClipResult


_LAYOUT = 4
"""Of the journal's lines and arrays; another number makes older journals those of another run."""


def run_key(plan: Plan) -> str:
    """SHA-256 of the data, and of everything else that the measurement of one item depends on."""
    return digest(
        {
            "layout": _LAYOUT,
            # By its place, not its files: those that come and go leave the others measured.
            "data": [plan.data.name, plan.data.split, os.fsdecode(plan.data.root.resolve())],
            "versions": {"sweettok": __version__} | versions(),
            "protocol": plan.protocol.to_json(),
            "methods": [[each.name, each.kind, each.describe()] for each in plan.methods],
            "metrics": [metric.definitions for metric in plan.chosen.metrics],
            "set_metrics": [[metric.name, metric.definition] for metric in plan.chosen.set_metrics],
            "curves": plan.curves,
        }
    )


def digest(facts: Mapping[str, Any]) -> str:
    """SHA-256 of plain values, whatever their order."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def item_key(item: Item) -> str:
    """Changes with the item's name, how it is read, and its file: length and time of the last change."""
    states = []
    for path in files_of(item):
        with suppress(OSError):  # what cannot be read fails when it is measured, and says why
            state = path.stat()
            states.append([path.name, state.st_size, state.st_mtime_ns])
    chosen = {"rate": item.rate, "keep_going": item.keep_going, "strict": item.strict}
    given = {key: str(value) for key, value in chosen.items() if value}
    return digest({"name": item.name, "label": item.label, "files": states, **given})[:32]
