"""A run's folder: recipe.toml, run.json, log.jsonl, samples/, checkpoints/, model/, best/, and a lock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from sweettok_cli.data.runs import RECIPE_FILE, SAMPLES
from sweettok_cli.errors import SweettokError
from sweettok_cli.files import WriteError, atomic_output, restore_folder, swap_folder
from sweettok_cli.training.checkpoint import CheckpointStore
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.recipe_file import resumed_with
from sweettok_cli.training.record import RunRecord, read_record


class RunFolder:
    """The folder of one run. Nothing in it is touched before :meth:`open`."""

    def __init__(self, path: Path, resume: bool, keep: int):
        self.path, self.resume = path, resume
        self.log, self.samples, self.model = path / "log.jsonl", path / SAMPLES, path / "model"
        self.best = path / "best"  # the model with the best validation
        self.checkpoints = CheckpointStore(path / "checkpoints", keep)
        self._lock = FileLock(path / ".lock")
        self._made: list[Path] = []  # folders that were not there before, the innermost first
        self._opened = False
        self._old_best = path / ".best.old.partial"

    def check(self, recipe: Recipe, processes: int) -> list[str]:
        """Find out before anything slow whether the run may write here; returns what --resume changes.

        ``processes`` train together.

        Raises:
            SweettokError: it may not, there is nothing to resume or something to replace, another training
                writes here, or the recipe does not fit the checkpoint.
        """
        out = self.path
        if out.exists() and not out.is_dir():
            raise SweettokError(f"{out} is a file; name a folder for the run with --out.")
        there = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
        if not there.is_dir():
            raise SweettokError(f"{there} is a file, not a folder; choose another --out.")
        if self.resume and not self.checkpoints.steps():
            raise SweettokError(f"{out} holds no checkpoint to resume from; start without --resume.")
        if self.checkpoints.steps() and not self.resume:
            raise SweettokError(f"{out} holds a run already; pass --resume to continue it or another --out.")
        if not os.access(there, os.W_OK | os.X_OK):
            raise SweettokError(f"Cannot write into {there} (Permission denied); choose another --out.")
        if out.is_dir():
            self._hold()
        if not self.resume:
            return []
        record = read_record(out)
        before = processes if record is None else record.processes or processes
        changed = f"processes: {before} -> {processes}, and with them the samples of a step and their order"
        return [*([changed] if before != processes else []), *resumed_with(out, recipe)]

    def look(self, recipe: Recipe, processes: int) -> list[str]:
        """As :meth:`check`, and leave everything as it is."""
        lock = Path(self._lock.lock_file)
        there = lock.exists()
        try:
            return self.check(recipe, processes)
        finally:
            self.release()
            if not there:
                lock.unlink(missing_ok=True)

    def open(self, recipe: Recipe | None, record: RunRecord) -> None:
        """Make the folder, once all that the run goes on from has been read; remove what killed runs left.

        No ``recipe`` is that of a run which has no step left: the one that is there stays, and its record.

        Raises:
            SweettokError: it cannot be written.
        """
        out = self.path.absolute()
        self._made = [folder for folder in (out, *out.parents) if not folder.exists()]
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._hold()
            self._clean()
            if recipe is not None:
                with atomic_output(out / RECIPE_FILE, force=True) as part:
                    part.write_text(recipe.as_toml(), encoding="utf-8")
                record.write(out)
            self._opened = True
        except OSError as error:
            raise SweettokError(
                f"Cannot write {self.path} ({error.strerror or error}); choose another --out."
            ) from error

    def check_there(self) -> None:
        """Find out whether the folder is still what :meth:`open` made of it.

        Raises:
            SweettokError: somebody removed it.
        """
        if self._opened and not (self.path / RECIPE_FILE).is_file():
            raise SweettokError(
                f"{self.path} was removed while the run wrote there, with all that it had saved; start again."
            )

    @contextmanager
    def written(self) -> Iterator[None]:
        """Around what writes files by writers that raise no OSError.

        Raises:
            WriteError: they failed.
        """
        try:
            yield
        except (RuntimeError, SafetensorError) as error:
            raise WriteError(self.path, OSError(str(error))) from error

    def unwritten(self, error: OSError | WriteError) -> SweettokError:
        """What to say where something of the run could not be written, and where it goes on.

        Raises:
            SweettokError: somebody removed the folder.
        """
        self.check_there()
        why = error.reason if isinstance(error, WriteError) else error.strerror or error
        saved = self.checkpoints.steps()
        how = f"go on from step {saved[-1]} with --resume" if saved else "start again"
        return SweettokError(f"Cannot write into {self.path} ({why}); free some space, then {how}.")

    @contextmanager
    def best_replaced(self) -> Iterator[Path]:
        """Where to write a model that takes the place of :attr:`best` in one move."""
        made = self.path / ".best.partial"
        shutil.rmtree(made, ignore_errors=True)
        try:
            yield made / self.best.name
            swap_folder(made / self.best.name, self.best, self._old_best)
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def discard(self) -> None:
        """Leave nothing of a run that did not come to its first step, where this run made the folder."""
        for folder in self._made[:1]:
            shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # others may have put something there
            for folder in self._made[1:]:
                folder.rmdir()

    def release(self) -> None:
        """Let others write here."""
        self._lock.release()

    def _hold(self) -> None:
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise SweettokError(
                f"Another training writes to {self.path}; wait for it, or choose another --out."
            ) from None
        except OSError as error:
            raise SweettokError(
                f"Cannot write into {self.path} ({error.strerror or error}); choose another --out."
            ) from error

    def _clean(self) -> None:
        """Remove what a killed run left half-written; the lock keeps living ones away."""
        self.checkpoints.clean()
        restore_folder(self.best, self._old_best)
        for partial in self.path.glob(".*.partial"):
            shutil.rmtree(partial)
        for folder in (self.path, self.samples, self.model):
            for part in folder.glob(".*.part.*"):
                part.unlink()


def other_data(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """What to say of a run that goes on with other data than its checkpoint's, by its position in both."""
    if before.get("digest", now["digest"]) == now["digest"]:
        return None
    clips = f"{before['clips']} clips -> {now['clips']}"
    return (
        f"the data are others than at batch {before['batch']}, in epoch {before['epoch']:.2f}, where the run "
        f"was saved ({clips}); their order is another one, and some are seen again before others"
    )


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Where to write a model; an older one in ``folder`` stays until the new one is whole.

    The files are written beside ``folder`` and moved into it one after the other, at once.
    """
    beside = folder.parent / f".{folder.name}.partial"
    shutil.rmtree(beside, ignore_errors=True)  # of a run that was killed
    try:
        made = beside / folder.name
        yield made
        if folder.exists():
            for file in sorted(made.iterdir()):
                file.replace(folder / file.name)
        else:
            made.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
