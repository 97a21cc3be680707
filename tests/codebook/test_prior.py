from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from small_network import word_prior

from sweettok_cli.codebook.prior import (
    JSON_FILE,
    TENSOR_FILE,
    WordGraph,
    WordPrior,
    check_folder,
    check_graph,
    first_words,
    load_prior,
    save_prior,
)
from sweettok_cli.errors import SweettokError
from sweettok_cli.files import sha256_file


def graph(modifiers=("red", "big"), heads=("dog", "ball", "tree"), dim=4) -> WordGraph:
    rows = len(modifiers) + len(heads)
    values = np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float16).astype(np.float32)
    return WordGraph(list(modifiers), list(heads), values, np.array([[0, 1, 1], [2, 3, 3]]))


@pytest.fixture
def prior() -> WordPrior:
    return WordPrior(graph(), graph(("fast", "up"), ("run", "jump")), {"llm": "tiny"})


@pytest.fixture
def folder(prior, tmp_path):
    save_prior(prior, tmp_path / "prior")
    return tmp_path / "prior"


def rewrite(folder, tensors=None, **changes):
    """Spoil a prior: change tensors or entries of the JSON, keeping the two files matched."""
    if tensors is not None:
        save_file({**load_file(folder / TENSOR_FILE), **tensors}, folder / TENSOR_FILE)
        changes.setdefault("tensors_sha256", sha256_file(folder / TENSOR_FILE))
    document = json.loads((folder / JSON_FILE).read_text())
    (folder / JSON_FILE).write_text(json.dumps({**document, **changes}))


def test_round_trip(prior, folder):
    found = load_prior(folder)
    assert found.about == {"llm": "tiny"}
    for name in ("spatial", "temporal"):
        before, after = getattr(prior, name), getattr(found, name)
        assert (after.modifiers, after.heads) == (before.modifiers, before.heads)
        np.testing.assert_array_equal(after.vectors, before.vectors)
        np.testing.assert_array_equal(after.edges, before.edges)
        assert after.vectors.dtype == np.float32
        assert after.edges.dtype == np.int64


def test_vectors_are_stored_in_sixteen_bits(folder):
    assert load_file(folder / TENSOR_FILE)["spatial.vectors"].dtype == np.float16


def test_an_edge_may_be_listed_twice_and_a_graph_may_have_none(prior, tmp_path):
    bare = dataclasses.replace(prior.temporal, edges=np.zeros((2, 0), np.int64))
    save_prior(WordPrior(prior.spatial, bare), tmp_path / "prior")
    found = load_prior(tmp_path / "prior")
    assert found.spatial.edges.tolist() == [[0, 1, 1], [2, 3, 3]]
    assert found.temporal.edges.shape == (2, 0)


BAD_GRAPHS = {
    "has 1 modifiers": {"modifiers": ["red"], "vectors": np.zeros((4, 4)), "edges": np.zeros((2, 0), int)},
    "has 0 heads": {"heads": [], "vectors": np.zeros((2, 4)), "edges": np.zeros((2, 0), int)},
    "'dog' twice": {"heads": ["dog", "ball", "dog"]},
    "'red' twice": {"heads": ["dog", "ball", "red"]},
    "no word": {"heads": ["dog", " ", "tree"]},
    "7 among its heads, which is no word": {"heads": ["dog", 7, "tree"]},
    r"shape \[4, 4\], not \[5, dim\]": {"vectors": np.zeros((4, 4))},
    r"vectors have shape \[5\]": {"vectors": np.zeros(5)},
    r"vectors have shape \[5, 0\]": {"vectors": np.zeros((5, 0))},
    "not finite": {"vectors": np.full((5, 4), np.nan)},
    r"edges have shape \[3, 2\]": {"edges": np.zeros((3, 2), int)},
    r"edges have shape \[2, 1\]": {"edges": np.array([[0.0], [2.0]])},
    "outside the 5 words": {"edges": np.array([[0], [5]])},
    "spatial words: the edges point outside": {"edges": np.array([[-1], [2]])},
    "to itself": {"edges": np.array([[0, 2], [2, 2]])},
}


@pytest.mark.parametrize(("message", "changes"), BAD_GRAPHS.items(), ids=list(BAD_GRAPHS))
def test_a_bad_graph_is_refused_and_not_written(prior, tmp_path, message, changes):
    bad = dataclasses.replace(prior.spatial, **changes)
    with pytest.raises(SweettokError, match=message):
        check_graph(bad, "spatial")
    with pytest.raises(SweettokError, match=message):
        save_prior(WordPrior(bad, prior.temporal), tmp_path / "prior")
    assert not (tmp_path / "prior").exists()


def test_vectors_too_large_for_sixteen_bits_are_refused(prior, tmp_path):
    loud = dataclasses.replace(prior.spatial, vectors=np.full((5, 4), 1e5, np.float32))
    with pytest.raises(SweettokError, match="16-bit"):
        save_prior(WordPrior(loud, prior.temporal), tmp_path / "prior")


def test_what_is_read_is_checked_too(folder):
    rewrite(folder, {"temporal.edges": np.array([[0], [99]], np.int32)})
    with pytest.raises(SweettokError, match=r"temporal words of .*prior: the edges point outside"):
        load_prior(folder)


@pytest.mark.parametrize("name", [JSON_FILE, TENSOR_FILE])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(SweettokError, match=f"{name} is missing"):
        load_prior(folder)


def test_files_of_two_priors_are_refused(folder):
    tensors = load_file(folder / TENSOR_FILE)
    save_file({name: value * 2 for name, value in tensors.items()}, folder / TENSOR_FILE)
    with pytest.raises(SweettokError, match="do not belong together"):
        load_prior(folder)


def test_truncated_tensors_are_refused(folder):
    path = folder / TENSOR_FILE
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SweettokError, match="damaged"):
        load_prior(folder)


def test_a_missing_tensor_is_named(folder):
    tensors = load_file(folder / TENSOR_FILE)
    del tensors["temporal.vectors"]
    save_file(tensors, folder / TENSOR_FILE)
    rewrite(folder, tensors_sha256=sha256_file(folder / TENSOR_FILE))
    with pytest.raises(SweettokError, match="no temporal vectors or edges"):
        load_prior(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "not a word prior"),
        ({"version": 2}, "has version 2 and this program reads version 1"),
        ({"spatial": None}, "no spatial word lists"),
        ({"temporal": {"modifiers": ["fast", "up"]}}, "no temporal word lists"),
    ],
)
def test_a_wrong_document_is_refused(folder, changes, message):
    rewrite(folder, **changes)
    with pytest.raises(SweettokError, match=message):
        load_prior(folder)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b"[" * 100_000, b"1" * 5000])
def test_rubbish_in_place_of_json_is_refused(folder, content):
    (folder / JSON_FILE).write_bytes(content)
    with pytest.raises(SweettokError, match=r"(Cannot read .*prior\.json|prior\.json holds no JSON object)"):
        load_prior(folder)


def test_a_prior_is_replaced_only_by_force(prior, folder):
    before = (folder / TENSOR_FILE).read_bytes()
    other = dataclasses.replace(prior, spatial=graph(dim=7))
    with pytest.raises(SweettokError, match="pass force=True"):
        save_prior(other, folder)
    assert (folder / TENSOR_FILE).read_bytes() == before
    save_prior(other, folder, force=True)
    assert load_prior(folder).spatial.vectors.shape == (5, 7)
    assert sorted(path.name for path in folder.iterdir()) == [JSON_FILE, TENSOR_FILE]


def test_impossible_folders_are_refused_before_any_work(prior, tmp_path):
    with pytest.raises(SweettokError, match="none does not exist"):
        save_prior(prior, tmp_path / "none" / "prior")
    (tmp_path / "file").write_text("")
    with pytest.raises(SweettokError, match="is a file"):
        check_folder(tmp_path / "file", force=True)
    with pytest.raises(SweettokError, match="does not exist"):
        check_folder(tmp_path / "none" / "prior", force=True)


def test_the_first_words_keep_their_vectors_and_edges() -> None:
    prior = word_prior()
    few = first_words(prior, 0.25)
    assert first_words(prior, 1.0) is prior
    for graph, whole, sizes in (
        (few.spatial, prior.spatial, (5, 8)),
        (few.temporal, prior.temporal, (3, 4)),
    ):
        assert (graph.modifiers, graph.heads) == (whole.modifiers[: sizes[0]], whole.heads[: sizes[1]])
        words, all_words = graph.modifiers + graph.heads, whole.modifiers + whole.heads
        for word, vector in zip(words, graph.vectors, strict=True):
            assert np.array_equal(vector, whole.vectors[all_words.index(word)])
        named = [(words[a], words[b]) for a, b in graph.edges.T]
        both = [(all_words[a], all_words[b]) for a, b in whole.edges.T]
        assert named == [pair for pair in both if {*pair} <= {*words}] != []
        check_graph(graph, "few")
    assert few.about["counts"]["spatial"]["heads"] == 8 and few.about["from"] == "dice"
    least = first_words(prior, 0.0)
    assert (len(least.spatial.modifiers), len(least.temporal.heads)) == (2, 1)
