"""What a run trains, seen from the loop: the interface between the two.

The loop knows seeds, steps, devices, optimizers, averages, checkpoints and the log. A task knows networks,
losses and what of them is worth looking at. A new thing to train is a new task; the loop stays as it is.
"""

from __future__ import annotations

import math
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sweettok_cli.data.loader import Numbered
from sweettok_cli.training.log import Voice
from sweettok_cli.training.recipe import Recipe

#: By optimizer, then by name: weighted terms whose sum that optimizer minimises, scalar tensors.
Losses = Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True)
class Kind:
    """Batches of one size, for a forecast of what a step of them takes.

    Attributes:
        title: e.g. "8 of 17x64x64".
        samples: of a batch.
        sample_bytes: of a sample.
        made_up: such a batch of any number of samples, without data.
    """

    title: str
    samples: int
    sample_bytes: int
    made_up: Callable[[int], Any]


class Batches(Numbered, Protocol):
    """Where batches come from: any of them can be asked for at any time, so that no position needs saving."""

    def batch(self, number: int) -> Any:
        """Batch ``number`` (0, 1, ...) of this process; a pure function of seed, number and process.

        Its ``clips`` names what it was made from, its length is how many samples it has. Called by threads
        that run ahead of the loop.
        """

    def describe(self) -> str:
        """How much there is, e.g. "671 clips"."""

    def passes(self, steps: int) -> float:
        """How often so many steps are expected to go through all that there is."""

    def position(self, number: int) -> dict[str, Any]:
        """Where batch ``number`` begins: ``batch``, ``epoch``, ``clips``, and a ``digest`` of the data."""


@dataclass(frozen=True)
class Step:
    """What one pass of a task gives the loop: what is minimised, and what else is logged.

    With several optimizers the gradient of each sum reaches that optimizer's parameters only, whatever else
    the terms depend on; one without a sum rests in this step.
    """

    losses: Losses
    measures: Mapping[str, Tensor]  # further scalar tensors to be averaged for the log, e.g. a squared error


class Task(ABC):
    """One thing to train.

    The loop calls :meth:`batches`, :meth:`build`, :meth:`parameter_groups`, then :meth:`losses` for every
    batch, and now and then :meth:`figures`, :meth:`samples`, :meth:`validate` and :meth:`export`. The wrapped
    model computes under autocast where the recipe says so, and answers in float32. Everything of a task that
    changes while it trains is in :attr:`model`, in :attr:`critics` or in :meth:`state_dict`.
    """

    title: str  # for the log, e.g. "stage 2, both halves on clips"
    recipe: Recipe  # with the network as it is, once :meth:`build` or :meth:`resume` is over
    model: nn.Module  # what a checkpoint keeps and several processes share; made by :meth:`build`
    #: Networks that learn beside :attr:`model` and are neither averaged nor exported, by name; made by
    #: :meth:`build` and :meth:`resume`. Of several processes, the loop averages their gradients.
    critics: Mapping[str, nn.Module] = MappingProxyType({})
    unused_parameters: bool = False  # whether parameters that learn may get no gradient in some steps

    @property
    def helpers(self) -> Mapping[str, nn.Module]:
        """Networks that do not learn and help :attr:`model` to, by name."""
        return {}

    @property
    def validation_steps(self) -> float:
        """How many steps take about as long as :meth:`validate`."""
        return 0.0

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Of the data that could not be read so far: why, by name."""
        return {}

    @abstractmethod
    def batches(self, data: Sequence[Path], val: Path | None, rank: int, ranks: int, voice: Voice) -> Batches:
        """Find the data (folders, shards, files) of process ``rank`` of ``ranks``.

        ``val`` is only looked at; None holds some of the data out.

        Raises:
            SweettokError: there are none, or they cannot be read.
        """

    def found(self) -> dict[str, Any]:
        """What there is of data, once they are found: numbers by name."""
        return {}

    def kinds(self) -> Iterable[Kind]:
        """The sizes of batches that it learns from, once it is built."""
        return ()

    @abstractmethod
    def build(self, device: torch.device, voice: Voice, until: float = math.inf) -> None:
        """Make :attr:`model` on the device, in training mode, as it is before the first step.

        What does not learn has no gradient and is in evaluation mode. What can be shortened ends ``until``
        then, on the clock of :func:`time.perf_counter`.

        Raises:
            SweettokError: what it is to be made from is missing or does not fit.
        """

    @abstractmethod
    def resume(self, device: torch.device, exported: Path, model: Mapping[str, Tensor]) -> None:
        """As :meth:`build`, for a run that goes on; the loop fills in the weights.

        Given are the model folder that :meth:`export` wrote, and the checkpoint's state of :attr:`model`.
        """

    @abstractmethod
    def parameter_groups(self) -> Mapping[str, Iterable[tuple[str, nn.Parameter]]]:
        """What each optimizer learns: its name, and dotted names with parameters, in a fixed order."""

    def begin(self, optimizer: str) -> int:
        """The step from which on an optimizer learns, with a warm-up and a cosine of its own."""
        return 0

    def warmup(self, optimizer: str) -> int:
        """Steps over which an optimizer's learning rate rises."""
        return self.recipe.warmup

    @abstractmethod
    def losses(self, model: nn.Module, batch: Any, step: int) -> Step:
        """One pass over a batch of :meth:`batches`, after ``step`` optimizer steps.

        To be called is ``model``: :attr:`model`, wrapped for several processes or compiled.
        """

    @abstractmethod
    def figures(self, means: dict[str, float]) -> dict[str, Any]:
        """What the log says beside losses; takes its measures out of ``means``, averages by name."""

    def cautions(self) -> list[str]:
        """What a user should know about this task before its first step, once it is built."""
        return []

    def samples(self, weights: nn.Module, path: Path, step: int) -> list[Path]:
        """Draw what the averaged ``weights`` of ``step`` make of examples; returns the files.

        ``path`` is a name without an ending.
        """
        return []

    def validate(self, weights: nn.Module) -> dict[str, Any] | None:
        """Figures of the averaged ``weights`` on what is held out; None if none.

        The leading one comes first; the higher it is, the better.
        """
        return None

    def measured_by(self, model: Path, val: str | None) -> str:
        """What to do to measure a model on what is held out, where a run had no time left for it."""
        what = shlex.join(["sweettok", "eval", val or "DIR"])
        return f"measure with: {what} --model {shlex.quote(str(model))}"

    @abstractmethod
    def export(self, folder: Path, weights: nn.Module, name: str) -> None:
        """Write the averaged ``weights`` as a model folder of this name, whole or not at all."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps beside :attr:`model`."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027  most keep nothing
        """Continue with it."""
