"""The words behind codes: lists, counts, and which of them tell clips apart."""

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

    Only the small JSON files beside the weights are read.

    Args:
        model: name or folder.
        weights_sha256: of the weights that made the tokens; those of another model mean other words.

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
