"""Which words the clips of a class name most, and which of them tell it from others (SweetTok, figure 4).

The unit is a clip, so that a long one cannot carry a word; of UCF-101, whose names say which clips show the
same person and place (``v_Diving_g16_c04``), it is such a group. A unit's share of a word is the mean over
its clips of the word's share of its part of speech.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np

from sweettok_cli.data.groups import ucf101
from sweettok_cli.errors import SweettokError
from sweettok_cli.words.nearness import Nearness
from sweettok_cli.words.reader import FileWords, find_readable, of_one_model

RIGHT = 0.05  # chance below which a word is right
_DRAWS = 999  # of units, for each probability, where there are more ways to draw them
_SHUFFLES = 20  # of the classes, for what chance brings


@dataclass(frozen=True)
class MarkedWord:
    """A word that a class names.

    Attributes:
        word: itself.
        share: of its part of speech, the mean over the units of the class.
        elsewhere: likewise, over the units of all other classes.
        auc: probability that a unit of the class has a larger share of it than another unit has, ties half.
        p: probability of as large an ``auc`` for as many units drawn at random from all.
        right: whether that is at most 0.05: the word tells the class. Else it is named here, and no less
            elsewhere.
        most_in: the class with the largest share of it.
        near: share of the words of its list that lie farther from the class's name
            (:meth:`~sweettok_cli.words.nearness.Nearness.to`); None where that is not known.
    """

    word: str
    share: float
    elsewhere: float
    auc: float
    p: float
    right: bool
    most_in: str
    near: float | None = None


@dataclass(frozen=True)
class ClassWords:
    """The words that a class names most, by part of speech, most frequent first.

    ``least_p`` is the smallest that so many units of all can have.
    """

    name: str
    files: int
    units: int
    least_p: float
    words: dict[str, list[MarkedWord]]


@dataclass(frozen=True)
class Summary:
    """What the words of all classes amount to.

    Attributes:
        words: how many.
        right: share of them that are right.
        by_chance: the same share where units are dealt to the classes at random.
        near_right, near_wrong: mean nearness of right and of wrong words to the name of their class; None
            where there is none.
        near_others: mean nearness of the same words to the names of the other classes.
    """

    words: int
    right: float
    by_chance: float
    near_right: float | None
    near_wrong: float | None
    near_others: float | None


def find_classes(folder: Path) -> list[tuple[str, Path]]:
    """The files of a folder of class folders, each with its class.

    Raises:
        SweettokError: there are fewer than two classes, or files beside them.
    """
    files = find_readable([folder])
    beside = next((file for file in files if file.parent == folder), None)
    if beside is not None:
        raise SweettokError(
            f"{beside} lies beside the folders of classes; move it into one of them, or away."
        )
    found = [(file.relative_to(folder).parts[0], file) for file in files]
    if len({name for name, _ in found}) < 2:
        raise SweettokError(
            f"{folder} holds one class only; name a folder with a folder for each of several."
        )
    return found


class ClassTable:
    """The shares of words of every unit.

    Args:
        files: gone through once, each with its class; of each only shares are kept.

    Raises:
        SweettokError: files were encoded by different models.
    """

    def __init__(self, files: Iterable[tuple[str, FileWords]]) -> None:
        self.model: str | None = None  #: name or folder of the model whose words they are; None without files
        self.files: dict[str, int] = {}  #: how many of each class
        self.lists: dict[str, Sequence[str]] = {}  #: words by part of speech
        self._sums: dict[tuple[str, str], dict[str, np.ndarray]] = {}  # of shares, by class and unit
        self._clips: dict[tuple[str, str], dict[str, int]] = {}
        labels: list[str] = []

        def read() -> Iterator[FileWords]:
            for label, found in files:
                labels.append(label)
                yield found

        for found in of_one_model(read()):
            self._add(labels[-1], found)

    def _add(self, label: str, found: FileWords) -> None:
        self.model = self.model or found.model
        self.lists |= found.counts.words  # files in the fixed layout have no detail
        self.files[label] = self.files.get(label, 0) + 1
        known = ucf101(found.file.name)
        unit = label, known[1] if known else str(found.file)
        sums, clips = self._sums.setdefault(unit, {}), self._clips.setdefault(unit, {})
        for part, counts in found.counts.counts.items():
            if total := counts.sum():  # a picture has no motion
                sums[part] = sums.get(part, 0) + (counts / total).astype(np.float32)
                clips[part] = clips.get(part, 0) + 1

    def units(self, name: str) -> tuple[int, int]:
        """How many units a class has, and how many there are."""
        return sum(label == name for label, _ in self._sums), len(self._sums)

    def shares(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Shares of a part's words, float32 [units, words], and each unit's number of its class, [units]."""
        numbers = {name: number for number, name in enumerate(self.files)}
        units = [unit for unit, sums in self._sums.items() if part in sums]
        rows = [self._sums[unit][part] / self._clips[unit][part] for unit in units]
        words = len(self.lists[part])
        return np.array(rows, np.float32).reshape(-1, words), np.array(
            [numbers[name] for name, _ in units], int
        )


def mark_words(table: ClassTable, top: int, near: Nearness | None = None) -> tuple[list[ClassWords], Summary]:
    """The ``top`` words of each part of speech that each class names most, marked; and what they amount to.

    Parts that fewer than two classes name are left out. The same files in the same order give the same marks.
    """
    names = list(table.files)
    nearness = [near.to(name) if near is not None else {} for name in names]
    words: list[dict[str, list[MarkedWord]]] = [{} for _ in names]
    own: dict[bool, list[float]] = {True: [], False: []}
    others: list[float] = []
    chance: list[bool] = []
    for part, known in table.lists.items():
        shares, labels = table.shares(part)
        if len(np.unique(labels)) < 2:
            continue
        marks = _Marks(shares)
        means = marks.means(labels, len(names))
        for number in np.unique(labels).tolist():
            found = words[number][part] = []
            for place, auc, p in marks.of(labels == number, means[number], top):
                at = nearness[number].get(part)
                word = MarkedWord(
                    word=known[place],
                    share=float(means[number, place]),
                    elsewhere=float(shares[labels != number, place].mean()),
                    auc=auc,
                    p=p,
                    right=p <= RIGHT,
                    most_in=names[int(means[:, place].argmax())],
                    near=None if at is None else float(at[place]),
                )
                found.append(word)
                if word.near is not None:
                    own[word.right].append(word.near)
                    rest = nearness[:number] + nearness[number + 1 :]
                    others += [float(each[part][place]) for each in rest if part in each]
        chance += marks.by_chance(labels, len(names), top)
    marked = [word.right for each in words for found in each.values() for word in found]
    classes = []
    for name, each in zip(names, words, strict=True):
        own_units, units = table.units(name)
        least = 1 / min(comb(units, own_units), _DRAWS + 1)
        classes.append(ClassWords(name, table.files[name], own_units, least, each))
    return classes, Summary(
        len(marked),
        float(np.mean(marked)) if marked else 0.0,
        float(np.mean(chance)) if chance else 0.0,
        *(float(np.mean(values)) if values else None for values in (own[True], own[False], others)),
    )


class _Marks:
    """How well words of one part of speech tell some units, of ``shares`` [units, words], from the others."""

    def __init__(self, shares: np.ndarray) -> None:
        self._shares = shares
        self._ranks: dict[int, np.ndarray] = {}
        self._drawn: dict[int, np.ndarray] = {}

    def means(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """Mean shares of every class, [classes, words]; 0 where a class has no unit."""
        one_of = np.equal.outer(np.arange(classes), labels).astype(np.float32)
        return one_of @ self._shares / np.maximum(one_of.sum(axis=1, keepdims=True), 1)

    def of(self, inside: np.ndarray, means: np.ndarray, top: int) -> list[tuple[int, float, float]]:
        """Place, AUC and p of the ``top`` words by ``means`` [words], of units ``inside``, bool [units]."""
        places = np.argsort(-means, kind="stable")[:top]
        places = places[means[places] > 0]
        if not len(places):
            return []
        ranks = np.stack([self._rank(int(place)) for place in places])  # [words, units]
        count, rest = int(inside.sum()), int((~inside).sum())
        sums = ranks[:, inside].sum(axis=1)
        drawn = ranks[:, self._draw(count)].sum(axis=2)  # [words, draws]
        aucs = (sums - count * (count + 1) / 2) / (count * rest)
        itself = int(comb(len(inside), count) > _DRAWS)  # where not all choices are taken, one is these units
        chances = (itself + (drawn >= sums[:, None]).sum(axis=1)) / (itself + drawn.shape[1])
        return list(zip(places.tolist(), aucs.tolist(), chances.tolist(), strict=True))

    def by_chance(self, labels: np.ndarray, classes: int, top: int) -> list[bool]:
        """Which words would be right of classes with as many units, dealt at random; of several deals."""
        random, found = np.random.default_rng(1), []
        for _ in range(_SHUFFLES):
            dealt = random.permutation(labels)
            means = self.means(dealt, classes)
            for number in np.unique(labels).tolist():
                found += [p <= RIGHT for _, _, p in self.of(dealt == number, means[number], top)]
        return found

    def _rank(self, word: int) -> np.ndarray:
        """Ranks of the units by their share of a word, from 1, ties their mean, [units]."""
        if word not in self._ranks:
            values = self._shares[:, word]
            ordered = np.sort(values)
            first, behind = np.searchsorted(ordered, values), np.searchsorted(ordered, values, "right")
            self._ranks[word] = (first + behind + 1) / 2
        return self._ranks[word]

    def _draw(self, count: int) -> np.ndarray:
        """So many units in all ways that there are, or in ``_DRAWS`` of them: [draws, count]."""
        if count not in self._drawn:
            if comb(len(self._shares), count) <= _DRAWS:
                self._drawn[count] = np.array(list(combinations(range(len(self._shares)), count)))
            else:
                random = np.random.default_rng(0).random((_DRAWS, len(self._shares)))
                self._drawn[count] = np.argpartition(random, count - 1, axis=1)[:, :count]
        return self._drawn[count]
