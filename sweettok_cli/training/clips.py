"""Tasks that learn from clips and are judged by pictures: where clips come from, samples, validation."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sweettok_cli.data.clips import Entry, find_entries
from sweettok_cli.data.sampler import Sampler, hold_out
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.samples import SampleGrid, validation_psnr
from sweettok_cli.training.task import Task


class ClipTask(Task):
    """A task whose network gives clips back; the recipe says how they are cut, and which are looked at."""

    sampler: Sampler  # the batches of this process
    device: torch.device  # on which the network computes

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._held_out: list[Entry] = []
        self._validates = False
        self._grid: SampleGrid | None = None

    @property
    @abstractmethod
    def multiple(self) -> int:
        """Sides of frames that the network is given are multiples of this many pixels."""

    @abstractmethod
    def reconstruct(self, weights: nn.Module, frames: np.ndarray) -> np.ndarray:
        """Clips, uint8 RGB [b, t, h, w, 3], through the network and back."""

    def batches(self, data: Sequence[Path], val: Path | None, rank: int, ranks: int) -> Sampler:
        """As :meth:`Task.batches`: folders of clips and pictures, tar shards."""
        entries = find_entries(data)
        self._validates = val is not None and self.recipe.validate_every > 0
        if val is not None:
            self._held_out = find_entries([val])[: self.recipe.validate_clips]
        else:
            self._held_out, entries = hold_out(entries, self.recipe.hold_out, self.recipe.seed)
        self.sampler = Sampler(entries, self.recipe.sampling, rank, ranks)
        return self.sampler

    def on_device(self, frames: np.ndarray) -> Tensor:
        """uint8 frames of a batch on the task's device."""
        return torch.from_numpy(np.ascontiguousarray(frames)).to(self.device, non_blocking=True)

    def figures(self, means: dict[str, float]) -> dict[str, Any]:
        """PSNR in dB of the clips learned from, out of the mean squared error ``mse`` of values in [0, 1]."""
        return {"psnr": round(-10 * math.log10(max(means.pop("mse"), 1e-10)), 3)}

    def samples(self, weights: nn.Module, path: Path) -> None:
        """As :meth:`Task.samples`: a grid of source | result."""
        if not self._held_out:
            return
        if self._grid is None:
            side = int(max(side for side, _, _ in self.recipe.crop))
            shown = self._held_out[: max(1, self.recipe.hold_out)]
            self._grid = SampleGrid(shown, self.recipe.frames, side, self.multiple)
        self._grid.draw(partial(self.reconstruct, weights), path.with_suffix(".png"))

    def validate(self, weights: nn.Module) -> dict[str, Any] | None:
        """As :meth:`Task.validate`: PSNR in dB, of :func:`~sweettok_cli.training.samples.validation_psnr`."""
        if not self._validates:
            return None
        reconstruct = partial(self.reconstruct, weights)
        psnr = validation_psnr(self._held_out, self.recipe.frames, self.multiple, reconstruct)
        return {"psnr": psnr, "clips": len(self._held_out)}
