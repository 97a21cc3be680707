"""One question: which class a clip is of, given examples of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.recognition.answer import Answer
from sweettok_cli.recognition.classes import find_classes
from sweettok_cli.recognition.counted import WordCounter
from sweettok_cli.recognition.nearest import nearest_class, token_histogram
from sweettok_cli.recognition.prompt import Choice, Counts, make_prompt
from sweettok_cli.words.reader import WordReader


@dataclass(frozen=True)
class Question:
    """A clip and the examples of each class, as the words that they name."""

    query: Counts
    shots: dict[str, list[Counts]]
    examples: dict[str, list[Path]]  # the files of the shots
    counter: WordCounter
    passed_over: Path | None  # the clip itself, which lies among the examples

    @classmethod
    def read(cls, file: Path, folder: Path, reader: WordReader) -> Question:
        """Read, and where they are videos encode, a clip and a folder of classes.

        Raises:
            SweettokError: one of them cannot be read, or a class has no example beside the clip itself.
        """
        found = find_classes(folder)
        counter = WordCounter(reader)
        query = counter.count(file)
        itself = next((e.path for each in found.values() for e in each if e.path.samefile(file)), None)
        examples = {label: [e.path for e in each if e.path != itself] for label, each in found.items()}
        for label, paths in examples.items():
            if not paths:
                raise SweettokError(f"{folder / label} has no example beside the clip itself; add another.")
        shots = {label: [counter.count(path) for path in paths] for label, paths in examples.items()}
        shots = {label: [counter.alike(each) for each in found] for label, found in shots.items()}
        return cls(counter.alike(query), shots, examples, counter, itself)

    @property
    def labels(self) -> list[str]:
        """The classes, in the order of their names."""
        return list(self.shots)

    @property
    def model(self) -> str:
        """Whose words they are."""
        return self.counter.model

    def prompt(self, choice: Choice, top: int) -> str:
        """What a language model is asked; see :func:`~sweettok_cli.recognition.prompt.make_prompt`."""
        return make_prompt(self.query, self.shots, self.counter.words, choice, top)

    def nearest(self) -> Answer:
        """The nearest class by token histogram."""
        shots = {label: np.stack([token_histogram(e) for e in each]) for label, each in self.shots.items()}
        return nearest_class(token_histogram(self.query), shots)
