"""Recipes: the shipped ones, ``--set``, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.training.recipe import Recipe, load_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipe_survives_being_saved(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(None, name)
    assert name.endswith(f"stage{recipe.stage}")
    saved = tmp_path / "recipe.toml"
    saved.write_text(recipe.as_toml(), encoding="utf-8")
    assert load_recipe(recipe.stage, str(saved)) == recipe


def test_every_stage_of_both_networks_is_shipped() -> None:
    assert recipe_names() == [f"{net}-stage{i}" for net in ("compact", "sweettok-small") for i in (1, 2, 3)]


def test_settings_are_typed() -> None:
    recipe = load_recipe(
        2,
        None,
        [
            "lr=1",
            "steps=7",
            "flip=false",
            "precision=fp32",
            "crop=[[32, 4, 1]]",
            "model.dim=96",
            "betas=[0, 0.5]",
        ],
    )
    assert (recipe.lr, recipe.steps, recipe.flip, recipe.precision) == (1.0, 7, False, "fp32")
    assert isinstance(recipe.lr, float) and recipe.crop == [[32.0, 4.0, 1.0]] and recipe.betas == [0.0, 0.5]
    assert recipe.model == {"preset": "sweettok-small", "dim": 96}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("warm_up=3", "did you mean warmup"),
        ("lr", "key=value"),
        ("steps=1.5", "steps = 1.5 is not of type int"),
        ("flip=1", "flip = 1 is not of type bool"),
        ("lr=fast", "lr = 'fast' is not of type float"),
        ("steps=true", "not of type int"),
        ("precision=fp8", "auto, bf16, fp32"),
        ("crop=[[64, 8]]", "crop must list"),
        ("crop=[[64, 0.5, 1]]", "crop must list"),
        ("crop=[64, 8, 1]", "crop = 64 is not of type"),
        ("l2=0", "one of l1, l2"),
        ("accumulate=0", "accumulate must be at least 1"),
        ("minutes=-1", "minutes must be at least 0"),
        ("pictures=1.5", "pictures must lie in [0, 1]"),
        ("pictures=-0.1", "pictures must lie in [0, 1]"),
        ("optim.lr=1", "write lr alone"),
        ("lr_factors.encoder=-1", "lr_factors must be above 0"),
        ("lr_factors.encoder=low", "not of type"),
        ("stage=4", "stage"),
    ],
)
def test_wrong_setting_is_one_sentence(setting: str, words: str) -> None:
    with pytest.raises(SweettokError, match=words.replace("[", r"\[")):
        load_recipe(None, "sweettok-small-stage2", ["l1=0", setting] if setting == "l2=0" else [setting])


def test_unknown_and_broken_files_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("steps = = 3")
    with pytest.raises(SweettokError, match=r"broken\.toml is not a TOML file"):
        load_recipe(2, str(broken))
    with pytest.raises(SweettokError, match=r"absent\.toml"):
        load_recipe(2, str(tmp_path / "absent.toml"))
    with pytest.raises(SweettokError, match="compact-stage1"):
        load_recipe(2, "large")


def test_stage_must_agree_with_the_file() -> None:
    with pytest.raises(SweettokError, match="stage 1, not 2"):
        load_recipe(2, "compact-stage1")


def test_defaults_are_a_valid_recipe(tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    assert load_recipe(2, str(empty)) == Recipe()
