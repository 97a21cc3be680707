"""Checkpoints: what changes while a run goes on, and folders that hold all of it and appear whole."""

from __future__ import annotations

import pickle
import random
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import settle
from sweettok_cli.storage.torch_file import load_torch
from sweettok_cli.training.ema import EMA
from sweettok_cli.training.task import Step, Task

#: Of a run's state, what a checkpoint keeps as it is.
_PLAIN = ("step", "seconds", "sums", "counted")


@dataclass
class State:
    """All that changes while a run goes on, besides the generators of random numbers."""

    task: Task
    trained: nn.Module  # the task's model as Accelerate wraps it
    optimizers: dict[str, Any]
    parameters: dict[str, list[nn.Parameter]]  # what each optimizer learns
    averaged: EMA
    step: int = 0
    seconds: float = 0.0
    sums: dict[str, Tensor] = field(default_factory=dict)  # of losses and measures since the last line, and
    # of how many; by name
    counted: int = 0
    position: dict[str, Any] = field(default_factory=dict)  # in the data, when it was saved

    @torch.no_grad()
    def count(self, found: Step, loss: Tensor) -> None:
        """Add up what the log will average, without waiting for the device."""
        terms: dict[str, Tensor] = {}
        for optimizer, losses in found.losses.items():
            prefix = f"{optimizer}/" if len(self.optimizers) > 1 else ""
            terms |= {f"{prefix}{name}": value for name, value in losses.items()}
        one = torch.ones_like(loss)
        for name, value in {**terms, "loss": loss, **found.measures}.items():
            counted = torch.stack([value.detach().to(loss.dtype), one])
            self.sums[name] = self.sums.get(name, torch.zeros_like(counted)) + counted

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "model": self.task.model.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "averaged": self.averaged.state_dict(),
            "critics": {name: critic.state_dict() for name, critic in self.task.critics.items()},
            "task": self.task.state_dict(),
            "position": self.position,
            **{name: getattr(self, name) for name in _PLAIN},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint.

        Raises:
            SweettokError: it was written by a program that kept something else.
        """
        if state.get("optimizers", {}).keys() != self.optimizers.keys():
            raise SweettokError(
                "The checkpoint was written by another version of sweettok, or by a recipe with other "
                "optimizers; start a new run with --init and the run's model folder."
            )
        self.task.model.load_state_dict(state["model"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.averaged.load_state_dict(state["averaged"])
        for name, critic in self.task.critics.items():
            critic.load_state_dict(state["critics"][name])
        self.task.load_state_dict(state["task"])
        for name in _PLAIN:
            setattr(self, name, state[name])
        self.position = state.get("position", {})
        # Older checkpoints did not say of how many a sum is.
        self.sums = {name: value for name, value in self.sums.items() if value.ndim}


_STATE, _RNG = "state.pt", "rng-{rank}.pt"


def random_state() -> dict[str, Any]:
    """Global generators of this process. Batches need none: they are functions of seed and batch number."""
    version, words, gauss = random.getstate()
    state: dict[str, Any] = {"python": [version, list(words), gauss], "torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Put back what :func:`random_state` returned; a generator of a device that is absent now is left out."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


class CheckpointStore:
    """The folder ``checkpoints`` of a run: one folder a checkpoint, named by its step."""

    def __init__(self, folder: Path, keep: int):
        self.folder, self.keep = folder, keep

    def steps(self) -> list[int]:
        """Steps of the checkpoints that are there, oldest first."""
        names = (p.name for p in self.folder.iterdir()) if self.folder.is_dir() else ()
        return sorted(int(name) for name in names if re.fullmatch(r"\d{8}", name))

    def processes(self) -> int:
        """How many wrote the newest one."""
        return len([*self.path(self.steps()[-1]).glob(_RNG.format(rank="*"))])

    def path(self, step: int) -> Path:
        """Folder of the checkpoint after ``step`` steps."""
        return self.folder / f"{step:08d}"

    def save(self, step: int, state: dict[str, Any], generators: Sequence[dict[str, Any]]) -> None:
        """Write the shared state and every rank's generators, visible in one move; remove the oldest."""
        partial, final = self.folder / f".{step:08d}.partial", self.path(step)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            for rank, generator in enumerate(generators):
                _save(generator, partial / _RNG.format(rank=rank))
            _save(state, partial / _STATE)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        if final.exists():  # the same step saved again, say after --resume with nothing left to do
            shutil.rmtree(final)
        partial.rename(final)
        for old in self.steps()[: -self.keep]:
            shutil.rmtree(self.path(old))

    def clean(self) -> None:
        """Remove what a killed run left half-written."""
        for partial in self.folder.glob(".*.partial"):
            shutil.rmtree(partial)

    def load(self, device: torch.device, rank: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The newest checkpoint: shared state and this rank's generators.

        Raises:
            SweettokError: there is none, it is damaged, or it was written with fewer processes.
        """
        steps = self.steps()
        if not steps:
            raise SweettokError(f"{self.folder} holds no checkpoint to resume from; start without --resume.")
        folder, ranks = self.path(steps[-1]), self.processes()
        if 0 < ranks <= rank:
            raise SweettokError(
                f"The checkpoint {folder} was written by {ranks} process{'es' * (ranks != 1)}; resume with "
                "as many, or fewer."
            )
        try:
            state = load_torch(folder / _STATE, device=device)
            rng = load_torch(folder / _RNG.format(rank=rank))
        except (OSError, pickle.UnpicklingError) as error:
            raise SweettokError(
                f"Cannot read the checkpoint {folder} ({error}); delete it to go on from an older one."
            ) from error
        return state, rng


def _save(value: dict[str, Any], path: Path) -> None:
    with open(path, "wb") as stream:
        torch.save(value, stream)
        settle(stream)
