"""AdamW and its learning rate."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

import torch
from torch import nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.training.recipe import Recipe


def make_optimizer(learned: Iterable[tuple[str, nn.Parameter]], recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over named parameters; weight decay on matrices only, as published."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in learned:
        # Queries, positions and bias tables have names of their own: shrinking them has no meaning.
        plain = parameter.ndim < 2 or not name.endswith("weight")
        key = 0.0 if plain else recipe.weight_decay, rate_factor(name, recipe)
        groups.setdefault(key, []).append(parameter)
    fused = all(p.device.type in ("cpu", "cuda") for group in groups.values() for p in group)
    options = [
        {"params": g, "weight_decay": decay, "factor": factor} for (decay, factor), g in groups.items()
    ]
    betas = recipe.betas[0], recipe.betas[1]
    return torch.optim.AdamW(options, lr=recipe.lr, betas=betas, eps=recipe.eps, fused=fused)


def check_factors(recipe: Recipe, names: Collection[str]) -> None:
    """Check that ``lr_factors`` speak of parameters that there are, of these names.

    Raises:
        SweettokError: a key begins no parameter's name.
    """
    for start in recipe.lr_factors:
        if not any(name.startswith(start) for name in names):
            tops = ", ".join(sorted({name.partition(".")[0] for name in names}))
            raise SweettokError(
                f"lr_factors: no parameter's name begins with {start!r}; they begin with {tops} (for none: "
                "--set lr_factors={})."
            )


def rate_factor(name: str, recipe: Recipe) -> float:
    """Factor on the learning rate of a parameter: that of the longest matching start of its dotted name."""
    starts = [start for start in recipe.lr_factors if name.startswith(start)]
    return recipe.lr_factors[max(starts, key=len)] if starts else 1.0


def learning_rate(
    recipe: Recipe, step: int, progress: float, begin: int = 0, warmup: int | None = None
) -> float:
    """Rate of step number ``step`` (0, 1, ...): linear warm-up, then half a cosine down to the run's end.

    By steps, the cosine begins where the warm-up ends, as published. By the clock, nobody knows where in the
    run that is: the lower of both counts. Who learns from step ``begin`` on warms up from there. ``warmup``
    is the recipe's unless it is given.
    """
    step, steps = max(0, step - begin), recipe.steps - begin
    warmup = recipe.warmup if warmup is None else warmup
    if not recipe.minutes and steps >= warmup:
        progress = max(0.0, (step - warmup) / max(1, steps - warmup))
    falling = 1 + math.cos(math.pi * min(1.0, progress))  # 2 to 0
    cosine = recipe.final_lr + (recipe.lr - recipe.final_lr) * 0.5 * falling
    return min(cosine, recipe.lr * (step + 1) / warmup) if warmup else cosine


def run_progress(recipe: Recipe, step: int, seconds: float, reserve: float = 0.0) -> float:
    """Share of the run that is over, by steps or by minutes, whichever is further; 1 is the end.

    Of the minutes, ``reserve`` seconds are kept for one more step and for what comes after the last.
    """
    if not recipe.minutes:
        return step / recipe.steps
    left = 60 * recipe.minutes - reserve
    return max(step / recipe.steps, seconds / left if left > 0 else 1.0)
