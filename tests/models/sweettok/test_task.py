"""What each stage makes and trains, and replacing an exported model in one move."""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path

import pytest
import torch
from small_run import Heard

from sweettok_cli.data.entry import Entry
from sweettok_cli.data.sampler import Sampler
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.config import SweetTokConfig, make_config
from sweettok_cli.models.sweettok.folder import save_model_folder
from sweettok_cli.models.sweettok.initialise import start_linear
from sweettok_cli.models.sweettok.task import SweetTokTask
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.recipe_file import load_recipe, recipe_names


def test_config_is_the_preset_with_changes() -> None:
    assert make_config({"preset": "compact"}) == SweetTokConfig()
    assert make_config({"preset": "compact", "dim": 64}) == dataclasses.replace(SweetTokConfig(), dim=64)


@pytest.mark.parametrize(
    "name", [name for name in recipe_names() if name.startswith(("compact", "sweettok"))]
)
def test_shipped_recipes_name_a_network(name: str) -> None:
    make_config(load_recipe(None, name).model)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"preset": "huge"}, "no network 'huge'"),
        ({"preset": "compact", "dims": 3}, "did you mean dim"),
        ({"preset": "compact", "temporal_every": 3}, "do not make a network"),
    ],
)
def test_what_makes_no_network_is_named(table: dict[str, object], words: str) -> None:
    with pytest.raises(SweettokError, match=words):
        make_config(table)


def built(recipe: Recipe, prior: Path | None, init: Path | None = None) -> SweetTokTask:
    task = SweetTokTask(recipe, init, prior)
    task.build(torch.device("cpu"), Heard())
    return task


def test_words_come_from_the_prior(tiny: Recipe, prior: Path) -> None:
    task = built(tiny, prior)
    assert (task.model.quantize_spatial.sizes, task.model.quantize_temporal.sizes) == (
        (20, 20, 30),
        (12, 12, 18),
    )
    assert torch.equal(task.model.quantize_spatial.vectors, torch.from_numpy(task.words.spatial.vectors))


def test_export_that_fails_leaves_the_old_model(tiny: Recipe, prior: Path, tmp_path: Path) -> None:
    task = built(tiny, prior)
    folder = tmp_path / "model"
    task.export(folder, task.model, "trial")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    words = task.words
    task.words = dataclasses.replace(words, about={"made of": object()})  # cannot be written
    with pytest.raises(TypeError):
        task.export(folder, task.model, "trial")
    task.words = words
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    with torch.no_grad():
        task.model.post_vq_spatial.bias.fill_(7.0)
    task.export(folder, task.model, "trial")
    assert built(tiny, None, folder).model.post_vq_spatial.bias[0] == 7.0


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_stages_train_their_parts(tiny: Recipe, prior: Path, stage: int) -> None:
    task = built(dataclasses.replace(tiny, stage=stage), prior)
    model = task.model
    names = [name for name, _ in model.named_parameters()]
    learn = {name for name, _ in task.parameter_groups()["model"]}
    assert learn == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    if stage == 1:
        assert learn == {
            n for n in names if not re.search("temporal|motion|later", n) or n.startswith("to_pixels")
        }
        assert not model.encoder.temporal_features.training and model.encoder.spatial_features.training
    elif stage == 2:
        assert learn == set(names)
        assert model.quantize_spatial.gcn.dropout.training
    else:
        assert learn and not {n for n in learn if n.startswith(("encoder", "pre_vq", "quantize"))}
        assert model.decoder.training
        assert not model.encoder.training and not model.quantize_spatial.gcn.dropout.training


@pytest.mark.parametrize("anchored", [False, True])
def test_last_stage_keeps_the_tokens(tiny: Recipe, prior: Path, anchored: bool) -> None:
    small = {"preset": "sweettok-small", "dim": 64, "heads": 2, "head_dim": 32}
    torch.manual_seed(0)
    model = built(dataclasses.replace(tiny, stage=3, model=small if anchored else tiny.model), prior).model
    video = torch.rand(2, 3, 17, 64, 64) - 0.5
    before = model.encode(video)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    after = model.encode(video)
    assert torch.equal(before.spatial, after.spatial) and torch.equal(before.temporal, after.temporal)


def cautions(recipe: Recipe, prior: Path | None, init: Path | None = None, files: str = "a.mp4 b.png") -> str:
    task = built(recipe, prior, init)
    task.sampler = Sampler([Entry(name, Path(name)) for name in files.split()], recipe.sampling)
    return "; ".join(task.cautions())


def test_stages_in_an_order_that_teaches_little_are_warned_of(
    tiny: Recipe, prior: Path, tmp_path: Path
) -> None:
    stages = {1: dataclasses.replace(tiny, stage=1, frames=1), 2: tiny, 3: dataclasses.replace(tiny, stage=3)}
    after: dict[int, Path] = {}
    for stage in (1, 2):
        task = built(stages[stage], prior, None) if stage == 1 else built(stages[stage], None, after[1])
        task.export(tmp_path / f"stage{stage}", task.model, "trial")
        after[stage] = tmp_path / f"stage{stage}"
    foreign = tmp_path / "foreign"  # a model that does not say what it has been through
    save_model_folder(foreign, task.model, task.words)

    assert cautions(stages[1], prior) == cautions(stages[2], prior) == ""
    assert "that no stage has trained; train stage 2 first" in cautions(stages[3], prior)
    assert "stage1 has never been trained" in cautions(stages[3], None, after[1])
    assert cautions(stages[2], None, after[1]) == cautions(stages[1], None, after[1]) == ""
    assert cautions(stages[3], None, after[2]) == cautions(stages[3], None, foreign) == ""
    assert "let stage 2 follow" in cautions(stages[1], None, after[2])
    assert "let stage 2 follow" in cautions(stages[1], None, foreign)

    task = built(stages[3], None, after[2])
    task.export(tmp_path / "stage3", task.model, "trial")
    assert ModelFolder(tmp_path / "stage3").header.source == {"stages": [1, 2, 3]}
    task = built(stages[3], None, foreign)
    task.export(tmp_path / "unknown", task.model, "trial")
    assert ModelFolder(tmp_path / "unknown").header.source == {}


def test_data_that_teach_little_are_warned_of(tiny: Recipe, prior: Path) -> None:
    one = dataclasses.replace
    assert "set frames=1" in cautions(one(tiny, stage=1), prior)
    assert "sees single pictures only" in cautions(one(tiny, frames=1), prior)
    assert "sees single pictures only" in cautions(one(tiny, pictures=1.0), prior)
    assert "all training files are pictures" in cautions(tiny, prior, files="a.png b.jpg")
    assert cautions(one(tiny, stage=1, frames=1), prior, files="a.png b.jpg") == ""


@pytest.mark.parametrize("change", [{"crop": [[60.0, 2.0, 1.0]]}, {"frames": 16}])
def test_samples_that_the_network_cannot_take_are_refused(
    tiny: Recipe, prior: Path, change: dict[str, object]
) -> None:
    recipe = dataclasses.replace(tiny, **change)  # type: ignore[arg-type]
    crop, length = r'for example --set "crop=\[\[64, 2, 1\.0\]\]"', "change frames, or model.frames with it"
    how = crop if "crop" in change else length
    wanted = rf"cannot take samples of crop = 6\d and frames = 1\d \(.*\); {how}\.$"
    with pytest.raises(SweettokError, match=wanted):
        built(recipe, prior)


def test_a_new_network_says_how_far_its_start_is(prior: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brief = functools.partial(start_linear, polish_rows=32)
    monkeypatch.setattr("sweettok_cli.models.sweettok.task.start_linear", brief)
    table = {"preset": "sweettok-small", "dim": 32, "heads": 2, "head_dim": 16, "code_dim": 16}
    recipe = Recipe(
        model={**table, "spatial_code": [4, 3], "temporal_code": [4, 3]},
        init_samples=12,
        word_steps=4,
        frames=1,
        crop=[[64.0, 4.0, 1.0]],
        synthetic=1.0,
    )
    task, heard = SweetTokTask(recipe, None, prior), Heard()
    task.sampler = Sampler([Entry("a.mp4", Path("a.mp4"))], recipe.sampling)
    task.build(torch.device("cpu"), heard)
    assert heard.said == ["initialising from 12 samples"]
    assert heard.done["reading samples to start from"] == [0, 2, 4, 6, 8, 10]
    assert heard.done["fitting the new network to them"] == list(range(8))

    task.recipe = dataclasses.replace(recipe, init_samples=40)
    late = Heard()
    task.build(torch.device("cpu"), late, until=0.0)  # there is no time left
    assert late.done["reading samples to start from"] == list(range(0, 16, 2))
    assert "fitting the new network to them" not in late.done
    assert late.said[-1] == "its start was cut short: half of the minutes are over"
    assert all(torch.isfinite(p).all() for p in task.model.parameters())
