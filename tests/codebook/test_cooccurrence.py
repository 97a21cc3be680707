from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sweettok_cli.codebook.captions import (
    adjective_noun_pairs,
    adverb_verb_pairs,
    count_pairs,
    edges_from_pairs,
)
from sweettok_cli.codebook.vocabulary import Tagged


def tagged(text):
    """Tags written out: "big/adj dog/noun the/-"."""
    parts = (item.rpartition("/") for item in text.split())
    return [Tagged(word, None if part == "-" else part) for word, _, part in parts]


def test_adjectives_go_with_the_nouns_after_them():
    tags = tagged("a/- big/adj ,/- red/adj fire/noun truck/noun passes/verb a/- dog/noun")
    assert list(adjective_noun_pairs(tags)) == [
        ("big", "fire"),
        ("big", "truck"),
        ("red", "fire"),
        ("red", "truck"),
    ]


def test_an_adjective_after_be_goes_with_the_noun_before():
    tags = tagged("the/- ball/noun is/- very/adv large/adj")
    assert list(adjective_noun_pairs(tags)) == [("large", "ball")]


def test_an_adjective_alone_has_no_pair():
    assert list(adjective_noun_pairs(tagged("ball/noun of/- red/adj"))) == []


def test_adverbs_go_with_the_nearest_verb_of_their_clause():
    tags = tagged(
        "he/- slowly/adv opens/verb the/- door/noun ,/- loudly/adv sings/verb and/- jumps/verb up/adv"
    )
    assert list(adverb_verb_pairs(tags)) == [("slowly", "opens"), ("loudly", "sings"), ("up", "jumps")]


def test_an_adverb_reaches_three_tokens_and_no_further():
    near, far = "throws/verb the/- ball/noun up/adv", "throws/verb the/- red/adj ball/noun up/adv"
    assert list(adverb_verb_pairs(tagged(near))) == [("up", "throws")]
    assert list(adverb_verb_pairs(tagged(far))) == []


def test_an_adverb_does_not_reach_across_a_comma():
    assert list(adverb_verb_pairs(tagged("runs/verb ,/- quickly/adv"))) == []


def test_pairs_are_counted_over_texts():
    spatial, temporal = count_pairs(
        [tagged("red/adj ball/noun"), tagged("red/adj ball/noun rolls/verb fast/adv")]
    )
    assert spatial == Counter({("red", "ball"): 2})
    assert temporal == Counter({("fast", "rolls"): 1})


def test_edges_number_heads_after_modifiers_and_skip_unknown_words():
    pairs = {("red", "ball"): 3, ("big", "dog"): 1, ("red", "unlisted"): 9, ("odd", "dog"): 9}
    edges = edges_from_pairs(pairs, ["red", "big"], ["dog", "ball"], limit=10)
    assert edges.dtype == np.int64
    assert edges.tolist() == [[0, 1], [3, 2]]


def test_the_limit_keeps_the_strongest_pairs_but_isolates_no_word_for_a_second_edge():
    pairs = {("a", "x"): 9, ("a", "y"): 8, ("b", "x"): 7, ("b", "y"): 6, ("c", "z"): 1}
    edges = edges_from_pairs(pairs, ["a", "b", "c"], ["x", "y", "z"], limit=4)
    assert set(map(tuple, edges.T.tolist())) == {(0, 3), (0, 4), (1, 3), (2, 5)}


def test_no_pairs_make_an_empty_graph():
    assert edges_from_pairs({}, ["a", "b"], ["x"], limit=5).shape == (2, 0)


@given(
    st.dictionaries(st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz")), st.integers(1, 9)),
    st.integers(0, 12),
)
def test_edges_are_unique_in_range_and_within_the_limit(pairs, limit):
    edges = edges_from_pairs(pairs, "abc", "xyz", limit)
    assert edges.shape[0] == 2
    assert edges.shape[1] <= limit
    assert len(set(map(tuple, edges.T.tolist()))) == edges.shape[1]
    assert ((edges[0] >= 0) & (edges[0] < 3)).all()
    assert ((edges[1] >= 3) & (edges[1] < 6)).all()
