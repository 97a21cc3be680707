"""The words behind codes: lists and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.metrics.codebook_use import PARTS_OF_SPEECH, CodeCounts
from sweettok_cli.models.registry import family_of
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.zoo.local import find_model


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
