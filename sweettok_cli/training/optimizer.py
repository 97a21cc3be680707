"""AdamW, its learning rate, and the average of the weights it goes through."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sweettok_cli.errors import SweettokError
from sweettok_cli.training.recipe import Recipe


def make_optimizer(
    learned: Iterable[tuple[str, nn.Parameter]], recipe: Recipe, model: nn.Module
) -> torch.optim.AdamW:
    """AdamW over named parameters of ``model``; weight decay on matrices only, as published.

    Raises:
        SweettokError: a key of ``lr_factors`` begins no parameter's name.
    """
    names = [name for name, _ in model.named_parameters()]
    for start in recipe.lr_factors:
        if not any(name.startswith(start) for name in names):
            tops = ", ".join(sorted({name.partition(".")[0] for name in names}))
            raise SweettokError(
                f"lr_factors: no parameter's name begins with {start!r}; they begin with {tops}."
            )
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in learned:
        # Queries, positions and bias tables have names of their own: shrinking them has no meaning.
        plain = parameter.ndim < 2 or not name.endswith("weight")
        key = 0.0 if plain else recipe.weight_decay, rate_factor(name, recipe)
        groups.setdefault(key, []).append(parameter)
    fused = all(p.device.type in ("cpu", "cuda") for group in groups.values() for p in group)
    return torch.optim.AdamW(
        [{"params": g, "weight_decay": decay, "factor": factor} for (decay, factor), g in groups.items()],
        lr=recipe.lr, betas=(recipe.betas[0], recipe.betas[1]), eps=recipe.eps, fused=fused,
    )  # fmt: skip


def rate_factor(name: str, recipe: Recipe) -> float:
    """Factor on the learning rate of a parameter: that of the longest matching start of its dotted name."""
    starts = [start for start in recipe.lr_factors if name.startswith(start)]
    return recipe.lr_factors[max(starts, key=len)] if starts else 1.0


def learning_rate(recipe: Recipe, step: int, progress: float) -> float:
    """Rate of step number ``step`` (0, 1, ...): linear warm-up times half a cosine over ``progress``."""
    falling = 1 + math.cos(math.pi * min(1.0, progress))  # 2 to 0
    cosine = recipe.final_lr + (recipe.lr - recipe.final_lr) * 0.5 * falling
    return cosine * min(1.0, (step + 1) / recipe.warmup) if recipe.warmup else cosine


def run_progress(recipe: Recipe, step: int, seconds: float) -> float:
    """Share of the run that is over, by steps or by minutes, whichever is further; 1 is the end."""
    by_time = seconds / (60 * recipe.minutes) if recipe.minutes else 0.0
    return max(step / recipe.steps, by_time)


class EMA(AveragedModel):
    """Averaged weights, to be validated and exported; the published decay min(decay, (1 + s) / (10 + s))."""

    def __init__(self, model: nn.Module, decay: float):
        self._weight = 0.0
        super().__init__(model, multi_avg_fn=self._average)
        self.decay = decay
        self.requires_grad_(False)
        self.eval()

    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after step number ``step`` (0, 1, ...); the first call copies them."""
        self._weight = 1 - min(self.decay, (1 + step) / (10 + step))
        self.update_parameters(model)

    def _average(
        self, averaged: Sequence[Tensor | None], current: Sequence[Tensor | None], _: Tensor | int
    ) -> None:
        torch._foreach_lerp_(cast(list[Tensor], averaged), cast(list[Tensor], current), self._weight)
