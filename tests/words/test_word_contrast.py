from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from test_word_map import CODEBOOKS, LISTS, make_tokens

from sweettok_cli.errors import SweettokError
from sweettok_cli.words.counts import WordCounts
from sweettok_cli.words.reader import FileWords, contrast


def named(name: str, nouns: tuple[int, int, int]) -> FileWords:
    """A file that names the first three nouns so often, and nothing else."""
    counts = WordCounts(CODEBOOKS, LISTS)
    counts.counts["nouns"][:3] = nouns
    return FileWords(Path(name), make_tokens(), "made-up", Path("clip.mp4"), counts)


def test_a_word_that_all_name_alike_tells_nothing() -> None:
    found = contrast((named(f"{nouns}", nouns) for nouns in ((8, 4, 0), (8, 0, 4), (8, 0, 0))), 2)
    assert [file.name for file, _ in found] == ["(8, 4, 0)", "(8, 0, 4)", "(8, 0, 0)"]
    one, two, three = (words for _, words in found)
    assert [(word.word, word.count) for word in one["nouns"]] == [("noun1", 4)]
    assert one["nouns"][0].lift == pytest.approx((4 / 12) / (4 / 32))
    assert [word.word for word in two["nouns"]] == ["noun2"]
    assert [word.word for word in three["nouns"]] == ["noun0"]
    assert one["verbs"] == []
    assert contrast([], 2) == []


def test_words_of_different_models_do_not_compare() -> None:
    one, other = named("one", (8, 4, 0)), named("other", (8, 0, 4))
    meta = dataclasses.replace(other.tokens.meta, weights_sha256="cd" * 32)
    other = dataclasses.replace(other, tokens=dataclasses.replace(other.tokens, meta=meta))
    with pytest.raises(SweettokError, match="one and other were encoded by different models"):
        contrast([one, other], 2)
