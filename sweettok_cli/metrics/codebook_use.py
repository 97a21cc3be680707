"""How often each code of a model's codebooks is named, and how evenly: codebook use and perplexity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from sweettok_cli.tokens.arrays import parts_of_speech
from sweettok_cli.tokens.ragged import COUNTED


@dataclass(frozen=True)
class ListUse:
    """What a folder of videos makes of one codebook or word list."""

    size: Annotated[int, "codes in the list."]
    used: Annotated[int, "codes that occur at all."]
    use: Annotated[float, "used / size."]
    perplexity: Annotated[
        float, "the number of equally frequent codes that would be as varied; see perplexity."
    ]


class CodeCounts:
    """Occurrences of every code, list by list.

    Grid families have one list, ``codes``. A token of a language codebook is two modifiers and a head, one of
    detail a head alone; both modifier columns draw from the same list and are counted together:
    ``adjectives``, ``nouns``, ``adverbs``, ``verbs``.

    Args:
        codebooks: sizes behind the index columns, ``{"indices": [8192]}`` or ``{"spatial": [a, a, n],
            "temporal": [v, v, w]}``, with levels ``"detail": [n]``, too. Empty for continuous latents,
            of which nothing is counted.
    """

    def __init__(self, codebooks: Mapping[str, Sequence[int]]) -> None:
        self.counts: dict[str, np.ndarray] = {}
        for array, sizes in codebooks.items():
            if parts := self.lists(array):
                modifiers, heads = parts
                for part, size in ((modifiers, sizes[:-1]), (heads, sizes[-1:])):
                    if size and part not in self.counts:
                        self.counts[part] = np.zeros(size[0], np.int64)
            else:
                self.counts["codes"] = np.zeros(sizes[0], np.int64)

    def lists(self, array: str) -> tuple[str, str] | None:
        """Where modifiers and heads of an array's tokens are counted; None where they are no words."""
        return parts_of_speech(array)

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Count index arrays: ``[..., tokens, columns]`` of words (modifiers first, head last), or a grid.

        Of ragged tokens the rows are counted; how many each position has is no code.
        """
        for array, indices in arrays.items():
            if array in COUNTED:
                continue
            if parts := self.lists(array):
                modifiers, heads = parts
                self._count(modifiers, indices[..., :-1])
                self._count(heads, indices[..., -1])
            elif self.counts:
                self._count("codes", indices)

    def _count(self, part: str, indices: np.ndarray) -> None:
        self.counts[part] += np.bincount(indices.ravel(), minlength=len(self.counts[part]))

    def use(self) -> dict[str, ListUse]:
        """Use and perplexity of each list."""
        return {part: list_use(counts) for part, counts in self.counts.items()}


def list_use(counts: np.ndarray) -> ListUse:
    """Use and perplexity of one list, from how often each of its codes occurs."""
    used = int(np.count_nonzero(counts))
    return ListUse(len(counts), used, used / len(counts), perplexity(counts))


def perplexity(counts: np.ndarray) -> float:
    """``exp`` of the entropy (in nats) of the codes' frequencies; 0 where nothing was counted."""
    if not counts.any():
        return 0.0
    frequencies = counts[counts > 0] / counts.sum()
    return float(np.exp(-(frequencies * np.log(frequencies)).sum()))
