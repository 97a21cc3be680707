from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from small_levels import levelled
from small_network import small_network, smooth_clips, word_prior

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.budget import Budget
from sweettok_cli.models.sweettok.folder import save_model_folder
from sweettok_cli.recognition.counted import WordCounter
from sweettok_cli.recognition.nearest import token_histogram, word_vector
from sweettok_cli.recognition.prompt import make_prompt
from sweettok_cli.runtime import ignore_progress
from sweettok_cli.tokens import write_tokens
from sweettok_cli.words.reader import WordReader
from sweettok_cli.zoo.load import load

VIDEO = ((smooth_clips(1)[0].permute(1, 2, 3, 0) + 0.5) * 255).byte().numpy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip's tokens in both layouts, and of another model, with the models beside them."""
    place = tmp_path_factory.mktemp("counted")
    save_model_folder(place / "levels", levelled(), word_prior())
    save_model_folder(place / "other", small_network(), word_prior())
    tokenizer = load(place / "levels")
    write_tokens(place / "fixed.npz", tokenizer.encode(VIDEO, budget=Budget(fixed=True)))
    write_tokens(place / "detail.npz", tokenizer.encode(VIDEO))
    write_tokens(place / "strange.npz", load(place / "other").encode(VIDEO))
    return place


def counter(model: Path) -> WordCounter:
    return WordCounter(WordReader(str(model), lambda _: nullcontext(ignore_progress)))


def test_layouts_that_are_mixed_are_told(folder: Path) -> None:
    words = counter(folder / "levels")
    counts = words.count(folder / "fixed.npz")
    assert counts["nouns"].sum() == 16 and counts["verbs"].sum() == 64 and words.mixed is None
    words.count(folder / "detail.npz")
    assert words.mixed is not None
    assert "detail.npz has levels of detail and" in words.mixed and "encode all of them with" in words.mixed


def test_vectors_are_the_priors(folder: Path) -> None:
    words = counter(folder / "levels")
    words.count(folder / "fixed.npz")
    prior, found = word_prior(), words.vectors()
    assert {part: len(each) for part, each in words.words.items()} == {
        part: len(each) for part, each in found.items()
    }
    assert np.allclose(found["nouns"], prior.spatial.vectors[len(prior.spatial.modifiers) :], atol=0.01)
    assert np.allclose(found["adverbs"], prior.temporal.vectors[: len(prior.temporal.modifiers)], atol=0.01)


def test_words_of_two_models_do_not_compare(folder: Path) -> None:
    words = WordCounter(WordReader(None, lambda _: nullcontext(ignore_progress)))
    with pytest.raises(SweettokError, match="no shipped or pulled model"):
        words.count(folder / "fixed.npz")
    with pytest.raises(SweettokError, match="The tokens were made with weights"):
        counter(folder / "levels").count(folder / "strange.npz")


def test_layouts_that_are_mixed_compare_by_what_all_have(folder: Path) -> None:
    for names in (("fixed", "detail"), ("detail", "fixed"), ("detail", "detail")):
        words = counter(folder / "levels")
        counts = [words.count(folder / f"{name}.npz") for name in names]
        alike = [words.alike(each) for each in counts]
        assert ("detail" in alike[0]) is (len(set(names)) == 1) is (words.mixed is None)
        assert len({len(token_histogram(each)) for each in alike}) == 1
        assert [*alike[0]] == [*alike[1]] == [*words.words]
        vectors = words.vectors()
        assert word_vector(alike[0], vectors).shape == word_vector(alike[1], vectors).shape
        assert make_prompt(alike[0], {"a": alike[:1], "b": alike[1:]}, words.words).endswith("Class:")
