"""What a language model is asked: the words of example clips with their classes, then those of the query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np

from sweettok_cli.words.reader import telling_words

Counts = Mapping[str, np.ndarray]
"""How often a clip names each word: int32 [words] by part of speech."""

Choice = Literal["telling", "used"]
CHOICES: tuple[Choice, ...] = get_args(Choice)

#: Words of each part of speech that are told of a clip.
TOP = 8

_HEAD = (
    "Each video is described by words that a machine chose: adjectives and nouns for what is seen, adverbs "
    "and verbs for how it moves. The words are codes: which of them videos share tells more than what they "
    "mean."
)


def make_prompt(
    query: Counts,
    shots: Mapping[str, Sequence[Counts]],
    words: Mapping[str, Sequence[str]],
    choice: Choice = "telling",
    top: int = TOP,
) -> str:
    """The prompt of one episode, to be gone on with a blank and the name of a class. Nothing is drawn.

    Args:
        query: the clip that is asked about.
        shots: the examples of each class, in the order in which they are told.
        words: the word behind each index, by part of speech.
        choice: which words of a clip are told. ``used``: those that it names most, as SweetTok's own prompt
            has them. ``telling``: those that tell it from all clips of the prompt together
            (:func:`~sweettok_cli.words.reader.contrast`).
        top: at most so many of each part of speech.
    """
    clips = [query, *(clip for each in shots.values() for clip in each)]
    together = {part: sum((clip[part] for clip in clips), np.zeros(len(words[part]), int)) for part in words}

    def told(clip: Counts) -> Iterable[str]:
        for part, names in words.items():
            found = _words(clip[part], together[part], names, choice, top)
            if found:
                yield f"{part}: {', '.join(found)}"

    blocks = ["\n".join([f"Class: {label}", *told(clip)]) for label, each in shots.items() for clip in each]
    question = f"Which class is the next video of: {', '.join(shots)}?"
    return "\n\n".join([_HEAD, *blocks, question, "\n".join([*told(query), "Class:"])])


def _words(
    counts: np.ndarray, together: np.ndarray, names: Sequence[str], choice: Choice, top: int
) -> list[str]:
    if choice == "telling":
        return [each.word for each in telling_words(counts, together, names, top)]
    order = np.argsort(-counts, kind="stable")[:top]
    return [names[place] for place in order if counts[place]]
