"""Which words fire for which clip: those that one file's tokens name more than the others' do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweettok_cli.evaluation.word_counts import WordCounts


@dataclass(frozen=True)
class TellingWord:
    """A word, how often a file names it, and how many times its share is that in all files together."""

    word: str
    count: int
    lift: float


def telling_words(
    files: Sequence[WordCounts], lists: Mapping[str, Sequence[str]], top: int
) -> list[dict[str, list[TellingWord]]]:
    """The words that tell each file from all together, the most telling first, by part of speech.

    A word tells by ``count * log(share in the file / share in all files)``, its part in the divergence
    (Kullback and Leibler 1951) of the file's words from all words. Only words with a positive part are given.

    Args:
        files: counts of each, with the same codebooks.
        lists: the word behind each index, by part of speech.
        top: at most so many words.
    """
    together = {part: sum(file.counts[part] for file in files) for part in files[0].counts} if files else {}
    found = []
    for file in files:
        telling: dict[str, list[TellingWord]] = {}
        for part, counts in file.counts.items():
            named = np.flatnonzero(counts)
            telling[part] = []
            if not named.size:
                continue
            share = counts[named] / counts.sum()
            lift = share / (np.asarray(together[part])[named] / np.sum(together[part]))
            weight = counts[named] * np.log(lift)
            for place in np.argsort(-weight, kind="stable")[:top]:
                if weight[place] > 0:
                    index = named[place]
                    word = lists[part][index]
                    telling[part].append(TellingWord(word, int(counts[index]), float(lift[place])))
        found.append(telling)
    return found
