"""Learning rate, weight decay and averaged weights."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.training.blocks import Block
from sweettok_cli.training.ema import EMA
from sweettok_cli.training.optimizer import (
    check_factors,
    learning_rate,
    make_optimizer,
    make_optimizers,
    run_progress,
)
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


class Layers(Block):
    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Linear(4, 16)
        self.table = nn.Parameter(torch.zeros(3, 4))
        self.convolution = nn.Conv1d(4, 4, 1)


class Blocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 4)
        self.layers = nn.ModuleList([Layers(), Layers()])


def test_muon_moves_the_matrices_inside_blocks_and_nothing_else() -> None:
    net, beside = Blocks(), nn.Linear(3, 3)
    groups = {"model": learned(net), "discriminator": learned(beside)}
    recipe = Recipe(optimizer="muon", lr_factors={"layers.1": 0.5})
    found = make_optimizers(net, groups, recipe)
    assert list(found) == ["model", "model/matrices", "discriminator"]
    moved = {
        name: {id(p): g["factor"] for g in one.param_groups for p in g["params"]}
        for name, one in found.items()
    }
    first, second = net.layers
    assert moved["model/matrices"] == {id(first.wide.weight): 1.0, id(second.wide.weight): 0.5}  # type: ignore[union-attr]
    assert sum(map(len, moved.values())) == len(groups["model"]) + 2
    assert moved["discriminator"].keys() == {id(p) for p in beside.parameters()}


def test_a_step_of_muon_is_orthogonal_and_as_long_as_one_of_adamw() -> None:
    net = Blocks()
    weight = net.layers[0].wide.weight  # type: ignore[union-attr]
    before = weight.detach().clone()
    optimizer = make_optimizers(
        net, {"model": learned(net)}, Recipe(optimizer="muon", lr=0.01, weight_decay=0)
    )
    weight.grad = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    optimizer["model/matrices"].step()
    moved = (weight.detach() - before) / 0.01
    sizes = torch.linalg.svdvals(moved) / (0.2 * 16**0.5)
    assert sizes.min() > 0.6 and sizes.max() < 1.3, "steps of gradients differ as their singular values do"
    assert moved.square().mean().sqrt().item() == pytest.approx(0.2, rel=0.25)


def test_muon_is_refused_where_it_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    with pytest.raises(SweettokError, match="of which none is trained here; --set optimizer=adamw"):
        make_optimizers(net, {"model": learned(net)}, Recipe(optimizer="muon"))
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(SweettokError, match=r"needs torch 2\.9 or newer, not 2.*update torch"):
        make_optimizers(Blocks(), {}, Recipe(optimizer="muon"))


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
