from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.recognition.prompt import Choice, make_prompt

WORDS = {
    "adjectives": ["red", "old", "wet"],
    "nouns": ["cat", "sea"],
    "adverbs": ["up", "fast"],
    "verbs": ["run", "fall"],
}


def counts(
    adjectives: list[int], nouns: list[int], adverbs: list[int], verbs: list[int]
) -> dict[str, np.ndarray]:
    return dict(zip(WORDS, map(np.array, (adjectives, nouns, adverbs, verbs)), strict=True))


QUERY = counts([1, 8, 3], [6, 0], [0, 12], [5, 1])
SHOTS = {
    "Biking": [counts([1, 9, 2], [5, 1], [2, 10], [6, 0]), counts([0, 6, 6], [6, 0], [6, 6], [3, 3])],
    "Wall Pushups": [counts([12, 0, 0], [0, 6], [12, 0], [0, 6])],
}

TELLING = """\
Each video is described by words that a machine chose: adjectives and nouns for what is seen, adverbs and \
verbs for how it moves. The words are codes: which of them videos share tells more than what they mean.

Class: Biking
adjectives: old
nouns: cat
adverbs: fast
verbs: run

Class: Biking
adjectives: wet, old
nouns: cat
adverbs: up
verbs: fall

Class: Wall Pushups
adjectives: red
nouns: sea
adverbs: up
verbs: fall

Which class is the next video of: Biking, Wall Pushups?

adjectives: old, wet
nouns: cat
adverbs: fast
verbs: run
Class:"""

USED = """\
Each video is described by words that a machine chose: adjectives and nouns for what is seen, adverbs and \
verbs for how it moves. The words are codes: which of them videos share tells more than what they mean.

Class: Biking
adjectives: old, wet
nouns: cat, sea
adverbs: fast, up
verbs: run

Class: Biking
adjectives: old, wet
nouns: cat
adverbs: up, fast
verbs: run, fall

Class: Wall Pushups
adjectives: red
nouns: sea
adverbs: up
verbs: fall

Which class is the next video of: Biking, Wall Pushups?

adjectives: old, wet
nouns: cat
adverbs: fast
verbs: run, fall
Class:"""


@pytest.mark.parametrize(("choice", "wanted"), [("telling", TELLING), ("used", USED)])
def test_the_prompt_is_this_text(choice: Choice, wanted: str) -> None:
    assert make_prompt(QUERY, SHOTS, WORDS, choice, top=2) == wanted


def test_of_a_picture_nothing_that_moves_is_told() -> None:
    picture = {**QUERY, "adverbs": np.zeros(2, int), "verbs": np.zeros(2, int)}
    text = make_prompt(picture, {"a": [picture], "b": [picture]}, WORDS, "used")
    assert "nouns: cat" in text and "verbs:" not in text and "adverbs:" not in text


def test_numbers_of_frames_do_not_matter() -> None:
    doubled = {label: [{p: 2 * c for p, c in e.items()} for e in each] for label, each in SHOTS.items()}
    twice = {part: 2 * each for part, each in QUERY.items()}
    assert make_prompt(twice, doubled, WORDS) == make_prompt(QUERY, SHOTS, WORDS)
