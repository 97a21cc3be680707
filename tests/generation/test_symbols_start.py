"""Symbols begin where their codes lie in the tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from small_generator import TINY
from small_models import save_sweettok
from small_run import Heard

from sweettok_cli.cli.trainable import task_of
from sweettok_cli.errors import SweettokError
from sweettok_cli.generation.codes import start_from_codes
from sweettok_cli.generation.config import make_config
from sweettok_cli.generation.network import Generator, build_network
from sweettok_cli.generation.task import GeneratorTask
from sweettok_cli.models.common.budget import Budget
from sweettok_cli.sequences.vocabulary import Vocabulary
from sweettok_cli.tokens import write_tokens
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.zoo.load import load

BOOKS = {"spatial": (300, 300, 40), "temporal": (12, 12, 18)}


def made(width: int = 64) -> Generator:
    vocabulary = Vocabulary("sweettok", "small", "0" * 64, BOOKS)
    torch.manual_seed(0)
    return Generator(build_network(make_config({**TINY, "width": width}), vocabulary), vocabulary)


def vectors(generator: Generator) -> torch.Tensor:
    return generator.network.get_input_embeddings().weight.detach().clone()


def test_neighbours_begin_as_neighbours() -> None:
    generator = made()
    vocabulary = Vocabulary("sweettok", "small", "0" * 64, BOOKS)
    codes = torch.randn(300, 4, generator=torch.Generator().manual_seed(1)) * 7 + 3
    before = vectors(generator)
    start_from_codes(generator, vocabulary, {"adjectives": codes})
    after, each = vectors(generator), vocabulary.lists["adjectives"]
    assert torch.equal(after[: each.start], before[: each.start])
    assert torch.equal(after[each.end :], before[each.end :])  # lists without codes keep theirs
    own = after[each.start : each.end]
    assert own.std().item() == pytest.approx(before.std().item(), rel=0.05)
    apart, chance = torch.cdist(codes, codes), torch.cdist(own, own)
    apart.fill_diagonal_(torch.inf)
    near = chance.gather(1, apart.argmin(1, keepdim=True)).mean()
    assert near < 0.6 * chance.mean() and near > 0.01 * chance.mean()
    again = made()
    start_from_codes(again, vocabulary, {"adjectives": codes})
    assert torch.equal(vectors(again), after)


def test_codes_that_all_lie_in_one_place_do_not_break_it() -> None:
    generator = made()
    start_from_codes(
        generator, Vocabulary("sweettok", "small", "0" * 64, BOOKS), {"verbs": torch.ones(18, 3)}
    )
    assert vectors(generator).isfinite().all()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tokenizer's folder, and beside it tokens that it made."""
    save_sweettok(tmp_path / "model")
    model = load(tmp_path / "model", "cpu", "float32")
    frames = np.random.default_rng(0).integers(0, 255, (34, 64, 64, 3)).astype(np.uint8)
    (tmp_path / "tokens").mkdir()
    write_tokens(tmp_path / "tokens" / "a.npz", model.encode(frames, budget=Budget(fixed=True)))
    return tmp_path / "model"


def task_for(recipe: Recipe, source: Path, words: Path | None) -> GeneratorTask:
    task = task_of(recipe, None, words)
    assert isinstance(task, GeneratorTask)
    task.batches([source.parent / "tokens"], None, 0, 1, Heard())
    return task


def test_a_run_begins_there(recipe: Callable[..., Recipe], source: Path) -> None:
    task = task_for(recipe(), source, source)
    torch.manual_seed(0)
    task.build(torch.device("cpu"), Heard())
    each = task.card.vocabulary.lists["verbs"]
    expected = made_like(task)
    start_from_codes(expected, task.card.vocabulary, load(source, "cpu", "float32").code_vectors())
    rows = vectors(task.model)[each.start : each.end]
    assert torch.equal(rows, vectors(expected)[each.start : each.end])
    assert not task.cautions()


def made_like(task: GeneratorTask) -> Generator:
    torch.manual_seed(0)
    return Generator(build_network(task.card.config, task.card.vocabulary), task.card.vocabulary)


def test_without_the_tokenizer_they_begin_anywhere_and_it_is_said(
    recipe: Callable[..., Recipe], source: Path
) -> None:
    task = task_for(recipe(), source, None)
    torch.manual_seed(0)
    task.build(torch.device("cpu"), Heard())
    assert torch.equal(vectors(task.model), vectors(made_like(task)))
    (caution,) = task.cautions()
    assert "--prior" in caution


def test_another_tokenizer_is_refused(recipe: Callable[..., Recipe], source: Path) -> None:
    other = "sweettok-small"
    from sweettok_cli.zoo.local import find_named

    task = task_for(recipe(), source, find_named(other))
    with pytest.raises(SweettokError, match="weights"):
        task.build(torch.device("cpu"), Heard())
