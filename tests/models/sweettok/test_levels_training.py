"""Levels of detail are grown on a trained model: the rest stays as it is, or learns with them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from small_run import Heard
from task_runs import interrupted, lines, run, same, state
from test_switches import SMALL
from torch import Tensor

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.registry import task_of
from sweettok_cli.models.sweettok.folder import read_model
from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.models.sweettok.task import SweetTokTask
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.recipe_file import load_recipe

pytestmark = pytest.mark.usefixtures("one_run_a_process")


@pytest.fixture
def recipe(tiny: Recipe) -> Recipe:
    """Four steps of levels on a thin network of the shipped kind."""
    shape = {"model": SMALL, "crop": [[64.0, 3.0, 1.0]], "init_samples": 16, "word_steps": 5}
    levels = {"stage": 4, "levels": 2, "pictures": 0.3, "uniform": 0.2}
    return dataclasses.replace(tiny, **{**shape, **levels, "steps": 4, "log_every": 1})  # type: ignore[arg-type]


@pytest.fixture
def plain(recipe: Recipe, prior: Path, clips: Path, tmp_path: Path) -> Path:
    """A model without levels."""
    before = dataclasses.replace(recipe, stage=2, levels=0, steps=1)
    run(before, clips, tmp_path / "plain", task=task_of(before, None, prior))
    return tmp_path / "plain" / "model"


def network_in(folder: Path) -> SweetTok:
    return read_model(ModelFolder(folder)).network


def moved(before: SweetTok, after: SweetTok) -> set[str]:
    """Top-level parts whose parameters are others now."""
    old = before.state_dict()
    news: dict[str, Tensor] = {name: after.state_dict()[name] for name in old}
    return {name.split(".")[0] for name, tensor in news.items() if not torch.equal(tensor, old[name])}


def test_stage_4_trains_levels_alone_and_goes_on_where_it_stopped(
    recipe: Recipe, plain: Path, clips: Path, tmp_path: Path
) -> None:
    run(recipe, clips, tmp_path / "straight", init=plain)
    made = network_in(tmp_path / "straight" / "model")
    assert made.config.levels == 2 and not moved(network_in(plain), made)
    assert made.detail is not None and made.detail.price > 0
    run(dataclasses.replace(recipe, steps=1), clips, tmp_path / "one", init=plain)
    assert moved(network_in(tmp_path / "one" / "model"), made) == {"detail"}
    assert any("tokens" in line for line in lines(tmp_path / "straight"))

    halted = run(recipe, clips, tmp_path / "halves", task=interrupted(task_of(recipe, plain, None), 1))
    assert halted["interrupted"]
    again = load_recipe(None, str(tmp_path / "halves" / "recipe.toml"))
    torch.manual_seed(99)
    run(again, clips, tmp_path / "halves", task=task_of(again, None, None), resume=True)
    one, two = (state(tmp_path / name) for name in ("straight", "halves"))
    assert one.pop("seconds") != two.pop("seconds") and same(one, two)


def test_stage_2_trains_all_of_a_network_with_levels(
    recipe: Recipe, plain: Path, clips: Path, tmp_path: Path
) -> None:
    together = dataclasses.replace(recipe, stage=2)
    run(together, clips, tmp_path / "run", init=plain)
    made = network_in(tmp_path / "run" / "model")
    assert made.config.levels == 2
    assert {"encoder", "decoder", "quantize_spatial", "to_pixels"} <= moved(network_in(plain), made)
    names = {name for line in lines(tmp_path / "run") for name in line["losses"]}
    assert {"spatial_encoder", "temporal_codebook"} <= names


@pytest.mark.parametrize("stage", [1, 3])
def test_other_stages_leave_levels_as_they_are(
    recipe: Recipe, plain: Path, clips: Path, tmp_path: Path, stage: int
) -> None:
    run(dataclasses.replace(recipe, steps=1), clips, tmp_path / "levels", init=plain)
    before = tmp_path / "levels" / "model"
    other = dataclasses.replace(recipe, stage=stage, frames=1 if stage == 1 else 17, levels=0)
    run(other, clips, tmp_path / "other", init=before)
    changed = moved(network_in(before), network_in(tmp_path / "other" / "model"))
    assert "decoder" in changed and "detail" not in changed


def test_what_cannot_have_levels_is_refused(recipe: Recipe, plain: Path, tiny: Recipe, prior: Path) -> None:
    for changes, why in (({"init_samples": 0}, "init_samples"), ({"frames": 1}, "frames")):
        with pytest.raises(SweettokError, match=why):
            SweetTokTask(dataclasses.replace(recipe, **changes), plain).build(torch.device("cpu"), Heard())  # type: ignore[arg-type]
    with pytest.raises(SweettokError, match="levels"):
        SweetTokTask(dataclasses.replace(tiny, stage=4), None, prior).build(torch.device("cpu"), Heard())
