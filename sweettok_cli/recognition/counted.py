"""The words that files name, counted: all a method without pixels knows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sweettok_cli.codebook.prior import WordGraph
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.registry import family_of
from sweettok_cli.recognition.prompt import Counts
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.tokens.arrays import PARTS_OF_SPEECH
from sweettok_cli.words.reader import WordReader, check_one_model
from sweettok_cli.zoo.local import find_model


class WordCounter:
    """Counts the words of files that one model has encoded.

    Attributes, known when the first file is read:
        words: the word behind each index, by part of speech, of the lists that all files so far name.
        model: name or folder of the model.
        weights_sha256: of its weights.
    """

    def __init__(self, reader: WordReader) -> None:
        self._reader = reader
        self._first: Path | None = None
        self._with_levels: Path | None = None
        self._fixed: Path | None = None
        self.words: Mapping[str, Sequence[str]] = {}
        self.model = self.weights_sha256 = ""

    def count(self, file: Path) -> Counts:
        """How often a token file, video or picture names each word.

        Raises:
            SweettokError: it cannot be read, names no words, or was encoded by another model than the first.
        """
        found = self._reader.read(file)
        if self._first is None:
            self._first, self.model = file, found.model
            self.weights_sha256 = found.tokens.meta.weights_sha256
            self.words = found.counts.words
        self.words = {part: each for part, each in self.words.items() if part in found.counts.counts}
        check_one_model(self._first, self.weights_sha256, found)
        if found.tokens.meta.levels:
            self._with_levels = self._with_levels or file
        else:
            self._fixed = self._fixed or file
        return {part: counts.astype(np.int32) for part, counts in found.counts.counts.items()}

    @property
    def mixed(self) -> str | None:
        """What is to be said where some files have levels of detail and others the fixed layout."""
        if self._with_levels is None or self._fixed is None:
            return None
        return (
            f"{self._with_levels} has levels of detail and {self._fixed} the fixed layout, whose words are "
            "shared out differently, and detail is left out; encode all of them with --fixed."
        )

    def alike(self, counts: Counts) -> Counts:
        """Of the counts of one file, those of the lists that all files so far name."""
        return {part: counts[part] for part in self.words}

    def vectors(self) -> dict[str, np.ndarray]:
        """The word prior's vector of each word, float32 [words, dim] by part of speech.

        Raises:
            SweettokError: the model's words have vectors that were drawn at random.
        """
        folder = ModelFolder(find_model(self.model))
        read = family_of(folder).prior
        prior = None if read is None else read(folder)
        if prior is None:
            raise SweettokError(
                f"{self.model} has words without vectors; give a model with a language codebook."
            )
        found: dict[str, np.ndarray] = {}
        for half, parts in PARTS_OF_SPEECH.items():
            graph: WordGraph = getattr(prior, half)
            split = np.split(graph.vectors, [len(graph.modifiers)])
            found.update(zip(parts, split, strict=True))
        return found
