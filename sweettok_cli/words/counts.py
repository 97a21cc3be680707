"""The words behind codes: lists and counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.metrics.codebook_use import CodeCounts
from sweettok_cli.models.registry import family_of
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.tokens.arrays import ARRAYS, PARTS_OF_SPEECH, parts_of_speech
from sweettok_cli.tokens.ragged import COUNTED, places, split_clips
from sweettok_cli.zoo.local import find_model

_POSITIONS_AT_ONCE = 1 << 20  # whose tokens are told apart by level


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
    """A word, how often it is named, and which share of the words of its list that is.

    Of detail, ``levels`` is how often the first tokens of a cell, the second ones and so on name it, where
    any cell has several; else it is empty.
    """

    word: str
    count: int
    share: float
    levels: tuple[int, ...] = ()


class WordCounts(CodeCounts):
    """Occurrences of every word of the four lists of a language codebook, and of the nouns of detail.

    A noun of detail names a pattern of some pixels, which is another at each level and no meaning of the
    noun: such nouns are counted apart, as ``detail``, and have no part in the shares of nouns.

    Args:
        codebooks: list sizes behind the index columns, ``{"spatial": [a, a, n], "temporal": [v, v, w]}``,
            with levels ``"detail": [n]``, too.
        words: the word behind each index, by part of speech; an attribute too, with those of ``detail``.

    Raises:
        SweettokError: the codebooks are not those of a language codebook, or a list is missing or has
            another length than its codebook.
    """

    def __init__(self, codebooks: Mapping[str, Sequence[int]], words: Mapping[str, Sequence[str]]) -> None:
        named = dict(words)
        for array, sizes in codebooks.items():
            parts = parts_of_speech(array)
            if parts is None or len(sizes) not in (1, 3) or len(set(sizes[:-1])) > 1:
                raise SweettokError(
                    f"These tokens name no words: {array!r} is not a half of a language codebook."
                )
            if ARRAYS[array].codebooks:
                named[array] = named.get(parts[1], ())
        super().__init__(codebooks)
        self.words = named
        self._by_level: dict[str, np.ndarray] = {}  # of each list of detail, [levels, codes]
        for part, counts in self.counts.items():
            known = len(named.get(part, ()))
            if known != len(counts):
                raise SweettokError(
                    f"The model has {known} {part}, the tokens were made with {len(counts)}; "
                    "give the model that made them with --model."
                )

    def lists(self, array: str) -> tuple[str, str] | None:
        """As :meth:`CodeCounts.lists`; heads of what uses the words of another array are a list of theirs."""
        parts = super().lists(array)
        return (parts[0], array) if parts and ARRAYS[array].codebooks else parts

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """As :meth:`CodeCounts.add`; words of detail are counted by level, too."""
        super().add(arrays)
        for name, array in COUNTED.items():
            if name in arrays and ARRAYS[array].codebooks:
                ragged = {each: arrays[each] for each in (name, array)}
                positions = math.prod(ragged[name].shape[1:])
                for some in split_clips(ragged, max(1, _POSITIONS_AT_ONCE // max(1, positions))):
                    self._add_levels(array, places(some[name])[1], some[array][:, -1])

    def _add_levels(self, array: str, level: np.ndarray, indices: np.ndarray) -> None:
        codes = len(self.counts[array])
        before = self._by_level.get(array, np.zeros((0, codes), np.int64))
        most = max(int(level.max(initial=-1)) + 1, len(before))
        found = np.bincount(level * codes + indices, minlength=most * codes).reshape(most, codes)
        found[: len(before)] += before
        self._by_level[array] = found

    def ranking(self, top: int | None = None) -> dict[str, list[RankedWord]]:
        """By list, the ``top`` words that occur, most frequent first (ties in list order)."""
        ranked = {}
        for part, counts in self.counts.items():
            words, total = self.words[part], counts.sum()
            order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)][:top]
            levels = self._by_level.get(part, np.zeros((0, len(counts)), np.int64))
            shown = levels if len(levels) > 1 else levels[:0]
            ranked[part] = [
                RankedWord(words[i], int(counts[i]), float(counts[i] / total), tuple(shown[:, i].tolist()))
                for i in order
            ]
        return ranked
