from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sweettok_cli.codebook.vocabulary import (
    PUBLISHED_SIZES,
    choose_words,
    english_frequency,
    offensive_words,
)
from sweettok_cli.errors import SweettokError

FREQUENCIES = {
    "dog": 5.0,
    "ball": 4.8,
    "idea": 5.2,
    "paris": 5.0,
    "orange": 4.5,
    "grumph": 4.0,
    "blork": 4.0,
    "benny": 4.5,
    "bigness": 2.0,
    "run": 5.3,
    "running": 5.2,
    "throw": 4.8,
    "throwing": 4.4,
    "quicken": 2.5,
    "bark": 3.9,
    "barking": 3.6,
    "big": 5.7,
    "large": 5.2,
    "red": 5.3,
    "round": 5.0,
    "quick": 4.9,
    "quickly": 4.9,
    "loudly": 3.8,
    "carefully": 4.3,
}
SIZES = {"adj": 4, "noun": 3, "adv": 2, "verb": 5}


def frequency(word: str) -> float:
    return FREQUENCIES.get(word, 0.0)


def test_lists_have_the_sizes_asked_for_and_share_no_word_within_a_pair(wordnet):
    words = choose_words(wordnet, SIZES, frequency)
    assert {part: len(getattr(words, part)) for part in SIZES} == SIZES
    assert not set(words.adj) & set(words.noun)
    assert not set(words.adv) & set(words.verb)


def test_a_word_goes_where_it_is_tagged_more_often(wordnet):
    words = choose_words(wordnet, {**SIZES, "adj": 6}, frequency)
    assert "orange" in words.adj
    assert "orange" not in words.noun


def test_what_can_be_seen_comes_before_the_more_frequent_abstract(wordnet):
    nouns = choose_words(wordnet, SIZES, frequency).noun
    assert nouns.index("dog") < nouns.index("idea")


def test_participles_stand_beside_their_verbs(wordnet):
    verbs = choose_words(wordnet, {**SIZES, "verb": 7}, frequency).verb
    assert set(verbs) == {"run", "running", "throw", "throwing", "bark", "barking", "quicken"}
    assert verbs.index("run") < verbs.index("bark")


def test_names_several_words_unknown_and_offensive_ones_are_left_out(wordnet):
    nouns = set(choose_words(wordnet, {**SIZES, "noun": 4}, frequency).noun)
    assert nouns == {"dog", "ball", "idea", "bark"}


def test_offence_is_read_from_usage_domains_and_glosses(wordnet):
    offensive = offensive_words(wordnet)
    assert {"grumph", "blork"} <= offensive
    # The first sense of "blork" weighs more than two harmless ones.
    assert len(wordnet.meanings("blork", "noun")) == 3
    # The usage pointer starts from the other word of that synset.
    assert "oaf" not in offensive
    assert "dog" not in offensive


def test_too_few_words_name_the_option(wordnet):
    with pytest.raises(SweettokError, match="3 usable adverbs, fewer than 9; pass --adverbs 3"):
        choose_words(wordnet, {**SIZES, "adv": 9}, frequency)


def test_a_missing_wordfreq_names_the_extra(tmp_path):
    (tmp_path / "wordfreq.py").write_text("raise ImportError('no wordfreq')")
    code = (
        "from sweettok_cli.codebook.vocabulary import english_frequency\n"
        "from sweettok_cli.errors import SweettokError\n"
        "try:\n    english_frequency()\nexcept SweettokError as error:\n    print(error)"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert "sweettok[codebook]" in done.stdout, done.stderr


def test_published_sizes_from_real_wordnet(real_wordnet):
    pytest.importorskip("wordfreq")
    words = choose_words(real_wordnet, PUBLISHED_SIZES, english_frequency())
    assert {part: len(getattr(words, part)) for part in PUBLISHED_SIZES} == PUBLISHED_SIZES
    assert {"dog", "car", "water", "tree"} <= set(words.noun)
    assert {"red", "wet", "small"} <= set(words.adj)
    assert {"run", "running", "fly", "flying"} <= set(words.verb)
    assert {"quickly", "slowly", "up"} <= set(words.adv)
    for part in PUBLISHED_SIZES:
        chosen = getattr(words, part)
        assert len(set(chosen)) == len(chosen)
        assert all(word.isascii() and word.isalpha() and word.islower() for word in chosen)
