"""One step of every optimizer, of however many batches and processes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.training import draws
from sweettok_cli.training.collective import average_gradients
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.state import State
from sweettok_cli.training.task import Task


class NotFiniteError(SweettokError):
    """A step that the weights must not take in."""

    def told(self, saved: int) -> SweettokError:
        """The same with what to do, from the newest checkpoint, after ``saved`` steps; -1 is none."""
        changed = "a smaller --set lr, with --set precision=fp32, or without those clips"
        if saved < 0:
            return SweettokError(f"{self}; start again with {changed}.")
        return SweettokError(
            f"{self}; go on from step {saved}: --resume with {changed}; if that fails again, start a new run "
            "from an earlier model with --init."
        )


@dataclass(frozen=True)
class Descent:
    """What takes steps: the losses of a task, their gradients, and the optimizers of a state."""

    task: Task
    recipe: Recipe
    state: State
    accelerator: Accelerator

    def step(self, batches: Iterator[tuple[Any, float]]) -> tuple[Tensor, float]:
        """Learn from the next batches; returns the gradient's norm and the seconds waited for data.

        Raises:
            NotFiniteError: a loss or gradient is no number; nothing has changed.
        """
        state, recipe = self.state, self.recipe
        taken: list[str] = []
        figures: list[dict[str, Tensor]] = []
        total, waited = torch.zeros((), device=self.accelerator.device), 0.0
        for part in range(recipe.accumulate):
            batch, wait = next(batches)
            taken += batch.clips
            waited += wait
            draws.begin(recipe.seed, state.step * recipe.accumulate + part)
            with self._exchange(last=part == recipe.accumulate - 1):
                found = self.task.losses(state.trained, batch, state.step)
                sums = {name: torch.stack(list(terms.values())).sum() for name, terms in found.losses.items()}
                self._backward({name: loss / recipe.accumulate for name, loss in sums.items()})
            loss = torch.stack(list(sums.values())).sum().detach()
            total = total + loss
            figures.append(state.figures(found, loss))
        for critic in self.task.critics.values():
            average_gradients(critic.parameters())
        norms = [self._clip(learned) for learned in state.parameters.values()]
        norm = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))
        # The one wait for the device in a step: weights must not take in what is not a number. All processes
        # have the same norm, but each its own loss.
        judged = norm if self.accelerator.num_processes > 1 else total + norm
        if not math.isfinite(judged.item()):
            what = "loss" if not math.isfinite(total.item()) else "gradient"
            where = f"step {state.step + 1} is not finite on the clips {', '.join(taken)}"
            raise NotFiniteError(f"The {what} of {where}")
        for optimizer in state.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        for one in figures:
            state.count(one)
        state.averaged.update(self.task.model, state.step)
        state.step += 1
        state.counted += 1
        return norm, waited

    def _exchange(self, last: bool) -> AbstractContextManager[Any]:
        """Around a batch: processes give each other gradients after the ``last`` one of a step alone."""
        if last:
            return nullcontext()
        if not self.state.sharded:
            return self.accelerator.no_sync(self.state.trained)
        from sweettok_cli.training.sharding import unsynced

        return unsynced(self.task.model)

    def _backward(self, sums: dict[str, Tensor]) -> None:
        """Let the gradient of each sum reach its own optimizer's parameters."""
        groups = self.state.parameters
        if len(groups) == 1:
            self.accelerator.backward(*sums.values())
            return
        sharded = set(self.task.model.parameters()) if self.state.sharded else set()
        for left, (name, loss) in zip(reversed(range(len(sums))), sums.items(), strict=True):
            if sharded.isdisjoint(groups[name]):
                self.accelerator.backward(loss, inputs=groups[name], retain_graph=left > 0)
                continue
            # What is differentiated of sharded weights are copies that are gone by now.
            with _resting(p for other, learned in groups.items() if other != name for p in learned):
                self.accelerator.backward(loss, retain_graph=left > 0)

    def _clip(self, learned: list[nn.Parameter]) -> Tensor:
        largest = self.recipe.clip_norm or math.inf
        if not self.state.sharded:
            return cast(Tensor, self.accelerator.clip_grad_norm_(learned, largest))
        from sweettok_cli.training.sharding import clip_gradients

        return clip_gradients(learned, largest)


@contextmanager
def _resting(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """In the block, these get no gradient."""
    held = [p for p in parameters if p.requires_grad]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)
