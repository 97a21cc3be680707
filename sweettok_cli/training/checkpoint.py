"""Checkpoints: folders that hold a run's state and appear whole."""

from __future__ import annotations

import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import torch

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import settle
from sweettok_cli.storage.torch_file import load_torch

_STATE = "state.pt"
_DAMAGED = ".damaged"


class CheckpointStore:
    """The folder ``checkpoints`` of a run: one folder a checkpoint, named by its step."""

    def __init__(self, folder: Path, keep: int):
        self.folder, self.keep = folder, keep
        self._unread: list[int] = []  # steps of those that could not be read

    def steps(self) -> list[int]:
        """Steps of the checkpoints that are there, oldest first."""
        names = (p.name for p in self.folder.iterdir()) if self.folder.is_dir() else ()
        return sorted(int(name) for name in names if re.fullmatch(r"\d{8}", name))

    def path(self, step: int) -> Path:
        """Folder of the checkpoint after ``step`` steps."""
        return self.folder / f"{step:08d}"

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write a state, visible in one move; remove the oldest."""
        partial, final = self.folder / f".{step:08d}.partial", self.path(step)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            with open(partial / _STATE, "wb") as stream:
                torch.save(state, stream)
                settle(stream)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        if final.exists():  # the same step saved again, say after --resume with nothing left to do
            shutil.rmtree(final)
        partial.rename(final)
        for old in self.steps()[: -self.keep]:
            shutil.rmtree(self.path(old))

    def clean(self) -> None:
        """Remove what a killed run left half-written, and put aside what could not be read."""
        for partial in self.folder.glob(".*.partial"):
            shutil.rmtree(partial)
        for step in self._unread:
            aside = self.path(step).with_suffix(_DAMAGED)
            shutil.rmtree(aside, ignore_errors=True)
            self.path(step).rename(aside)

    def load(self, device: torch.device) -> tuple[dict[str, Any], list[str]]:
        """The newest state that can be read, and a sentence for each newer one.

        Raises:
            SweettokError: there is none, or none can be read.
        """
        steps, failures = self.steps(), list[str]()
        if not steps:
            raise SweettokError(f"{self.folder} holds no checkpoint to resume from; start without --resume.")
        self._unread = []
        for step in reversed(steps):
            try:
                state = load_torch(self.path(step) / _STATE, device=device)
            except (OSError, pickle.UnpicklingError) as error:
                failures.append(f"The checkpoint {self.path(step)} cannot be read ({error})")
                self._unread.append(step)
                continue
            return state, [f"{why}; it is called {_DAMAGED} now, and step {step} goes on" for why in failures]
        how = f"start again, or from {self.folder.parent / 'model'} with --init"
        raise SweettokError(f"{failures[0]}, and no older one either; {how}.")
