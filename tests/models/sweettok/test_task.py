"""What each stage makes and trains, and replacing an exported model in one move."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.config import SweetTokConfig, make_config
from sweettok_cli.models.sweettok.task import STAGES, SweetTokTask
from sweettok_cli.training.recipe import Recipe, load_recipe, recipe_names


def test_config_is_the_preset_with_changes() -> None:
    assert make_config({"preset": "compact"}) == SweetTokConfig()
    assert make_config({"preset": "compact", "dim": 64}) == dataclasses.replace(SweetTokConfig(), dim=64)


@pytest.mark.parametrize("name", recipe_names())
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
    task.build(torch.device("cpu"), lambda _: None)
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


@pytest.mark.parametrize("stage", STAGES)
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
