"""AdamW, Muon and their learning rate."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import torch
from torch import nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.training.blocks import matrices
from sweettok_cli.training.recipe import Recipe

#: Of an optimizer's name: it has the matrices that Muon moves, and the rest is left to the one named before.
MATRICES = "/matrices"


def make_optimizers(
    network: nn.Module, groups: Mapping[str, Sequence[tuple[str, nn.Parameter]]], recipe: Recipe
) -> dict[str, torch.optim.Optimizer]:
    """What moves the named parameters of each group, by the group's name: AdamW.

    With ``optimizer = "muon"`` a second one, named group + :data:`MATRICES`, moves the weight matrices inside
    the ``network``'s blocks by orthogonal steps as long as AdamW's (Jordan et al., "Muon", 2024; scaled as by
    Liu et al., arXiv 2502.16982); embeddings, codes, heads, convolutions and vectors are left to AdamW.

    Raises:
        SweettokError: Muon is asked for, and the network has no such matrix or this torch no Muon.
    """
    if recipe.optimizer == "adamw":
        return {name: make_optimizer(learned, recipe) for name, learned in groups.items()}
    if not hasattr(torch.optim, "Muon"):
        raise SweettokError(
            f"optimizer = muon needs torch 2.9 or newer, not {torch.__version__}; update torch, or "
            "--set optimizer=adamw."
        )
    inside = {id(matrix) for matrix in matrices(network)}
    optimizers: dict[str, torch.optim.Optimizer] = {}
    for name, learned in groups.items():
        apart = [pair for pair in learned if id(pair[1]) in inside]
        optimizers[name] = make_optimizer([pair for pair in learned if id(pair[1]) not in inside], recipe)
        if apart:
            optimizers[name + MATRICES] = make_muon(apart, recipe)
    if len(optimizers) == len(groups):
        raise SweettokError(
            "optimizer = muon moves matrices of transformer layers, of which none is trained here; "
            "--set optimizer=adamw."
        )
    return optimizers


def make_muon(learned: Iterable[tuple[str, nn.Parameter]], recipe: Recipe) -> torch.optim.Optimizer:
    """Muon over named matrices."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in learned:
        groups.setdefault(rate_factor(name, recipe), []).append(parameter)
    options = [{"params": group, "factor": factor} for factor, group in groups.items()]
    return torch.optim.Muon(
        options, lr=recipe.lr, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw"
    )


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


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give an optimizer of :func:`make_optimizers` this learning rate, each group by its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def run_progress(recipe: Recipe, step: int, seconds: float, reserve: float = 0.0) -> float:
    """Share of the run that is over, by steps or by minutes, whichever is further; 1 is the end.

    Of the minutes, ``reserve`` seconds are kept for one more step and for what comes after the last.
    """
    if not recipe.minutes:
        return step / recipe.steps
    left = 60 * recipe.minutes - reserve
    return max(step / recipe.steps, seconds / left if left > 0 else 1.0)
