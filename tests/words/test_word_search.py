"""Files ranked by the words that they share with another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_word_map import CODEBOOKS, LISTS, make_tokens

from sweettok_cli.tokens import Tokens
from sweettok_cli.words.search import WordIndex, count_words


def counts(nouns: tuple[int, ...], adjectives: tuple[int, ...] = (0,) * 6) -> dict[str, np.ndarray]:
    return {"nouns": np.array(nouns), "adjectives": np.array(adjectives)}


FILES = {
    Path("sea"): counts((9, 4, 0, 0, 1, 0)),
    Path("sky"): counts((9, 0, 4, 0, 0, 0)),
    Path("cat"): counts((9, 1, 0, 4, 0, 0)),
}


def test_similarity_is_the_cosine_of_weighted_words() -> None:
    index = WordIndex(FILES, ("nouns",))
    rarity = np.log(4 / np.array([4, 3, 2, 2, 2]))
    sea, cat = (np.sqrt(FILES[Path(name)]["nouns"][:5]) * rarity for name in ("sea", "cat"))
    cosine = sea @ cat / np.linalg.norm(sea) / np.linalg.norm(cat)
    assert index.similarities(FILES[Path("sea")]) == pytest.approx([1, 0, cosine], abs=1e-6)


def test_the_most_alike_come_first_with_the_words_they_share() -> None:
    hits = WordIndex(FILES).rank(counts((9, 6, 0, 0, 1, 7)), LISTS)
    assert [hit.file.name for hit in hits] == ["sea", "cat", "sky"]
    assert [hit.words for hit in hits] == [("noun4", "noun1"), ("noun1",), ()]  # noun0 is all files' word
    assert hits[2].similarity == 0
    assert WordIndex(FILES).rank(counts((9, 6, 0, 0, 1, 7)), LISTS, 1) == hits[:1]


def test_parts_of_speech_weigh_alike() -> None:
    files = {
        Path("a"): counts((1, 0), (0, 50)),
        Path("b"): counts((0, 1), (50, 0)),
        Path("c"): counts((1, 0), (50, 0)),
        Path("d"): counts((0, 1), (0, 50)),
    }
    assert WordIndex(files).similarities(counts((1, 0), (0, 50))) == pytest.approx([1, 0, 0.5, 0.5])
    assert len(WordIndex({}).similarities(counts((1, 0)))) == 0


def test_tokens_of_detail_do_not_count() -> None:
    fixed = make_tokens()
    fixed.arrays["spatial"][0, :, 2] = 3
    moving = np.ones((2, 384), np.uint8)
    arrays = {
        "spatial": fixed.arrays["spatial"],
        "temporal": fixed.arrays["temporal"].reshape(-1, 3),
        "temporal_counts": moving,
        "detail": np.full((2 * 5 * 16 * 24, 1), 2, np.uint16),
        "detail_counts": np.ones((2, 5, 16, 24), np.uint8),
    }
    meta = replace(
        fixed.meta,
        codebooks={**CODEBOOKS, "detail": CODEBOOKS["spatial"][-1:]},
        shapes={**fixed.meta.shapes, "detail": (5, 16, 24, 1)},
        levels={"temporal": 1, "detail": 1},
        rows={"temporal": (768,), "detail": (len(arrays["detail"]),)},
    )
    known = [count_words(tokens) for tokens in (fixed, Tokens(arrays, meta))]
    assert {part: each.tolist() for part, each in known[0].items()} == {
        part: each.tolist() for part, each in known[1].items()
    }
    assert known[0]["nouns"].tolist() == [96, 0, 0, 96, 0, 0]
