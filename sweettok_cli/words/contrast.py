"""Which words tell clips apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.words.counts import WordCounts
from sweettok_cli.words.reader import FileWords


@dataclass(frozen=True)
class TellingWord:
    """A word, how often a file names it, and how many times its share is that in all files together."""

    word: str
    count: int
    lift: float


def contrast(files: Iterable[FileWords], top: int) -> list[tuple[Path, dict[str, list[TellingWord]]]]:
    """The words that tell each file from all together, the most telling first, by part of speech.

    A word tells by ``count * log(share in the file / share in all files)``, its part in the divergence
    (Kullback and Leibler 1951) of the file's words from all words. Only words with a positive part are given.

    Args:
        files: gone through once; of each only the counts are kept.
        top: at most so many words of each part of speech.

    Raises:
        SweettokError: files were encoded by different models.
    """
    counted: list[tuple[Path, WordCounts]] = []
    together: dict[str, np.ndarray] = {}
    weights = ""
    for file in files:
        found = file.tokens.meta.weights_sha256
        if counted and found != weights:
            raise SweettokError(
                f"{counted[0][0]} and {file.file} were encoded by different models, whose words do not "
                "compare; encode them with one."
            )
        weights = found
        counted.append((file.file, file.counts))
        for part, counts in file.counts.counts.items():
            together[part] = counts + together.get(part, 0)
    return [
        (path, {part: _telling(each, part, together[part], top) for part in each.counts})
        for path, each in counted
    ]


def _telling(named: WordCounts, part: str, together: np.ndarray, top: int) -> list[TellingWord]:
    counts, words = named.counts[part], named.words[part]
    found = np.flatnonzero(counts)
    lift = counts[found] / counts.sum() / (together[found] / together.sum())
    weight = counts[found] * np.log(lift)
    return [
        TellingWord(words[found[place]], int(counts[found[place]]), float(lift[place]))
        for place in np.argsort(-weight, kind="stable")[:top]
        if weight[place] > 0
    ]
