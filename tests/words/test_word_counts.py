"""Counts of words, their use, perplexity and ranking."""

from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.words.counts import RankedWord, WordCounts

CODEBOOKS = {"spatial": [4, 4, 3], "temporal": [2, 2, 5]}
WORDS = {
    "adjectives": ["red", "old", "wet", "big"],
    "nouns": ["cat", "sea", "sky"],
    "adverbs": ["up", "fast"],
    "verbs": ["a", "b", "c", "d", "run"],
}


def counted() -> WordCounts:
    counts = WordCounts(CODEBOOKS, WORDS)
    counts.add(
        {
            "spatial": np.array([[[0, 1, 2], [0, 3, 2]], [[0, 1, 2], [1, 0, 1]]], np.uint16),
            "temporal": np.array([[[1, 1, 4]]], np.uint16),
        }
    )
    return counts


def test_both_modifier_columns_draw_from_one_list() -> None:
    counts = counted().counts
    assert counts["adjectives"].tolist() == [4, 3, 0, 1]
    assert counts["nouns"].tolist() == [0, 1, 3]
    assert counts["adverbs"].tolist() == [0, 2]
    assert counts["verbs"].tolist() == [0, 0, 0, 0, 1]


def test_counts_add_up_over_calls_and_images_have_no_motion() -> None:
    counts = counted()
    counts.add({"spatial": np.array([[[2, 2, 0]]], np.uint16), "temporal": np.empty((1, 0, 3), np.uint16)})
    assert counts.counts["adjectives"].tolist() == [4, 3, 2, 1]
    assert counts.counts["verbs"].sum() == 1


def test_use_and_perplexity() -> None:
    use = counted().use()
    assert (use["adjectives"].used, use["adjectives"].size, use["adjectives"].use) == (3, 4, 0.75)
    shares = np.array([4, 3, 1]) / 8
    assert use["adjectives"].perplexity == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert use["verbs"].perplexity == pytest.approx(1)
    even = WordCounts({"spatial": [6, 6, 1]}, {"adjectives": list("abcdef"), "nouns": ["g"]})
    even.add({"spatial": np.stack([np.arange(6), np.arange(6), np.zeros(6, int)], axis=1)})
    assert even.use()["adjectives"].perplexity == pytest.approx(6)


def test_nothing_counted_is_no_use() -> None:
    use = WordCounts(CODEBOOKS, WORDS).use()["nouns"]
    assert (use.used, use.use, use.perplexity) == (0, 0.0, 0.0)


def test_ranking_is_by_count_then_list_order_and_leaves_out_absent_words() -> None:
    ranking = counted().ranking()
    assert ranking["adjectives"] == [
        RankedWord("red", 4, 0.5),
        RankedWord("old", 3, 0.375),
        RankedWord("big", 1, 0.125),
    ]
    assert [word.word for word in ranking["nouns"]] == ["sky", "sea"]
    assert ranking["verbs"] == [RankedWord("run", 1, 1.0)]
    assert [len(part) for part in counted().ranking(top=1).values()] == [1, 1, 1, 1]


def test_ties_keep_the_order_of_the_list() -> None:
    names = [f"w{number}" for number in range(200)]
    counts = WordCounts({"spatial": [1, 1, 200]}, {"adjectives": ["plain"], "nouns": names})
    heads = np.concatenate([np.arange(200), np.arange(0, 200, 3), np.arange(0, 200, 5)])
    counts.add({"spatial": np.stack([0 * heads, 0 * heads, heads], 1)})
    ranking = counts.ranking()
    expected = sorted(range(200), key=lambda number: (-(number % 3 == 0) - (number % 5 == 0), number))
    assert [word.word for word in ranking["nouns"]] == [names[number] for number in expected]


def test_word_lists_of_another_model_are_refused() -> None:
    with pytest.raises(SweettokError, match="1 adjectives, the tokens were made with 4"):
        WordCounts(CODEBOOKS, {**WORDS, "adjectives": ["red"]})
    with pytest.raises(SweettokError, match="0 adjectives"):
        WordCounts(CODEBOOKS, {})


@pytest.mark.parametrize("codebooks", [{"indices": [8192]}, {"spatial": [4, 5, 3]}, {"spatial": [4, 3]}])
def test_only_language_codebooks_have_words(codebooks: dict[str, list[int]]) -> None:
    with pytest.raises(SweettokError, match="name no words"):
        WordCounts(codebooks, WORDS)


def test_words_of_detail_are_told_apart_by_level() -> None:
    counts = WordCounts({**CODEBOOKS, "detail": CODEBOOKS["spatial"][-1:]}, WORDS)
    first = {
        "spatial": np.array([[[0, 1, 2], [0, 0, 2]]], np.uint16),
        "temporal": np.array([[1, 1, 4]], np.uint16),
        "temporal_counts": np.array([[0, 1, 0, 0]], np.uint8),
        "detail": np.array([[2], [1], [1]], np.uint16),  # two first ones, then a second one
        "detail_counts": np.array([[[[0, 2], [1, 0]]]], np.uint8),
    }
    counts.add(first)
    ranking = counts.ranking()
    assert ranking["adjectives"] == [
        RankedWord("red", 3, 0.75),
        RankedWord("old", 1, 0.25),
    ]
    assert ranking["nouns"] == [RankedWord("sky", 2, 1.0)]
    assert ranking["detail"] == [
        RankedWord("sea", 2, 2 / 3, (1, 1)),
        RankedWord("sky", 1, 1 / 3, (1, 0)),
    ]
    assert (counts.use()["nouns"].used, counts.use()["detail"].used) == (1, 2)
    assert ranking["verbs"] == [RankedWord("run", 1, 1.0)]
    deeper = {
        "spatial": np.array([[[0, 0, 2]] * 2] * 2, np.uint16),
        "temporal": np.zeros((0, 3), np.uint16),
        "temporal_counts": np.zeros((2, 4), np.uint8),
        "detail": np.array([[2]] * 5, np.uint16),  # of two clips
        "detail_counts": np.array([[[[3, 1], [0, 0]]], [[[0, 0], [0, 1]]]], np.uint8),
    }
    counts.add(deeper)
    assert counts.ranking()["nouns"] == [RankedWord("sky", 6, 1.0)]
    assert counts.ranking()["detail"][0] == RankedWord("sky", 6, 6 / 8, (4, 1, 1))
    assert counts.ranking()["verbs"] == ranking["verbs"]
    apart = WordCounts({**CODEBOOKS, "detail": CODEBOOKS["spatial"][-1:]}, WORDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweettok_cli.words.counts._POSITIONS_AT_ONCE", 1)
        apart.add(first)
        apart.add(deeper)
    assert apart.ranking() == counts.ranking()
