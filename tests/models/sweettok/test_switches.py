"""Ablations are a line of configuration each: what they make trains, goes on, is stored and codes clips."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_run import TINY_NETWORK, Heard
from task_runs import interrupted, lines, run, same, state

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.registry import task_of
from sweettok_cli.models.sweettok.folder import read_model, read_words
from sweettok_cli.models.sweettok.task import SweetTokTask
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.recipe_file import load_recipe, recipe_from
from sweettok_cli.video.reader import read_clip
from sweettok_cli.zoo.load import load

pytestmark = pytest.mark.usefixtures("one_run_a_process")

SMALL: dict[str, Any] = {
    **{"preset": "sweettok-small", "dim": 32, "heads": 2, "head_dim": 16, "code_dim": 16},
    **{"spatial_code": [4, 3], "temporal_code": [4, 3], "filter_channels": 4},
}
SWITCHES: dict[str, dict[str, Any]] = {
    "random": {"codebook": "random"},
    "learned": {"codebook": "learned"},
    "no-graph": {"graph": False},
    "two-nearest": {"search": 0},
    "differences": {"motion": "differences"},
    "flattened": {"queries": "flattened"},
    "half-the-words": {"words": 0.5},
    "9": {"frames": 9},
    "33": {"frames": 33},
}


@pytest.fixture
def recipe(tiny: Recipe) -> Recipe:
    """Three steps of a thin network of the shipped kind, from random weights."""
    return dataclasses.replace(
        tiny, model=SMALL, steps=3, crop=[[64.0, 2.0, 1.0]], log_every=1, pictures=0.3, neighbours=0.1
    )


def switched(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    model = {**recipe.model, **changes}
    return dataclasses.replace(recipe, model=model, frames=model.get("frames", recipe.frames))


def trained(recipe: Recipe, prior: Path, clips: Path, out: Path) -> Path:
    """The folder of the model of a run that was interrupted and went on, as an undisturbed one would."""
    run(recipe, clips, out / "straight", task=task_of(recipe, None, prior))
    halted = run(recipe, clips, out / "halves", task=interrupted(task_of(recipe, None, prior), 0))
    assert halted["interrupted"] and halted["step"] == 1
    torch.manual_seed(99)
    again = load_recipe(None, str(out / "halves" / "recipe.toml"))
    run(again, clips, out / "halves", task=task_of(again, None, None), resume=True)
    one, two = (state(out / name) for name in ("straight", "halves"))
    assert one.pop("seconds") != two.pop("seconds") and same(one, two)
    losses = [line["losses"] for line in lines(out / "straight")]
    assert len(losses) == 3 and losses == [line["losses"] for line in lines(out / "halves")]
    return out / "halves" / "model"


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_switch_trains_goes_on_and_codes_clips(
    switch: str, recipe: Recipe, prior: Path, clips: Path, tmp_path: Path
) -> None:
    folder = trained(switched(recipe, SWITCHES[switch]), prior, clips, tmp_path)
    tokenizer = load(str(folder), device="cpu")
    source = read_clip(clips / "inner" / "loose0.mp4", 0, 20)
    tokens = tokenizer.encode(source)
    tokens.check()
    length = SWITCHES[switch].get("frames", 17)
    assert tokenizer.spec.clip_frames == length and tokens.meta.clips == -(-20 // length)
    decoded = tokenizer.decode(tokens)
    assert decoded.shape == source.shape
    assert np.array_equal(load(str(folder), device="cpu").decode(tokens), decoded)
    assert tokenizer.decode(tokenizer.encode(source[0])).shape == source[0].shape


def test_random_vectors_are_those_that_were_stored(
    recipe: Recipe, prior: Path, clips: Path, tmp_path: Path
) -> None:
    random = switched(recipe, {"codebook": "random"})
    task = task_of(random, None, prior)
    assert isinstance(task, SweetTokTask)
    run(random, clips, tmp_path / "run", task=task)
    drawn, words = task.model.quantize_spatial.vectors, torch.from_numpy(task.words.spatial.vectors)
    assert abs(torch.corrcoef(torch.stack([drawn.flatten(), words.flatten()]))[0, 1]) < 0.1
    assert drawn.std().item() == pytest.approx(words.std().item(), rel=0.1)
    torch.manual_seed(5)
    stored = read_model(ModelFolder(tmp_path / "run" / "model"))
    assert torch.equal(stored.network.quantize_spatial.vectors, drawn.half().float())


def test_learned_codes_have_no_map_from_words(
    recipe: Recipe, prior: Path, clips: Path, tmp_path: Path
) -> None:
    learned = switched(recipe, {"codebook": "learned"})
    run(learned, clips, tmp_path / "run", task=task_of(learned, None, prior))
    network = read_model(ModelFolder(tmp_path / "run" / "model")).network
    names = {name for name, _ in network.named_parameters() if name.startswith("quantize_spatial")}
    assert names == {"quantize_spatial.modifier_offsets", "quantize_spatial.head_offsets"}
    with pytest.raises(ValueError, match="come from no words"):
        network.quantize_spatial.projected_words()


def test_only_words_have_neighbours_to_keep(recipe: Recipe, prior: Path) -> None:
    for codebook, halves in (("language", 2), ("random", 0), ("learned", 0)):
        task = SweetTokTask(switched(recipe, {"codebook": codebook}), None, prior)
        task.build(torch.device("cpu"), Heard())
        assert len(task.meaning) == halves


def test_without_a_graph_no_word_depends_on_another(recipe: Recipe, prior: Path) -> None:
    task = SweetTokTask(switched(recipe, {"graph": False}), None, prior)
    task.build(torch.device("cpu"), Heard())
    quantizer = task.model.quantize_spatial
    assert quantizer.edges.shape == (2, 0)
    before = quantizer.projected_words()
    with torch.no_grad():
        quantizer.vectors[3] += 1
    changed = (quantizer.projected_words() != before).any(dim=-1)
    assert changed.nonzero().flatten().tolist() == [3]


def test_fewer_words_are_the_first_of_each_list(
    recipe: Recipe, prior: Path, clips: Path, tmp_path: Path
) -> None:
    few = switched(recipe, {"words": 0.5})
    run(few, clips, tmp_path / "run", task=task_of(few, None, prior))
    folder = ModelFolder(tmp_path / "run" / "model")
    words = read_words(folder)
    assert words["spatial"]["modifiers"] == [f"space-modifier-{i}" for i in range(10)]
    assert words["temporal"]["heads"] == [f"motion-head-{i}" for i in range(9)]
    tokens = load(str(folder.path), device="cpu").encode(read_clip(clips / "inner" / "loose0.mp4", 0, 17))
    assert tokens.meta.codebooks == {"spatial": (10, 10, 15), "temporal": (6, 6, 9)}

    on = task_of(few, folder.path, None)  # nothing is cut twice
    run(dataclasses.replace(few, model={}), clips, tmp_path / "on", task=on)
    assert read_words(ModelFolder(tmp_path / "on" / "model"))["spatial"] == words["spatial"]
    assert read_model(ModelFolder(tmp_path / "on" / "model")).config.words == 0.5


def test_fewer_words_than_are_tried_are_refused(recipe: Recipe, prior: Path) -> None:
    few = switched(recipe, {"words": 0.1, "search": 3})
    with pytest.raises(SweettokError, match=r"tries more modifiers than the 2 that model.words = 0.1"):
        SweetTokTask(few, None, prior).build(torch.device("cpu"), Heard())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"queries": "flat"}, r"model.queries = 'flat' is not one of 'decoupled', 'flattened'"),
        ({"codebook": "words"}, r"model.codebook = 'words' is not one of 'language', 'random', 'learned'"),
        ({"graph": "no"}, r"model.graph = 'no' is not true or false"),
        ({"words": 1.5}, r"model.words = 1.5 is not a number from 0 to 1"),
        ({"frames": 16}, r"16 frames are not 1 \+ k \* 4"),
        ({"queries": "flattened", "frames": 1}, "need clips of more than one frame"),
        ({"motion": "residual", "anchored": False}, r"motion = 'residual' needs anchored = true"),
    ],
)
def test_what_fits_no_network_is_said(
    changes: dict[str, Any], words: str, recipe: Recipe, prior: Path
) -> None:
    wrong = dataclasses.replace(recipe, model={**SMALL, **changes})
    with pytest.raises(SweettokError, match=words):
        SweetTokTask(wrong, None, prior).build(torch.device("cpu"), Heard())


def test_clips_of_another_length_than_the_network_are_refused(recipe: Recipe, prior: Path) -> None:
    wrong = dataclasses.replace(recipe, frames=33)
    with pytest.raises(SweettokError, match=r"frames = 33 .*; change frames, or model.frames"):
        SweetTokTask(wrong, None, prior).build(torch.device("cpu"), Heard())


def test_lines_of_a_command_are_enough() -> None:
    settings = ["model.queries=flattened", "model.codebook=random", "model.graph=false", "model.words=0.25"]
    recipe = load_recipe(2, None, settings)
    assert recipe.model == {
        **{"preset": "sweettok-small", "queries": "flattened", "codebook": "random", "graph": False},
        "words": 0.25,
    }
    assert recipe_from({"model": {**TINY_NETWORK, "queries": "flattened"}}, "test").model["queries"]
