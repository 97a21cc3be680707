"""Recipes: the shipped ones, ``--set``, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.training.recipe import Recipe, recipe_keys
from sweettok_cli.training.recipe_file import load_recipe, recipe_names

GENERATORS = ("generator-small", "generator-ucf101")  # which have no stages


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipe_survives_being_saved(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(None, name)
    assert name.endswith(f"stage{recipe.stage}") or name in GENERATORS
    saved = tmp_path / "recipe.toml"
    saved.write_text(recipe.as_toml(), encoding="utf-8")
    assert load_recipe(recipe.stage, str(saved)) == recipe


def test_every_stage_of_every_network_is_shipped() -> None:
    stages = {"compact-k600": 3, "compact-ucf101": 3, "omnitokenizer": 3, "sweettok-small": 4}
    stages |= {"vidtok-fsq": 2, "vidtok-kl": 2}
    staged = [f"{net}-stage{i + 1}" for net, count in stages.items() for i in range(count)]
    assert recipe_names() == sorted([*staged, *GENERATORS])


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
        ("steps=1.5", "steps = 1.5 is not of type int; write for example --set steps=100000."),
        ("flip=1", "flip = 1 is not of type bool; write for example --set flip=true."),
        ("lr=fast", "lr = 'fast' is not of type float; write for example --set lr=0.0001."),
        ("steps=true", "not of type int"),
        ("precision=fp8", "auto, bf16, fp32"),
        ("crop=[[64, 8]]", "crop must list"),
        ("crop=[[64, 0.5, 1]]", "crop must list"),
        ("crop=64", 'write for example --set "crop=[[64, 8, 1]]".'),
        ("crop=[64, 8, 1]", "crop = [64, 8, 1] is not of type"),
        ("betas=0.9", '--set "betas=[0.9, 0.99]".'),
        ("teacher=3", '--set teacher="".'),
        ("model=compact", "--set model.preset=compact."),
        (
            "lr_factors.head=x",
            "lr_factors.head = 'x' is not of type float; write for example --set lr_factors.",
        ),
        ("tracker=paper", "tracker must be one of none, tensorboard, trackio, wandb."),
        ("l2=0", "one of l1, l2"),
        ("loader=both", "loader must be one of threads, processes"),
        ("resize=[1.0]", "resize must be [] or two growing numbers, for example [1.0, 2.0]"),
        ("resize=[2.0, 1.0]", "resize must be"),
        ("resize=[0.5, 1.0]", "resize must lie in 1 to 65536, not 0.5"),
        ("accumulate=0", "accumulate must lie in 1 to 65536, not 0"),
        ("minutes=-1", "minutes must lie in 0 to 1e+07"),
        ("pictures=1.5", "pictures must lie in 0 to 1, not 1.5"),
        ("synthetic=-0.1", "synthetic must lie in 0 to 1"),
        ("lr=nan", "lr must lie in 0 to 10, not nan"),
        ("lr=0", "lr must be above 0"),
        ("l2=inf", "l2 must lie in 0 to"),
        ("weight_decay=-1", "weight_decay must lie in 0 to 10"),
        ("lr_factors.encoder=nan", "lr_factors must lie in"),
        ("betas=[0.9, 1.0]", "betas must be two numbers below 1"),
        ("betas=[0.9, -1]", "betas must lie in 0 to 1, not -1.0"),
        ("ema=1", "ema must be below 1"),
        ("crop=[[64, 8, nan]]", "crop must list"),
        ("crop=[[inf, 8, 1]]", "crop must list"),
        ("batch_size=-1", "batch_size must lie in"),
        ("workers=100000", "workers must lie in 1 to 256"),
        ("steps=1" + "0" * 400, "steps must lie in 1 to 1e+09, not 10000"),
        ("lr=1" + "0" * 400, "not of type float"),
        ("steps=1" + "0" * 5000, "not of type int"),
        ("model=3", "not of type dict"),
        ("batchsize=3", "did you mean batch_size"),
        ("xyzzy=3", "sweettok train --keys lists all"),
        ("optim.lr=1", "write lr alone"),
        ("lr_factors.encoder=-1", "lr_factors must lie in"),
        ("lr_factors.encoder=0", "lr_factors must be above 0"),
        ("lr_factors.encoder=low", "not of type"),
        ("stage=5", "stage"),
    ],
)
def test_wrong_setting_is_one_sentence(setting: str, words: str) -> None:
    with pytest.raises(SweettokError, match=re.escape(words)):
        load_recipe(None, "sweettok-small-stage2", ["l1=0", setting] if setting == "l2=0" else [setting])


def test_unknown_and_broken_files_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("steps = = 3")
    with pytest.raises(SweettokError, match=r"broken\.toml is not a TOML file"):
        load_recipe(2, str(broken))
    with pytest.raises(SweettokError, match=r"absent\.toml"):
        load_recipe(2, str(tmp_path / "absent.toml"))
    with pytest.raises(SweettokError, match="compact-ucf101-stage1"):
        load_recipe(2, "large")


def test_stage_must_agree_with_the_file() -> None:
    with pytest.raises(SweettokError, match="stage 1, not 2"):
        load_recipe(2, "compact-ucf101-stage1")


def test_defaults_are_a_valid_recipe(tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    assert load_recipe(2, str(empty)) == Recipe()


def test_batch_size_scales_all_choices() -> None:
    assert load_recipe(2, None, ["batch_size=8"]).crops == [[64.0, 8, 0.3], [128.0, 2, 0.7]]
    assert load_recipe(2, None, ["batch_size=1"]).sampling.crop == [[64.0, 1, 0.3], [128.0, 1, 0.7]]
    assert load_recipe(2, None).crops == load_recipe(2, None).crop == [[64.0, 16.0, 0.3], [128.0, 4.0, 0.7]]


def test_keys_inside_what_is_no_table_are_one_sentence() -> None:
    with pytest.raises(SweettokError, match=r"model = 3 has no keys; leave it out for --set model\.dim"):
        load_recipe(2, None, ["model=3", "model.dim=8"])


def test_every_key_is_explained_and_its_default_lies_in_its_range() -> None:
    for name, about in recipe_keys().items():
        assert about.meaning and not about.meaning.endswith("."), name
        assert (about.least is None) == (about.most is None), name
