"""The words behind codes: lists, counts, and which of them tell clips apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.metrics.codebook_use import PARTS_OF_SPEECH, CodeCounts
from sweettok_cli.models.registry import family_of
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.zoo.local import find_model

if TYPE_CHECKING:
    from sweettok_cli.words.reader import FileWords


def read_word_lists(model: str, weights_sha256: str) -> dict[str, list[str]]:
    """The words of a named model or model folder, by part of speech, each list in the order of its indices.

    Only the small JSON files beside the weights are read, which must be those that made the tokens.

    Raises:
        SweettokError: there is no such model, its weights are others, or its words are missing or damaged.
    """
    folder = ModelFolder(find_model(model))
    found = folder.header.weights_sha256
    if found != weights_sha256:
        raise SweettokError(
            f"The tokens were made with weights {weights_sha256[:12]}, but {model} has {found[:12]}; pass "
            "the model that made them with --model, or encode the source again."
        )
    family = family_of(folder)
    if family.words is None:
        raise SweettokError(f"{model} has codes that are no words; give a SweetTok model.")
    words = family.words(folder)
    return {
        part: [str(word) for word in words[half][role]]
        for half, parts in PARTS_OF_SPEECH.items()
        for part, role in zip(parts, ("modifiers", "heads"), strict=True)
    }


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
        words: the word behind each index, by part of speech; an attribute too.

    Raises:
        SweettokError: the codebooks are not those of a language codebook, or a list is missing or has
            another length than its codebook.
    """

    def __init__(self, codebooks: Mapping[str, Sequence[int]], words: Mapping[str, Sequence[str]]) -> None:
        for half, sizes in codebooks.items():
            if half not in PARTS_OF_SPEECH or len(sizes) < 2 or len(set(sizes[:-1])) != 1:
                raise SweettokError(
                    f"These tokens name no words: {half!r} is not a half of a language codebook."
                )
        super().__init__(codebooks)
        self.words = words
        for part, counts in self.counts.items():
            known = len(words.get(part, ()))
            if known != len(counts):
                raise SweettokError(
                    f"The model has {known} {part}, the tokens were made with {len(counts)}; "
                    "give the model that made them with --model."
                )

    def ranking(self, top: int | None = None) -> dict[str, list[RankedWord]]:
        """By part of speech, the ``top`` words that occur, most frequent first (ties in list order)."""
        ranked = {}
        for part, counts in self.counts.items():
            words, total = self.words[part], counts.sum()
            order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)][:top]
            ranked[part] = [RankedWord(words[i], int(counts[i]), float(counts[i] / total)) for i in order]
        return ranked


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
    weights = None
    for file in files:
        if weights not in (None, file.tokens.meta.weights_sha256):
            raise SweettokError(
                f"{counted[0][0]} and {file.file} were encoded by different models, whose words do not "
                "compare; encode them with one."
            )
        weights = file.tokens.meta.weights_sha256
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
