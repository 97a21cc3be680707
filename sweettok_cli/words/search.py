"""Videos ranked by how alike the words are that their tokens name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sweettok_cli.metrics.codebook_use import CodeCounts
from sweettok_cli.tokens.arrays import PARTS_OF_SPEECH
from sweettok_cli.tokens.meta import Tokens

#: What is compared: the words of what is seen. Those of how it moves find less (``docs/words.md``).
SEEN = PARTS_OF_SPEECH["spatial"]
_TELLING = 3


@dataclass(frozen=True)
class Hit:
    """A file that was found.

    Attributes:
        file: itself.
        similarity: from 0, no word in common that not all name, to 1, the same words equally often.
        words: that both name, those that the similarity owes most to, at most three.
    """

    file: Path
    similarity: float
    words: tuple[str, ...]


def count_words(tokens: Tokens) -> dict[str, np.ndarray]:
    """How often tokens name each word, by part of speech, int64 [words].

    Tokens of detail are left out: so it matters little which budget the tokens were made with.
    """
    halves = [half for half in PARTS_OF_SPEECH if half in tokens.meta.codebooks]
    counts = CodeCounts({half: tokens.meta.codebooks[half] for half in halves})
    counts.add({half: tokens.arrays[half] for half in halves})
    return counts.counts


class WordIndex:
    """Files by their words, weighted as texts are: a word counts by the root of how often a file names it.

    It counts less the more files name it, ``log((1 + files) / (1 + n))`` if n of all do, so that one of all
    counts nothing. Two files are as similar as the mean over the parts of speech of their words' cosines.

    Args:
        files: with their counts, by part of speech [words].
        parts: of speech that are compared.
    """

    def __init__(self, files: Mapping[Path, Mapping[str, np.ndarray]], parts: Sequence[str] = SEEN) -> None:
        self.files, self._parts = list(files), parts
        self._rarity: dict[str, np.ndarray] = {}
        self._found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}  # of each file words and weights
        for part in parts if files else ():
            named = sum((counts[part] > 0).astype(np.int64) for counts in files.values())
            self._rarity[part] = np.log((1 + len(files)) / (1 + named)).astype(np.float32)
            self._found[part] = [self._weighted(part, counts[part]) for counts in files.values()]

    def _weighted(self, part: str, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ids and weights of the words that are named, the weights of length 1 together, or all 0."""
        ids = np.flatnonzero(counts)
        weights = np.sqrt(counts[ids]).astype(np.float32) * self._rarity[part][ids]
        return ids, weights / max(float(np.linalg.norm(weights)), 1e-12)

    def similarities(self, counts: Mapping[str, np.ndarray]) -> np.ndarray:
        """Of every file in the order of :attr:`files` to one with these ``counts``, float [files]."""
        total = np.zeros(len(self.files))
        for part in self._found:
            query = np.zeros(len(self._rarity[part]), np.float32)
            ids, weights = self._weighted(part, counts[part])
            query[ids] = weights
            total += [float(known @ query[named]) for named, known in self._found[part]]
        return total / max(1, len(self._found))

    def rank(
        self, counts: Mapping[str, np.ndarray], lists: Mapping[str, Sequence[str]], top: int | None = None
    ) -> list[Hit]:
        """The ``top`` files that are most like one with these ``counts``, most alike first.

        Args:
            counts: by part of speech, [words].
            lists: the words behind them.
            top: how many; None for all.
        """
        found = self.similarities(counts)
        order = np.argsort(-found, kind="stable")[:top]
        return [Hit(self.files[at], float(found[at]), self._shared(at, counts, lists)) for at in order]

    def _shared(
        self, at: int, counts: Mapping[str, np.ndarray], lists: Mapping[str, Sequence[str]]
    ) -> tuple[str, ...]:
        """The words to which a file owes most of its similarity."""
        owed: list[tuple[float, str]] = []
        for part, found in self._found.items():
            ids, weights = self._weighted(part, counts[part])
            named, known = found[at]
            both, mine, theirs = np.intersect1d(ids, named, assume_unique=True, return_indices=True)
            products = weights[mine] * known[theirs]
            most = np.argsort(-products, kind="stable")[:_TELLING]
            owed += [
                (float(products[place]), lists[part][both[place]]) for place in most if products[place] > 0
            ]
        return tuple(word for _, word in sorted(owed, key=lambda each: -each[0])[:_TELLING])
