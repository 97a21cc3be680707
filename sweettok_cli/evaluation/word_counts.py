"""How often tokens name each word: codebook use over a folder, and the words of one token file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweettok_cli.errors import SweettokError

PARTS_OF_SPEECH = {"spatial": ("adjectives", "nouns"), "temporal": ("adverbs", "verbs")}
"""Modifiers and heads of the two halves of the language codebook (SweetTok, section 3.3)."""


@dataclass(frozen=True)
class ListUse:
    """What a folder of videos makes of one word list.

    Attributes:
        size: words in the list.
        used: words that occur at all.
        use: ``used / size``.
        perplexity: ``exp`` of the entropy (in nats) of the words' frequencies: the number of equally
            frequent words that would be as varied. 0 where nothing was counted.
    """

    size: int
    used: int
    use: float
    perplexity: float


@dataclass(frozen=True)
class RankedWord:
    """A word, how often it is named, and which share of its part of speech that is."""

    word: str
    count: int
    share: float


class WordCounts:
    """Occurrences of every index of the four word lists.

    A token is two modifiers and a head; both modifier columns draw from the same list and are counted
    together.

    Args:
        codebooks: list sizes behind the index columns, ``{"spatial": [a, a, n], "temporal": [v, v, w]}``.

    Raises:
        SweettokError: the codebooks are not those of a language codebook.
    """

    def __init__(self, codebooks: Mapping[str, Sequence[int]]) -> None:
        self.counts: dict[str, np.ndarray] = {}
        for half, sizes in codebooks.items():
            if half not in PARTS_OF_SPEECH or len(sizes) < 2 or len(set(sizes[:-1])) != 1:
                raise SweettokError(
                    f"These tokens name no words: {half!r} is not a half of a language codebook."
                )
            modifiers, heads = PARTS_OF_SPEECH[half]
            self.counts[modifiers] = np.zeros(sizes[0], np.int64)
            self.counts[heads] = np.zeros(sizes[-1], np.int64)

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Count index arrays ``[..., tokens, columns]`` (modifiers first, head last), one a half."""
        for half, indices in arrays.items():
            modifiers, heads = PARTS_OF_SPEECH[half]
            for part, columns in ((modifiers, indices[..., :-1]), (heads, indices[..., -1])):
                self.counts[part] += np.bincount(columns.ravel(), minlength=len(self.counts[part]))

    def merge(self, other: WordCounts) -> None:
        """Take all that ``other`` has counted with the same codebooks."""
        for part, counts in other.counts.items():
            self.counts[part] += counts

    def use(self) -> dict[str, ListUse]:
        """Use and perplexity of each list, by part of speech."""
        return {part: _use(counts) for part, counts in self.counts.items()}

    def ranking(
        self, words: Mapping[str, Sequence[str]], top: int | None = None
    ) -> dict[str, list[RankedWord]]:
        """The words that occur, most frequent first (ties in list order), by part of speech.

        Args:
            words: the word behind each index, by part of speech.
            top: at most so many words of each part of speech; None for all.

        Raises:
            SweettokError: a list is missing or has another length than the tokens' codebook.
        """
        ranked = {}
        for part, counts in self.counts.items():
            known = len(words.get(part, ()))
            if known != len(counts):
                raise SweettokError(
                    f"The model has {known} {part}, the tokens were made with {len(counts)}; "
                    "give the model that made them with --model."
                )
            order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
            total = counts.sum()
            ranked[part] = [
                RankedWord(words[part][index], int(counts[index]), float(counts[index] / total))
                for index in order[:top]
            ]
        return ranked


def _use(counts: np.ndarray) -> ListUse:
    used = int(np.count_nonzero(counts))
    if not used:
        return ListUse(len(counts), 0, 0.0, 0.0)
    frequencies = counts[counts > 0] / counts.sum()
    perplexity = float(np.exp(-(frequencies * np.log(frequencies)).sum()))
    return ListUse(len(counts), used, used / len(counts), perplexity)
