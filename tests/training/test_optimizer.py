"""Learning rate, weight decay and averaged weights."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.training.ema import EMA
from sweettok_cli.training.optimizer import check_factors, learning_rate, make_optimizer, run_progress
from sweettok_cli.training.recipe import Recipe


def test_rate_warms_up_and_falls_to_its_end() -> None:
    recipe = Recipe(lr=1.0, final_lr=0.1, warmup=4, steps=100)
    assert [learning_rate(recipe, step, 0.0) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert learning_rate(recipe, 52, 0.52) == pytest.approx(0.55)  # half way from the end of the warm-up
    by_clock = dataclasses.replace(recipe, minutes=1.0)
    assert learning_rate(by_clock, 50, 0.5) == pytest.approx(0.55)
    assert learning_rate(by_clock, 1, 0.9) == learning_rate(by_clock, 80, 0.9) < 0.2
    assert learning_rate(recipe, 100, 1.0) == pytest.approx(0.1)


def test_a_late_optimizer_warms_up_from_where_it_begins() -> None:
    recipe = Recipe(lr=1.0, final_lr=0.1, warmup=4, steps=200)
    late = [learning_rate(recipe, 100 + step, 0.5, begin=100) for step in (0, 3, 4, 52, 100)]
    assert late == pytest.approx([0.25, 1.0, 1.0, 0.55, 0.1])
    assert learning_rate(recipe, 10, 0.05, begin=100) == 0.25


def test_progress_is_that_of_steps_or_of_the_clock() -> None:
    assert run_progress(Recipe(steps=100), 25, 1e9) == 0.25
    timed = Recipe(steps=100, minutes=2.0)
    assert run_progress(timed, 25, 90.0) == 0.75
    assert run_progress(timed, 80, 90.0) == 0.8


def test_by_the_clock_time_is_kept_for_what_comes_after_the_last_step() -> None:
    timed = Recipe(steps=100, minutes=2.0)
    assert run_progress(timed, 0, 45.0, reserve=30.0) == 0.5
    assert run_progress(timed, 0, 90.0, reserve=30.0) == 1.0, "what is left is needed to save"
    assert run_progress(timed, 0, 0.0, reserve=200.0) == 1.0, "there is no time for any step"
    assert run_progress(Recipe(steps=100), 25, 0.0, reserve=200.0) == 0.25


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.queries = nn.Linear(3, 3, bias=False)
        self.position = nn.Parameter(torch.zeros(4, 3))
        self.frozen = nn.Linear(3, 3).requires_grad_(False)


def learned(net: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in net.named_parameters() if parameter.requires_grad]


def test_only_matrices_decay() -> None:
    net = Net()
    decay = {
        id(p): g["weight_decay"]
        for g in make_optimizer(learned(net), Recipe(weight_decay=0.5)).param_groups
        for p in g["params"]
    }
    expected = {net.layer.weight: 0.5, net.queries.weight: 0.5, net.layer.bias: 0.0, net.position: 0.0}
    assert decay == {id(parameter): value for parameter, value in expected.items()}


def test_factors_follow_the_longest_start_of_a_name() -> None:
    net = Net()
    recipe = Recipe(lr_factors={"layer": 0.5, "layer.bias": 0.25})
    groups = make_optimizer(learned(net), recipe).param_groups
    factors = {id(p): group["factor"] for group in groups for p in group["params"]}
    assert factors[id(net.layer.weight)] == 0.5 and factors[id(net.layer.bias)] == 0.25
    assert factors[id(net.queries.weight)] == 1.0
    with pytest.raises(SweettokError, match="'layers'; they begin with frozen, layer, position, queries"):
        check_factors(Recipe(lr_factors={"layers": 0.5}), [name for name, _ in net.named_parameters()])


def test_average_follows_the_published_decay() -> None:
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 1.0)
    averaged, expected = EMA(net, 0.5), 1.0
    for step in range(12):
        nn.init.constant_(net.weight, float(step))
        averaged.update(net, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = float(step) if step == 0 else decay * expected + (1 - decay) * step
        assert averaged.module.weight.item() == pytest.approx(expected, rel=1e-6)
    assert not averaged.module.weight.requires_grad


def test_an_optimizer_may_have_a_warm_up_of_its_own() -> None:
    recipe = Recipe(lr=1.0, final_lr=0.1, warmup=4, steps=100)
    slow = [learning_rate(recipe, step, step / 100, warmup=50) for step in (0, 24, 49, 75)]
    assert slow == pytest.approx([0.02, 0.5, 1.0, 0.55])
    rising = [learning_rate(recipe, step, step / 100, warmup=100) for step in (0, 49, 99)]
    assert rising == pytest.approx([0.01, 0.5, 1.0]), "all along"
