"""How near words lie to the name of a class, among the word vectors of a model's prior."""

from __future__ import annotations

import re

import numpy as np

from sweettok_cli.codebook.prior import GRAPH_NAMES, WordGraph, WordPrior
from sweettok_cli.codebook.wordnet import PARTS, regular_forms
from sweettok_cli.models.registry import family_of
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.tokens.arrays import PARTS_OF_SPEECH
from sweettok_cli.zoo.local import find_model

# Words of a name as folders are called: BasketballDunk, pull_ups, "playing guitar", TVShow.
_WORD = re.compile(r"[^\W\d_A-Z]+|[A-Z](?:[^\W\d_A-Z]+|[A-Z]*(?![^\W\d_A-Z]))")


def words_of_name(name: str) -> list[str]:
    """The words of a class's name, in small letters, each once."""
    return list(dict.fromkeys(found.lower() for found in _WORD.findall(name)))


class Nearness:
    """Compares words with names by the vectors of a language model.

    The words of what is seen and of how it moves have spaces of their own: of ``BasketballDunk``, nouns are
    compared with *basketball*, verbs with *dunk*. A word of a name that is none of the prior's is replaced by
    what it may be an inflection of, *kayaking* by *kayak*, or left out.
    """

    def __init__(self, prior: WordPrior) -> None:
        self._graphs: dict[str, WordGraph] = {half: getattr(prior, half) for half in GRAPH_NAMES}
        self._rows = {
            half: {word: row for row, word in enumerate((*graph.modifiers, *graph.heads))}
            for half, graph in self._graphs.items()
        }
        self._vectors = {half: _unit(graph.vectors) for half, graph in self._graphs.items()}

    def known(self, name: str) -> dict[str, list[str]]:
        """By half, the words that stand for a name: empty where the prior has none."""
        return {
            half: list(dict.fromkeys(form for word in words_of_name(name) for form in _known(word, rows)))
            for half, rows in self._rows.items()
        }

    def to(self, name: str) -> dict[str, np.ndarray]:
        """By part of speech, the nearness of each of its words to a name, float [words] from 0 to 1.

        It is the share of the list's other words that lie farther from the name, by cosine to that word of
        the name which is nearest: 0.5 on average. Parts are left out that have no word of the name.
        """
        found = {}
        for half, words in self.known(name).items():
            if not words:
                continue
            vectors, modifiers = self._vectors[half], len(self._graphs[half].modifiers)
            cosines = (vectors @ vectors[[self._rows[half][word] for word in words]].T).max(axis=1)
            cosines = cosines.round(6)  # that of a word to itself is 1, whichever it is
            parts = zip(PARTS_OF_SPEECH[half], (cosines[:modifiers], cosines[modifiers:]), strict=True)
            found.update({part: _share_below(values) for part, values in parts})
        return found


def read_nearness(model: str) -> Nearness | None:
    """Nearness by the vectors of a named model or model folder; None where it has none of a language model.

    Raises:
        SweettokError: there is no such model, or it is damaged.
    """
    folder = ModelFolder(find_model(model))
    read = family_of(folder).prior
    prior = None if read is None else read(folder)
    return None if prior is None else Nearness(prior)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _known(word: str, rows: dict[str, int]) -> list[str]:
    """The word, or the first of its base forms that there is; none where there is neither."""
    forms = (word, *(form for part in PARTS for form in regular_forms(word, part)))
    return [form for form in forms if form in rows][:1]


def _share_below(values: np.ndarray) -> np.ndarray:
    """Of each value the share of the others that are smaller."""
    return np.searchsorted(np.sort(values), values) / max(1, len(values) - 1)
