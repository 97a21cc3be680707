"""The published word priors: which words are kept, where edges end, and what a missing vector does."""

from __future__ import annotations

import collections
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.published_words import WITHOUT_VECTOR, read_pickled_words
from tests.parity.compact import made_up_prior
from tests.parity.rule import Case, case_folder
from tests.published_files import save_words


def vector(value: float, *shape: int) -> torch.Tensor:
    return torch.full((*shape, 4), value)


def spatial() -> dict[str, Any]:
    return {
        "adj_code_book_num": {"red": 11, "rare": 10, "tall": 50, "wooden": 12},
        "noun_code_book_num": {"tree": 20, "red": 90, "rare": 90, "house": 11, "fog": 3},
        "adj_noun_edges": [
            ("tall", "tree"),
            ("tall", "tree"),
            ("red", "house"),
            ("rare", "tree"),
            ("red", "fog"),
        ],
        "adj_code_book_vec": {w: vector(i, 1, 1) for i, w in enumerate(["red", "rare", "tall", "wooden"])},
        "noun_code_book_vec": {w: vector(10 + i, 1) for i, w in enumerate(["tree", "red", "house", "fog"])},
    }


def temporal() -> dict[str, Any]:
    return {
        "adverb_code_book_num": {"slowly": 1, "fast": 1, "well": 1},
        "verb_code_book_num": {"run": 1, "fast": 1, "walk": 1},
        "verb_adverb_edges": {("run", "fast"), ("walk", "slowly"), ("fast", "fast")},
        "adverb_vec": {w: vector(i) for i, w in enumerate(["slowly", "fast", "well"])},
        "verb_vec": {w: vector(10 + i) for i, w in enumerate(["run", "fast", "walk"])},
    }


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    def save(first: Any = None, second: Any = None) -> tuple[Path, Path]:
        paths = tmp_path / "noun_adj.pkl", tmp_path / "verb_adv.pkl"
        for path, content in zip(paths, (first or spatial(), second or temporal()), strict=True):
            path.write_bytes(pickle.dumps(content))
        return paths

    return save


def pairs(edges: np.ndarray) -> list[tuple[int, int]]:
    return [tuple(pair) for pair in edges.T.tolist()]


def test_rare_words_and_nouns_that_are_adjectives_are_left_out(
    save: Callable[..., tuple[Path, Path]],
) -> None:
    graph = read_pickled_words(*save()).spatial
    assert (graph.modifiers, graph.heads) == (["red", "tall", "wooden"], ["tree", "house"])
    assert graph.vectors.dtype == np.float32 and graph.vectors[:, 0].tolist() == [0, 2, 3, 10, 12]
    assert pairs(graph.edges) == [(1, 3), (1, 3), (0, 4)]


def test_adverbs_and_verbs_are_all_kept(save: Callable[..., tuple[Path, Path]]) -> None:
    """The edges of a word that is both end at the verb; one from a word to itself says nothing."""
    prior = read_pickled_words(*save())
    graph = prior.temporal
    assert (graph.modifiers, graph.heads) == (["slowly", "fast", "well"], ["run", "fast", "walk"])
    assert sorted(pairs(graph.edges)) == [(3, 4), (5, 0)]
    assert prior.about == {"from": "published word priors", "files": ["noun_adj.pkl", "verb_adv.pkl"]}


def test_without_a_vector_rows_move_up_and_edges_stay(save: Callable[..., tuple[Path, Path]]) -> None:
    content = spatial()
    del content["adj_code_book_vec"]["red"]
    content["adj_noun_edges"] = [("tall", "tree"), ("red", "tree"), ("wooden", "tall")]
    prior = read_pickled_words(*save(content))
    graph = prior.spatial
    assert (graph.modifiers, graph.heads) == (["tall", "wooden"], ["tree", "house"])
    assert graph.vectors[:, 0].tolist() == [2, 3, 10, 12]
    # Places among the kept words, red included: tall is 1, tree is 3. In these rows are wooden and house.
    assert pairs(graph.edges) == [(1, 3), (0, 3), (2, 1)]
    assert prior.about["spatial " + WITHOUT_VECTOR] == ["red"]
    assert "temporal " + WITHOUT_VECTOR not in prior.about


def test_edges_without_a_row_are_refused(save: Callable[..., tuple[Path, Path]]) -> None:
    content = spatial()
    del content["adj_code_book_vec"]["wooden"]
    with pytest.raises(SweettokError, match=r"noun_adj\.pkl has words without a vector, and edges to words"):
        read_pickled_words(*save(content))  # red and house: the house's place is 4, and there are 4 rows


def test_counters_and_arrays_serve_as_well(save: Callable[..., tuple[Path, Path]]) -> None:
    content = spatial()
    for name in ("adj_code_book_num", "noun_code_book_num"):
        content[name] = collections.Counter(content[name])
    for name in ("adj_code_book_vec", "noun_code_book_vec"):
        content[name] = {word: value.half().numpy() for word, value in content[name].items()}
    graph, expected = read_pickled_words(*save(content)).spatial, read_pickled_words(*save()).spatial
    assert graph.modifiers == expected.modifiers and np.array_equal(graph.vectors, expected.vectors)


def test_made_up_priors_are_what_the_golden_network_has(tmp_path: Path) -> None:
    case = Case(case_folder("sweettok_compact"))
    prior, expected = read_pickled_words(*save_words(tmp_path, case)), made_up_prior(case)
    for ours, golden in ((prior.spatial, expected.spatial), (prior.temporal, expected.temporal)):
        assert (ours.modifiers, ours.heads) == (golden.modifiers, golden.heads)
        assert np.array_equal(ours.vectors, golden.vectors)
        assert np.array_equal(ours.edges, golden.edges)


def change(name: str, value: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {**spatial(), name: value}


def vectors(tree: Any) -> Callable[[], dict[str, Any]]:
    return change("noun_code_book_vec", {"tree": tree, "house": vector(1)})


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "no dict": (lambda: [1, 2], "holds no dict of words but list"),
    "parts missing": (
        lambda: {"adj_code_book_num": {}},
        r"lacks noun_code_book_num, adj_noun_edges, .*it has 'adj_",
    ),
    "verbs for nouns": (temporal, "it holds the adverbs and verbs: exchange the two files"),
    "list of counts": (change("adj_code_book_num", ["red"]), "no dict under adj_code_book_num"),
    "numbers for words": (change("noun_code_book_num", {1: 20}), "has 1 among its adjectives and nouns"),
    "words for counts": (change("adj_code_book_num", {"red": "often"}), "counts that are no numbers"),
    "too few": (change("adj_code_book_num", {"red": 20}), "has 1 modifiers with a vector, not 2 to 65536"),
    "edges of three": (change("adj_noun_edges", [("a", "b", "c")]), "an edge that is no pair"),
    "no edges": (change("adj_noun_edges", None), "no list of edges"),
    "square vectors": (
        change("noun_code_book_vec", {"tree": torch.ones(4, 4), "house": vector(1)}),
        r"shape \[4, 4\]",
    ),
    "longer vectors": (
        change("noun_code_book_vec", {"tree": torch.ones(5), "house": vector(1)}),
        r"shape \[5\]",
    ),
    "dicts for vectors": (vectors({}), "no tensor or array of real"),
    "lists of lists": (vectors([[1], [1, 2]]), "no tensor or array of real"),
    "text for vectors": (vectors(np.array(["a"])), "no tensor or array of real"),
    "complex": (vectors(torch.ones(4, dtype=torch.complex64)), "no tensor or array of real"),
    "tensors for counts": (change("adj_code_book_num", {"red": torch.ones(2)}), r"no numbers \(tensor"),
    "half a letter": (change("adj_code_book_num", {"\ud800": 20}), r"'\\ud800' .*, which is no word"),
    "text for a word": (change("noun_code_book_num", {"x" * 201: 20}), "xxx' .*, which is no word"),
    "infinite": (vectors(vector(torch.inf)), "not finite"),
}


@pytest.mark.parametrize(("content", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(
    save: Callable[..., tuple[Path, Path]], content: Callable[[], Any], words: str
) -> None:
    with pytest.raises(SweettokError, match=words):
        read_pickled_words(*save(content()))


def test_vectors_cannot_take_more_than_their_file_has_room_for(tmp_path: Path) -> None:
    """One number that is shown so often that no machine holds it."""
    content = spatial()
    content["adj_code_book_vec"]["red"] = torch.ones(1).expand(1 << 40)
    torch.save(content, tmp_path / "noun_adj.pkl")
    with pytest.raises(SweettokError, match=r"noun_adj\.pkl are larger than what their file holds"):
        read_pickled_words(tmp_path / "noun_adj.pkl", tmp_path / "verb_adv.pkl")
