"""Making a network from a recipe, and replacing an exported model in one move."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.config import SweetTokConfig
from sweettok_cli.training.network import codebook_sizes, export_model, make_config, make_network
from sweettok_cli.training.recipe import Recipe, load_recipe, recipe_names
from sweettok_cli.training.stages import STAGES


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


def test_words_come_from_the_prior(tiny: Recipe, prior: Path) -> None:
    network = make_network(tiny, None, prior)
    assert codebook_sizes(network.model) == {"spatial": [20, 20, 30], "temporal": [12, 12, 18]}
    assert torch.equal(
        network.model.quantize_spatial.vectors, torch.from_numpy(network.prior.spatial.vectors)
    )


def test_export_that_fails_leaves_the_old_model(
    tiny: Recipe, prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_network(tiny, None, prior)
    folder = tmp_path / "model"
    export_model(folder, network, network.model, "trial")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with monkeypatch.context() as patch:

        def full(*_: object, **__: object) -> None:
            raise OSError("No space left on device")

        patch.setattr("sweettok_cli.training.network.save_model_folder", full)
        with pytest.raises(OSError, match="space"):
            export_model(folder, network, network.model, "trial")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    with torch.no_grad():
        network.model.post_vq_spatial.bias.fill_(7.0)
    export_model(folder, network, network.model, "trial")
    assert make_network(tiny, folder, None).model.post_vq_spatial.bias[0] == 7.0


def test_stages_freeze_by_name(tiny: Recipe, prior: Path) -> None:
    model = make_network(tiny, None, prior).model
    names = [name for name, _ in model.named_parameters()]
    for stage in STAGES.values():
        stage.prepare(model)
        stage.set_mode(model)
        learn = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        if stage.number == 1:
            assert learn == {
                n for n in names if not re.search("temporal|motion|later", n) or n.startswith("to_pixels")
            }
            assert not model.encoder.temporal_features.training and model.encoder.spatial_features.training
        elif stage.number == 2:
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
    model = make_network(
        dataclasses.replace(tiny, model=small if anchored else tiny.model), None, prior
    ).model
    STAGES[3].prepare(model)
    STAGES[3].set_mode(model)
    video = torch.rand(2, 3, 17, 64, 64) - 0.5
    before = model.encode(video)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    after = model.encode(video)
    assert torch.equal(before.spatial, after.spatial) and torch.equal(before.temporal, after.temporal)
