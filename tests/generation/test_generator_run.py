"""Generators are trained by the one loop: they learn, stop and go on, and what is wrong is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_generator import TINY, write_videos
from small_run import Heard
from task_runs import interrupted, lines, same, state

from sweettok_cli.cli.trainable import task_of
from sweettok_cli.errors import SweettokError
from sweettok_cli.generation.config import make_config
from sweettok_cli.generation.folder import read_card
from sweettok_cli.generation.network import Generator, build_network
from sweettok_cli.generation.videos import find_token_files
from sweettok_cli.generation.words import start_from_words
from sweettok_cli.sequences.vocabulary import Vocabulary
from sweettok_cli.training.loop import RunOptions, train
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.recipe_file import load_recipe
from sweettok_cli.training.record import RunRecord

pytestmark = pytest.mark.usefixtures("one_run_a_process")
Recipes = Callable[..., Recipe]


def run(recipe: Recipe, data: Path, out: Path, **options: Any) -> dict[str, Any]:
    init, val = options.pop("init", None), options.pop("val", None)
    task = options.pop("task", None) or task_of(recipe, init, None)
    record = RunRecord.of([data], val, init, None)
    summary = train(RunOptions(task, recipe, record, out, **options), options.pop("voice", None) or Heard())
    assert summary is not None
    return summary


@pytest.mark.parametrize("levels", [False, True])
def test_it_learns_and_is_validated(
    recipe: Recipes, token_folders: dict[bool, Path], tmp_path: Path, levels: bool
) -> None:
    wanted = recipe(steps=12, classes=True, validate_every=12)
    val = write_videos(tmp_path / "val", levels, first=20, count=2)
    summary = run(wanted, token_folders[levels], tmp_path / "run", val=val)
    found = lines(tmp_path / "run")
    assert found[-1]["loss"] < 0.95 * found[0]["loss"] and 0 < found[-1]["bits"] < found[0]["bits"]
    assert summary["validation_ratio"] > 0.5 and summary["best"]["step"] == 12
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    (measured,) = [line for line in log if line["kind"] == "validate"]
    assert measured["ratio"] == pytest.approx(measured["nominal_bits_per_token"] / measured["bits_per_token"])
    card = read_card(Path(summary["model"]))
    assert card.vocabulary.classes == ("Archery", "Biking") and card.clips == 2 and card.name == "run"
    assert bool(card.like.levels) is levels


def test_resuming_is_bit_for_bit(recipe: Recipes, token_folders: dict[bool, Path], tmp_path: Path) -> None:
    wanted = recipe(classes=True, model={**TINY, "dropout": 0.1})
    run(wanted, token_folders[False], tmp_path / "straight")
    task = interrupted(task_of(wanted, None, None), at=2)
    assert run(wanted, token_folders[False], tmp_path / "halves", task=task)["step"] == 3
    torch.manual_seed(99)
    run(wanted, token_folders[False], tmp_path / "halves", resume=True)
    one, two = state(tmp_path / "straight"), state(tmp_path / "halves")
    assert all(same(one[part], two[part]) for part in ("model", "optimizers", "averaged"))
    weights = [(tmp_path / n / "model" / "model.safetensors").read_bytes() for n in ("straight", "halves")]
    assert weights[0] == weights[1]


def test_a_run_begins_with_another(recipe: Recipes, token_folders: dict[bool, Path], tmp_path: Path) -> None:
    first = run(recipe(classes=True), token_folders[False], tmp_path / "first")
    wanted = recipe(steps=1, lr=1e-9, classes=True, model={"preset": "generator-small"})
    more = write_videos(tmp_path / "more", levels=False, first=30, count=1)  # of one of the classes
    run(wanted, more, tmp_path / "second", init=Path(first["model"]))
    cards = [read_card(tmp_path / name / "model") for name in ("first", "second")]
    assert cards[0].vocabulary == cards[1].vocabulary and cards[0].config == cards[1].config
    files = [(tmp_path / name / "model" / "model.safetensors") for name in ("first", "second")]
    from safetensors.torch import load_file

    before, after = map(load_file, files)
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ssim": 0.5}, "ssim = 0.5 means nothing for a generator"),
        ({"crop": [[128, 4, 1.0]]}, "of 64x64 pixels, and crop says 128"),
        ({"crop": [[64, 4, 1.0], [128, 2, 1.0]]}, "all of one size"),
        ({"model": {**TINY, "heads": 3}}, "width = 32 is no even number"),
        ({"model": {**TINY, "depth": 3}}, "'depth' is no setting"),
        (
            {
                "model": {
                    "preset": "videogpt",
                    "layers": 1,
                    "heads": 2,
                    "width": 32,
                    "inner": 64,
                    "places": 40,
                }
            },
            "more symbols than the 40 places",
        ),
        ({"optimizer": "muon"}, "none is trained here"),
    ],
)
def test_recipes_that_cannot_be(
    recipe: Recipes, token_folders: dict[bool, Path], tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(SweettokError, match=words):
        run(recipe(**changes), token_folders[False], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_be(recipe: Recipes, token_folders: dict[bool, Path], tmp_path: Path) -> None:
    mixed = write_videos(tmp_path / "mixed", levels=False, count=2)
    write_videos(mixed, levels=True, first=2, count=1)
    with pytest.raises(SweettokError, match=r"2\.npz has levels of detail.* with --fixed"):
        run(recipe(), mixed, tmp_path / "run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SweettokError, match="no token files"):
        run(recipe(), tmp_path / "empty", tmp_path / "run")
    with pytest.raises(SweettokError, match="never trained on"):
        run(recipe(validate_every=1), token_folders[False], tmp_path / "run", val=token_folders[False])


def test_copies_of_what_is_held_out_are_not_learned(
    recipe: Recipes, token_folders: dict[bool, Path], tmp_path: Path
) -> None:
    (tmp_path / "val" / "Other").mkdir(parents=True)
    copied = shutil.copy(token_folders[False] / "Biking" / "0.npz", tmp_path / "val" / "Other" / "x.npz")
    heard = Heard()
    wanted = recipe(classes=True, validate_every=1, steps=1)
    task = task_of(wanted, None, None)
    task.batches([token_folders[False]], tmp_path / "val", 0, 1, heard)
    assert task.found()["videos"] == 5 and task.found()["clips_held_out"] == 2
    (said,) = [line for line in heard.said if "left out" in line]
    assert said.startswith("1 of 6 videos are those of --val")
    with pytest.raises(SweettokError, match="or are copies of those"):
        run(wanted, Path(copied), tmp_path / "run", val=token_folders[False])


def test_videos_are_no_tokens(tmp_path: Path) -> None:
    (tmp_path / "c64" / "Archery").mkdir(parents=True)
    (tmp_path / "c64" / "Archery" / "a.mp4").touch()
    for given in (tmp_path / "c64", tmp_path / "c64" / "Archery" / "a.mp4"):
        with pytest.raises(SweettokError, match=r"a\.mp4 is a video or picture.*encode .* --fixed") as told:
            find_token_files([given])
        assert f"`sweettok encode {given} -o tokens/ --fixed`" in str(told.value)
    (tmp_path / "c64" / "Archery" / "a.npz").touch()
    assert find_token_files([tmp_path / "c64"]) == [tmp_path / "c64" / "Archery" / "a.npz"]


def test_what_lies_plain_and_packed_is_learned_once(tmp_path: Path) -> None:
    for name in ("a.npz", "a.swt", "b.swt", "notes.txt"):
        (tmp_path / name).touch()
    assert find_token_files([tmp_path, tmp_path / "b.swt"]) == [tmp_path / "a.npz", tmp_path / "b.swt"]
    with pytest.raises(SweettokError, match=r"none\.npz does not exist"):
        find_token_files([tmp_path / "none.npz"])


def test_symbols_begin_as_the_words_of_a_language_model(tmp_path: Path) -> None:
    from codebook.conftest import save_language_model

    model = save_language_model(tmp_path / "language-model")
    draw, letters = np.random.default_rng(0), np.array(list("abcdefghijklmnopqrstuvwxyz"))
    sizes = {"adjectives": 20, "nouns": 30, "adverbs": 12, "verbs": 18}
    words = {  # half of whose letters are those of their part of speech
        part: [first * 3 + "".join(draw.choice(letters, 3)) for _ in range(size)]
        for first, (part, size) in zip("anrv", sizes.items(), strict=True)
    }
    books = {"spatial": (20, 20, 30), "temporal": (12, 12, 18)}
    vocabulary = Vocabulary("sweettok", "small", "0" * 64, books)
    torch.manual_seed(0)
    config = make_config({**TINY, "width": 8, "heads": 2})
    generator = Generator(build_network(config, vocabulary), vocabulary)
    rows = generator.network.get_input_embeddings().weight
    before = rows.detach().clone()
    start_from_words(generator, vocabulary, words, str(model), Heard())
    nouns = vocabulary.lists["nouns"]
    assert torch.equal(rows[:72], before[:72]) and not torch.equal(rows[nouns.start], before[nouns.start])
    assert rows.std().item() == pytest.approx(before.std().item(), rel=0.1)
    # Words that are spelt alike lie near each other.
    alike = torch.cdist(rows[nouns.start : nouns.end], rows[nouns.start : nouns.end]).mean()
    verbs = vocabulary.lists["verbs"]
    assert alike < torch.cdist(rows[nouns.start : nouns.end], rows[verbs.start : verbs.end]).mean()
    with pytest.raises(SweettokError, match="numbers, fewer than"):
        wide = Generator(build_network(make_config({**TINY, "width": 512}), vocabulary), vocabulary)
        start_from_words(wide, vocabulary, words, str(model), Heard())


def test_shipped_recipes_name_networks() -> None:
    for name in ("generator-small", "generator-ucf101"):
        assert task_of(load_recipe(None, name), None, None).title
