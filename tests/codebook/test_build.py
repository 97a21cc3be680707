from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from sweettok_cli.cli.app import app
from sweettok_cli.codebook.build import BuildOptions, build_prior, gloss_pairs
from sweettok_cli.codebook.prior import load_prior
from sweettok_cli.codebook.vectors import embed_words
from sweettok_cli.codebook.vocabulary import Vocabulary
from sweettok_cli.errors import SweettokError

SIZES = {"adj": 4, "noun": 3, "adv": 2, "verb": 5}
CAPTIONS = "a big red dog runs quickly\nthe red ball is big\na dog barks loudly\n"


def edges_as_words(graph):
    words = [*graph.modifiers, *graph.heads]
    return {(words[a], words[b]) for a, b in graph.edges.T}


@pytest.fixture
def captions(tmp_path):
    path = tmp_path / "captions.txt"
    path.write_text(CAPTIONS)
    return path


def test_gloss_pairs_come_from_examples_definitions_and_relations(wordnet):
    words = Vocabulary(
        ("big", "round"), ("dog", "ball", "bigness"), ("quickly", "loudly", "carefully"), ("run", "throw")
    )
    spatial, temporal = gloss_pairs(wordnet, words)
    assert ("big", "dog") in spatial  # "the big dog barked"
    assert ("round", "ball") in spatial  # ball: "a round red thing"
    assert ("big", "bigness") in spatial  # derivation
    assert ("quickly", "runs") in temporal  # "she runs quickly", and for its base form:
    assert ("quickly", "run") in temporal
    assert ("carefully", "run") in temporal  # "he runs carefully", said of another verb
    assert ("carefully", "throw") in temporal  # throw: "send carefully"
    assert ("quickly", "quicken") in temporal  # quickly, quick, quicken


def test_a_prior_from_wordnet(wordnet_folder, language_model):
    pytest.importorskip("wordfreq")
    stages, progress = [], []
    options = BuildOptions(str(language_model), wordnet_folder, pooling="input", sizes=SIZES)
    prior = build_prior(options, stages.append, lambda done, total: progress.append((done, total)))
    assert {"big", "red"} <= set(prior.spatial.modifiers)
    assert set(prior.spatial.heads) == {"dog", "ball", "idea"}
    assert "running" in prior.temporal.heads
    assert ("big", "dog") in edges_as_words(prior.spatial)
    assert len(stages) == 3
    assert progress[-1][0] == progress[-1][1] > 0
    row = len(prior.spatial.modifiers) + prior.spatial.heads.index("dog")
    expected = embed_words(["dog"], str(language_model), "input")[0]
    np.testing.assert_allclose(prior.spatial.vectors[row], expected, atol=1e-6)


def test_a_prior_from_captions_is_reduced_by_dim(wordnet_folder, language_model, captions):
    options = BuildOptions(str(language_model), wordnet_folder, captions, dim=2, least_count=0)
    prior = build_prior(options)
    assert prior.spatial.modifiers == ["big", "red"]
    assert prior.spatial.heads == ["dog", "ball"]
    assert edges_as_words(prior.spatial) == {("big", "dog"), ("red", "dog"), ("red", "ball"), ("big", "ball")}
    assert edges_as_words(prior.temporal) == {("quickly", "runs"), ("loudly", "barks")}
    assert prior.spatial.vectors.shape == (4, 2)
    assert prior.about["whitened"]
    assert prior.about["counts"]["temporal"] == {
        "modifiers": 2,
        "heads": 2,
        "edges": 2,
        "words_with_edges": 4,
    }
    assert str(wordnet_folder) not in json.dumps(prior.about)


def test_the_edge_limit_holds(wordnet_folder, language_model, captions):
    prior = build_prior(BuildOptions(str(language_model), wordnet_folder, captions, least_count=0, edges=1))
    assert prior.spatial.edges.shape == (2, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": "max"}, "--pooling max"),
        ({"edges": -1}, "--edges"),
        ({"sizes": {"adv": 0}}, "--adverbs 0"),
    ],
)
def test_senseless_options_are_refused_before_reading(tmp_path, changes, message):
    with pytest.raises(SweettokError, match=message):
        build_prior(BuildOptions("none", tmp_path, **changes))


def command(wordnet_folder, language_model, captions, out, *more):
    arguments = [
        "build",
        "-o",
        out,
        "--wordnet",
        wordnet_folder,
        "--llm",
        language_model,
        "--captions",
        captions,
    ]
    return CliRunner().invoke(
        app, ["codebook", *(str(item) for item in (*arguments, "--min-count", 0, *more))]
    )


def test_the_command_writes_a_prior_and_says_so(wordnet_folder, language_model, captions, tmp_path):
    result = command(
        wordnet_folder, language_model, captions, tmp_path / "prior", "--nouns", 1, "--json", "--dim", 2
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["counts"]["spatial"] == {"modifiers": 2, "heads": 1, "edges": 2, "words_with_edges": 3}
    assert report["folder"] == str(tmp_path / "prior")
    assert "Reading captions" in result.stderr
    prior = load_prior(tmp_path / "prior")
    assert prior.spatial.heads == ["dog"]
    assert prior.about["llm"] == language_model.name


def test_the_command_is_quiet_and_does_not_replace(wordnet_folder, language_model, captions, tmp_path):
    out = tmp_path / "prior"
    first = command(wordnet_folder, language_model, captions, out, "--quiet")
    assert first.stderr == ""
    assert first.stdout.splitlines()[0] == "2 adjectives, 2 nouns, 4 edges"
    again = command(wordnet_folder, language_model, captions, out)
    assert isinstance(again.exception, SweettokError)
    assert "Reading" not in again.stderr  # refused before the work
    assert command(wordnet_folder, language_model, captions, out, "--force").exit_code == 0


def test_usage_errors_exit_with_two(tmp_path):
    result = CliRunner().invoke(app, ["codebook", "build", "-o", str(tmp_path), "--pooling", "max"])
    assert result.exit_code == 2
