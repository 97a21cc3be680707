"""The stages in a row, as a user gives them: each begins with the averaged weights of the one before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from small_run import TINY_NETWORK

from sweettok_cli.cli.train import train
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.folder import read_model
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.training.recipe_file import load_recipe
from sweettok_cli.zoo.load import load

TAUGHT = {
    **{**TINY_NETWORK, "proxy_codes": 64, "proxy_hidden": 16, "scrambled": True},
    **{"pixel_spatial": "tttt", "pixel_temporal": "t"},
}
SMALL = {
    **{"preset": "sweettok-small", "dim": 32, "heads": 2, "head_dim": 16, "code_dim": 16},
    **{"spatial_code": [4, 3], "temporal_code": [4, 3]},
}
BRIEF = [
    *("steps=2", "warmup=0", "precision=fp32", "crop=[[64, 2, 1]]", "hold_out=1", "prefetch=2"),
    *(
        "log_every=1",
        "init_samples=0",
        "checkpoint_every=0",
        "sample_every=0",
        "validate_every=0",
        "without_features=train",
    ),
    *("discriminator_start=1", "discriminator_width=4"),
]


pytestmark = pytest.mark.usefixtures("one_run_a_process", "without_downloads")


def stage(number: int, out: Path, clips: Path, *settings: str, **given: Any) -> dict[str, Any]:
    AcceleratorState._reset_state(reset_partial_state=True)
    train(data=[clips], stage=number, out=out, settings=[*BRIEF, *settings], quiet=True, **given)
    lines = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return {"lines": [line for line in lines if line["kind"] == "train"], "recipe": out / "recipe.toml"}


def averaged(run: Path) -> dict[str, torch.Tensor]:
    newest = max((run / "checkpoints").iterdir())
    state = torch.load(newest / "state.pt", weights_only=True)["averaged"]
    return {name.removeprefix("module."): value for name, value in state.items()}


def begun_with(before: Path, after: Path) -> bool:
    """Whether a run that hardly learned still has the averaged weights of another, in half precision."""
    first, second = averaged(before), averaged(after)
    kept = [name for name, value in first.items() if value.is_floating_point()]
    return all(torch.allclose(second[name], first[name], rtol=1e-3, atol=1e-5) for name in kept)


STILL = ("lr=1e-12", "final_lr=0", "weight_decay=0")


def test_the_published_stages_run_in_a_row(
    clips: Path, prior: Path, families: dict[str, Path], tmp_path: Path
) -> None:
    network = [f"model.{key}={json.dumps(value)}" for key, value in TAUGHT.items() if key != "preset"]
    one, two, three = (tmp_path / f"run{number}" for number in (1, 2, 3))
    teacher = {"teacher": str(families["omnitokenizer"])}
    first = stage(
        1, one, clips, *network, "lr=1e-2", config="compact-ucf101-stage1", prior=str(prior), **teacher
    )
    assert ["proxy" in line["losses"] for line in first["lines"]] == [True, True]
    assert not read_model(ModelFolder(one / "model")).config.pixels
    raw = torch.load(one / "checkpoints" / "00000002" / "state.pt", weights_only=True)["model"]
    assert any(not torch.equal(raw[name], value) for name, value in averaged(one).items() if name in raw)

    second = stage(2, two, clips, *STILL, init=str(one), **teacher)
    assert begun_with(one, two)
    recipe = load_recipe(None, str(second["recipe"]))
    assert (recipe.proxy, recipe.pictures, recipe.l2) == (0.5, 0.1, 4.0), "that of compact-ucf101-stage2"
    assert ["proxy" in line["losses"] for line in second["lines"]] == [True, False]
    assert read_model(ModelFolder(two / "model")).config.pixels

    third = stage(3, three, clips, *STILL, init=str(two / "model"))
    assert begun_with(two, three)
    assert load_recipe(None, str(third["recipe"])).feature_matching == 0.04
    last = third["lines"][-1]["losses"]
    assert {"model/l2", "model/adversarial", "model/features", "discriminator/hinge"} <= set(last)
    assert ModelFolder(three / "model").header.source == {"stages": [1, 2, 3]}
    tokens = load(str(three), device="cpu").encode(clips / "inner" / "loose0.mp4")  # a run is its model
    assert tokens.arrays["temporal"].shape[2] == 3


def test_the_stages_of_the_default_model_run_in_a_row(clips: Path, prior: Path, tmp_path: Path) -> None:
    network = [f"model.{key}={json.dumps(value)}" for key, value in SMALL.items() if key != "preset"]
    one, two, three = (tmp_path / f"run{number}" for number in (1, 2, 3))
    stage(1, one, clips, *network, "init_samples=16", prior=str(prior))
    stage(2, two, clips, *STILL, init=str(one))
    stage(3, three, clips, *STILL, init=str(two))
    assert begun_with(one, two) and begun_with(two, three)
    assert ModelFolder(three / "model").header.source == {"stages": [1, 2, 3]}


def test_a_teacher_that_is_none_is_named(
    clips: Path, prior: Path, families: dict[str, Path], model_folder: Path, tmp_path: Path
) -> None:
    for teacher, words in (
        ("omnitokeniser", "no model 'omnitokeniser'"),
        (str(model_folder), "holds a model of the family sweettok; give an OmniTokenizer"),
        (str(families["omnitokenizer"]), "has no proxy codes to learn"),
    ):
        with pytest.raises(SweettokError, match=words):
            stage(
                2, tmp_path / "run", clips, "model.dim=32", "model.heads=2", "model.head_dim=16",
                prior=str(prior), teacher=teacher,
            )  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    train(list_recipes=True)
    listed = capsys.readouterr().out
    assert "compact-ucf101-stage3" in listed and "50,000" in listed and "8 of 17x256x256" in listed
    train(list_recipes=True, as_json=True)
    rows = {row["recipe"]: row for row in json.loads(capsys.readouterr().out)["recipes"]}
    assert rows["compact-k600-stage2"] == {
        **{"recipe": "compact-k600-stage2", "steps": 1_000_000, "samples": [[12, 17, 256]]},
        **{"teacher": "omnitokenizer-imagenet-k600"},
        "what": "The published network for Kinetics-600, both halves on clips",
    }
