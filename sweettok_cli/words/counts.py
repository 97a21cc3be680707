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
from sweettok_cli.tokens.ragged import COUNTED, counts_name, places, split_clips
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
    """A word, how often it is named, and which share of its part of speech that is.

    Where there is detail, ``levels`` is how often the tokens below it, the first tokens of detail, the second
    ones and so on name it; else it is empty.
    """

    word: str
    count: int
    share: float
    levels: tuple[int, ...] = ()


class WordCounts(CodeCounts):
    """Occurrences of every word of the four lists of a language codebook.

    Args:
        codebooks: list sizes behind the index columns, ``{"spatial": [a, a, n], "temporal": [v, v, w]}``,
            with levels ``"detail": [n]``, too.
        words: the word behind each index, by part of speech; an attribute too.

    Raises:
        SweettokError: the codebooks are not those of a language codebook, or a list is missing or has
            another length than its codebook.
    """

    def __init__(self, codebooks: Mapping[str, Sequence[int]], words: Mapping[str, Sequence[str]]) -> None:
        for array, sizes in codebooks.items():
            if parts_of_speech(array) is None or len(sizes) not in (1, 3) or len(set(sizes[:-1])) > 1:
                raise SweettokError(
                    f"These tokens name no words: {array!r} is not a half of a language codebook."
                )
        super().__init__(codebooks)
        self.words = words
        self._by_level: dict[str, dict[str, np.ndarray]] = {}  # of each part, by array, [levels, codes]
        for part, counts in self.counts.items():
            known = len(words.get(part, ()))
            if known != len(counts):
                raise SweettokError(
                    f"The model has {known} {part}, the tokens were made with {len(counts)}; "
                    "give the model that made them with --model."
                )

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """As :meth:`CodeCounts.add`; words of ragged tokens are counted by level, too."""
        super().add(arrays)
        positions = [math.prod(arrays[name].shape[1:]) for name in COUNTED if name in arrays]
        if positions:
            for some in split_clips(arrays, max(1, _POSITIONS_AT_ONCE // max(positions))):
                for array in some.keys() - COUNTED.keys():
                    self._add_rows(
                        array, some[array].reshape(-1, some[array].shape[-1]), some.get(counts_name(array))
                    )

    def _add_rows(self, array: str, rows: np.ndarray, counts: np.ndarray | None) -> None:
        level = np.zeros(len(rows), np.int64) if counts is None else places(counts)[1]
        parts = parts_of_speech(array)
        assert parts is not None
        for part, indices in zip(parts, (rows[:, :-1], rows[:, -1:]), strict=True):
            if indices.shape[1]:
                self._add_levels(part, array, level, indices)

    def _add_levels(self, part: str, array: str, level: np.ndarray, indices: np.ndarray) -> None:
        known, codes = self._by_level.setdefault(part, {}), len(self.counts[part])
        before = known.get(array, np.zeros((0, codes), np.int64))
        most = max(int(level.max(initial=-1)) + 1, len(before))
        pairs = (level[:, None] * codes + indices).ravel()
        known[array] = np.bincount(pairs, minlength=most * codes).reshape(most, codes)
        known[array][: len(before)] += before

    def _levels(self, part: str) -> np.ndarray:
        """How often tokens of each level name each word, [levels, codes]; none where there is but one."""
        known = self._by_level.get(part, {})
        levels = [known[array] for array in ARRAYS if array in known]
        none = np.zeros((0, len(self.counts[part])), np.int64)
        return np.concatenate(levels) if sum(map(len, levels)) > 1 else none

    def ranking(self, top: int | None = None) -> dict[str, list[RankedWord]]:
        """By part of speech, the ``top`` words that occur, most frequent first (ties in list order)."""
        ranked = {}
        for part, counts in self.counts.items():
            words, total = self.words[part], counts.sum()
            order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)][:top]
            levels = self._levels(part)
            ranked[part] = [
                RankedWord(words[i], int(counts[i]), float(counts[i] / total), tuple(levels[:, i].tolist()))
                for i in order
            ]
        return ranked
