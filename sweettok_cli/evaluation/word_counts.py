"""How often tokens name each word: the words of one token file, most frequent first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.code_counts import PARTS_OF_SPEECH, CodeCounts


@dataclass(frozen=True)
class RankedWord:
    """A word, how often it is named, and which share of its part of speech that is."""

    word: str
    count: int
    share: float


class WordCounts(CodeCounts):
    """Occurrences of every word of the four lists of a language codebook.

    Args:
        codebooks: list sizes behind the index columns, ``{"spatial": [a, a, n], "temporal": [v, v, w]}``.

    Raises:
        SweettokError: the codebooks are not those of a language codebook.
    """

    def __init__(self, codebooks: Mapping[str, Sequence[int]]) -> None:
        for half, sizes in codebooks.items():
            if half not in PARTS_OF_SPEECH or len(sizes) < 2 or len(set(sizes[:-1])) != 1:
                raise SweettokError(
                    f"These tokens name no words: {half!r} is not a half of a language codebook."
                )
        super().__init__(codebooks)

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
