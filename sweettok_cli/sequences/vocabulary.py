"""The flat vocabulary: one number for every symbol of a sequence of tokens, over all codebooks of a model.

Special symbols come first, then the steps of detail (:mod:`sweettok_cli.sequences.order`), then every list of
codes, each a range of its own, and last the classes, so that codes keep their numbers whatever classes there
are. The two modifiers of a token are of one list and share its range; nouns of detail, which stand for
other things than those of appearance, have a range of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sweettok_cli.tokens.arrays import ARRAYS, parts_of_speech
from sweettok_cli.tokens.fault import TokenFault

FORMAT = "sweettok-vocabulary"
VERSION = 1
#: In the order of their numbers: what fills up a batch; what a video begins and ends with; what stands
#: between its clips; a class that is not said; a position without a token; more empty cells than a step
#: passes; the end of a clip's detail.
SPECIALS = ("pad", "begin", "end", "clip", "any", "none", "far", "stop")
#: Cells that a step passes at most, less one; ``far`` passes so many and says that another step follows.
STEPS = 64
# Names of one code of each list, as in "<|noun:basketball|>".
_SINGULAR = {
    "adjectives": "adjective",
    "nouns": "noun",
    "adverbs": "adverb",
    "verbs": "verb",
    "codes": "code",
}


@dataclass(frozen=True)
class CodeList:
    """The numbers ``start`` to ``start + size`` of one list of codes."""

    name: str
    start: int
    size: int

    @property
    def end(self) -> int:
        """The first number past it."""
        return self.start + self.size


@dataclass(frozen=True)
class Vocabulary:
    """The numbers of all symbols of one model's sequences.

    Attributes:
        family: of the model.
        model: its name.
        weights_sha256: of its weights, lower-case hex: codes mean nothing without them.
        codebooks: size of the codebook behind each index column of each array, as in token files.
        classes: names of the classes that a video may be said to be of, all different.
    """

    family: str
    model: str
    weights_sha256: str
    codebooks: Mapping[str, tuple[int, ...]]
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.codebooks:
            raise ValueError(f"{self.model} makes continuous latents, of which there is no vocabulary")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("two classes have one name")

    @cached_property
    def lists(self) -> dict[str, CodeList]:
        """Every list of codes by name, in the order of their numbers."""
        lists: dict[str, CodeList] = {}
        start = len(SPECIALS) + STEPS
        for array, sizes in self.codebooks.items():
            for name, size in zip(columns(array), sizes, strict=True):
                if name not in lists:
                    lists[name] = CodeList(name, start, size)
                    start += size
                elif lists[name].size != size:
                    raise ValueError(f"the columns of {array} give {name} two sizes")
        return lists

    def column(self, array: str, column: int) -> CodeList:
        """The list that a column of an array's tokens is of."""
        return self.lists[columns(array)[column]]

    @property
    def size(self) -> int:
        """How many symbols there are."""
        return self._first_class + len(self.classes)

    @property
    def dtype(self) -> np.dtype:
        """The narrowest number format that holds them: ``<u2`` or ``<i4``."""
        return np.dtype("<u2" if self.size <= 1 << 16 else "<i4")

    def special(self, name: str) -> int:
        """The number of one of :data:`SPECIALS`."""
        return SPECIALS.index(name)

    def step(self, cells: int) -> int:
        """The number of the step that passes so many cells, 0 to :data:`STEPS` - 1."""
        assert 0 <= cells < STEPS
        return len(SPECIALS) + cells

    def label(self, name: str | None) -> int:
        """The number of a class; of None, of one that is not said.

        Raises ValueError for a class that there is not.
        """
        if name is None:
            return self.special("any")
        if name not in self.classes:
            known = ", ".join(self.classes[:8]) + (", ..." if len(self.classes) > 8 else "")
            raise ValueError(f"there is no class {name!r}; there are {known or 'none'}")
        return self._first_class + self.classes.index(name)

    def class_of(self, number: int) -> str | None:
        """The name of a class by its number; None of one that is not said.

        Raises ValueError for the number of anything else.
        """
        if number == self.special("any"):
            return None
        if not self._first_class <= number < self.size:
            raise ValueError(f"{number} is no class")
        return self.classes[number - self._first_class]

    @property
    def labels(self) -> tuple[int, int]:
        """The first number of a class, and the first past them."""
        return self._first_class, self.size

    @property
    def _first_class(self) -> int:
        return max(each.end for each in self.lists.values())

    def names(self, words: Mapping[str, Sequence[str]] | None = None) -> list[str]:
        """A name for every symbol, in the order of their numbers, all different.

        Args:
            words: the word behind each code, by part of speech; else codes are named by their indices.
        """
        found = [f"<|{name}|>" for name in SPECIALS] + [f"<|step:{cells}|>" for cells in range(STEPS)]
        for each in self.lists.values():
            of = words.get(_OF_DETAIL.get(each.name, each.name)) if words else None
            one = _SINGULAR.get(each.name, each.name)
            found += [f"<|{one}:{of[n] if of else n}|>" for n in range(each.size)]
        return found + [f"<|class:{name}|>" for name in self.classes]

    def check(self, family: str, weights_sha256: str, codebooks: Mapping[str, Sequence[int]]) -> None:
        """Raise :class:`TokenFault` unless tokens of this description are spelt with this vocabulary.

        Dense tokens of a model with levels are: they use some of its lists.
        """
        if (family, weights_sha256) != (self.family, self.weights_sha256):
            raise TokenFault(
                f"was made with the weights {weights_sha256[:12]}, not with {self.weights_sha256[:12]}, "
                f"those of {self.model}, whose vocabulary this is",
                "encode the source with that model",
            )
        for array, sizes in codebooks.items():
            if tuple(sizes) != self.codebooks.get(array):
                raise TokenFault(f"has other codebooks of {array!r} than the vocabulary")

    def to_json(self) -> str:
        """A JSON object, also for those who do not have this program: all ranges are spelt out."""
        record = {
            "format": FORMAT,
            "version": VERSION,
            "family": self.family,
            "model": self.model,
            "weights_sha256": self.weights_sha256,
            "size": self.size,
            "dtype": self.dtype.name,
            "specials": {f"<|{name}|>": number for number, name in enumerate(SPECIALS)},
            "steps": [len(SPECIALS), len(SPECIALS) + STEPS],
            "lists": {name: [each.start, each.end] for name, each in self.lists.items()},
            "codebooks": {name: list(sizes) for name, sizes in self.codebooks.items()},
            "columns": {name: list(columns(name)) for name in self.codebooks},
            "labels": list(self.labels),
            "classes": list(self.classes),
        }
        return json.dumps(record, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """What :meth:`to_json` wrote.

        Raises ValueError for anything else, or one that numbers its symbols in another way.
        """
        try:
            record: Any = json.loads(text)
        except RecursionError as error:
            raise ValueError("it is no vocabulary") from error
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise ValueError("it is no vocabulary")
        if record.get("version") != VERSION:
            raise ValueError(f"it is a vocabulary of version {record.get('version')!r}; update sweettok")
        try:
            codebooks = {str(name): tuple(map(int, sizes)) for name, sizes in record["codebooks"].items()}
            if not set(codebooks) <= {name for name, kind in ARRAYS.items() if kind.indices}:
                raise ValueError("it has codebooks of an unknown kind")
            family, model, sha256 = (str(record[name]) for name in ("family", "model", "weights_sha256"))
            found = cls(family, model, sha256, codebooks, tuple(map(str, record["classes"])))
            stated = json.loads(found.to_json())
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("it is a damaged vocabulary") from error
        for name, value in stated.items():
            if record.get(name) != value:
                raise ValueError(f"its {name} does not follow from its codebooks and classes")
        return found


#: Lists whose codes are words of another list.
_OF_DETAIL = {"detail": "nouns"}


def columns(array: str) -> tuple[str, ...]:
    """The list that each column of an array's tokens is of."""
    if ARRAYS[array].codebooks:
        return (array,)
    parts = parts_of_speech(array)
    if parts is None:
        return ("codes",)
    modifiers, heads = parts
    return (modifiers, modifiers, heads)
