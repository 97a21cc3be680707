"""All that changes while a run goes on: weights, moments, averages, and sums for the log."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.training import collective
from sweettok_cli.training.blocks import compile_blocks, recompute
from sweettok_cli.training.ema import EMA
from sweettok_cli.training.optimizer import check_factors, make_optimizers
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.task import Step, Task

#: Of a run's state, what a checkpoint keeps as it is.
_PLAIN = ("step", "seconds", "counted", "best")


@dataclass
class State:
    """All that changes while a run goes on. Random numbers do not: they are of a batch, not of a run."""

    task: Task
    trained: nn.Module  # the task's model as Accelerate wraps it
    optimizers: dict[str, Any]
    parameters: dict[str, list[nn.Parameter]]  # of each group, which one optimizer or two learn
    averaged: EMA
    sharded: bool = False  # whether model, averages and moments are shared out among the processes
    shelf: nn.Module | None = None  # where the first process puts together averages that are sharded
    step: int = 0
    seconds: float = 0.0
    sums: dict[str, Tensor] = field(default_factory=dict)  # of losses and measures since the last line, and
    # of how many; by name
    counted: int = 0
    position: dict[str, Any] = field(default_factory=dict)  # in the data, when it was saved
    best: dict[str, Any] | None = None  # the best validation: its step, and its leading figure by name

    @classmethod
    def assemble(cls, task: Task, recipe: Recipe, accelerator: Accelerator, sharded: bool) -> State:
        """Around a task that has been built: what trains it, as it is before the first step.

        Raises:
            SweettokError: ``lr_factors`` speak of parameters that there are not, or the recipe's optimizer
                is none for this network.
        """
        if recipe.gradient_checkpointing:
            recompute(task.model)
        collective.take_from_first(task.model)
        averaged, shelf = EMA(task.model, recipe.ema), None
        if sharded:
            from sweettok_cli.training import sharding

            shelf = copy.deepcopy(averaged.module).cpu() if accelerator.is_main_process else None
            sharding.shard(averaged.module, accelerator.device)
            sharding.shard(task.model, accelerator.device)
        groups = {name: list(learned) for name, learned in task.parameter_groups().items()}
        named = [*task.model.named_parameters(), *(pair for learned in groups.values() for pair in learned)]
        check_factors(recipe, [name for name, _ in named])
        optimizers = make_optimizers(task.model, groups, recipe)
        if recipe.compile:
            compile_blocks(task.model)
        # Evaluation is what Accelerate calls it where it adds autocast alone.
        trained = accelerator.prepare_model(task.model, evaluation_mode=sharded)
        prepared = {name: accelerator.prepare_optimizer(one) for name, one in optimizers.items()}
        for critic in task.critics.values():
            collective.take_from_first(critic)
        parameters = {name: [p for _, p in learned] for name, learned in groups.items()}
        return cls(task, trained, prepared, parameters, averaged, sharded, shelf)

    @torch.no_grad()
    def figures(self, found: Step, loss: Tensor) -> dict[str, Tensor]:
        """What the log will average of a batch, by name: numbers on the device, without their gradients."""
        terms: dict[str, Tensor] = {}
        for optimizer, losses in found.losses.items():
            prefix = f"{optimizer}/" if len(self.parameters) > 1 else ""
            terms |= {f"{prefix}{name}": value for name, value in losses.items()}
        every = {**terms, "loss": loss, **found.measures}
        return {name: value.detach().to(loss.dtype) for name, value in every.items()}

    def count(self, figures: dict[str, Tensor]) -> None:
        """Add up the figures of a batch that has been learned from, without waiting for the device."""
        for name, value in figures.items():
            counted = torch.stack([value, torch.ones_like(value)])
            self.sums[name] = self.sums.get(name, torch.zeros_like(counted)) + counted

    def total_sums(self) -> dict[str, Tensor]:
        """The sums of all processes; all of them come here."""
        if not self.sums:
            return {}
        together = collective.add_up(torch.stack(list(self.sums.values())))
        return dict(zip(self.sums, together.unbind(), strict=True))

    @contextmanager
    def shown(self) -> Iterator[nn.Module | None]:
        """The averaged weights as one whole network, for the first process; all come here, None for some."""
        if not self.sharded:
            yield self.averaged.module
            return
        from sweettok_cli.training import sharding

        state, device = sharding.whole(self.averaged.module.state_dict()), self.averaged.n_averaged.device
        if self.shelf is None:
            yield None
            return
        self.shelf.load_state_dict(state)
        yield self.shelf.to(device)
        self.shelf.cpu()

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint of the first process; all of them come here."""
        state = {
            "model": self.task.model.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "averaged": self.averaged.state_dict(),
            "critics": {name: critic.state_dict() for name, critic in self.task.critics.items()},
            "task": self.task.state_dict(),
            "sums": self.total_sums(),
            "position": self.position,
            **{name: getattr(self, name) for name in _PLAIN},
        }
        if not self.sharded:
            return state
        from sweettok_cli.training import sharding

        return sharding.whole(state)

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
        if self.sharded:
            state = self._cut(state)
        self.task.model.load_state_dict(state["model"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.averaged.load_state_dict(state["averaged"])
        for name, critic in self.task.critics.items():
            critic.load_state_dict(state["critics"][name])
        self.task.load_state_dict(state["task"])
        for name in _PLAIN:
            setattr(self, name, state.get(name))
        self.position = state.get("position", {})
        # Older checkpoints did not say of how many a sum is. The sums are those of all: one process has them.
        device, first = self.averaged.n_averaged.device, collective.rank() == 0
        self.sums = {
            name: value.to(device) if first else torch.zeros_like(value, device=device)
            for name, value in state["sums"].items()
            if value.ndim
        }

    def _cut(self, state: dict[str, Any]) -> dict[str, Any]:
        """The same with the tensors of what is sharded cut to this process' parts."""
        from sweettok_cli.training import sharding

        moments = {
            name: sharding.moments(state["optimizers"][name], optimizer.param_groups)
            for name, optimizer in self.optimizers.items()
        }
        return {
            **state,
            "model": sharding.parts(state["model"], self.task.model.state_dict()),
            "averaged": sharding.parts(state["averaged"], self.averaged.state_dict()),
            "optimizers": moments,
        }
