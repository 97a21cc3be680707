"""One shard of videos as symbols: what is known of each, and what every format writes and reads."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sweettok_cli.sequences.vocabulary import Vocabulary
from sweettok_cli.tokens.meta import TokenMeta


@dataclass(frozen=True)
class Spelling:
    """How the videos of all shards of a folder are spelt.

    Attributes:
        vocabulary: of their symbols.
        length: symbols of a clip, where all clips have as many.
        classes: whether each video is said to be of a class.
    """

    vocabulary: Vocabulary
    length: int | None = None
    classes: bool = False


@dataclass(frozen=True)
class Sample:
    """One video of a shard.

    Attributes:
        name: path of its token file below the folder that was given, without the ending, with slashes.
        label: its class, if it is said to be of one.
        meta: description of its tokens, a JSON string.
        clips: that it has.
        at: where it lies in its shard, a number that its format alone understands.
    """

    name: str
    label: str | None
    meta: str
    clips: int
    at: int = 0

    def described(self) -> TokenMeta:
        """The description of its tokens; :class:`~sweettok_cli.tokens.TokenFault` where it is none."""
        return TokenMeta.from_json(self.meta)

    def to_json(self) -> str:
        """One line, :meth:`from_json` reads it."""
        record: dict[str, Any] = {"name": self.name, "clips": self.clips, "at": self.at}
        if self.label is not None:
            record["class"] = self.label
        return json.dumps(record | {"meta": self.meta}) + "\n"  # in ASCII: names need not be text

    @classmethod
    def from_json(cls, line: str) -> Sample:
        """What :meth:`to_json` wrote; ValueError for anything else."""
        record = json.loads(line)
        if not isinstance(record, dict):
            raise ValueError("a line is no JSON object")
        name, label, meta = (record.get(key) for key in ("name", "class", "meta"))
        clips, at = record.get("clips"), record.get("at")
        if not (isinstance(name, str) and isinstance(meta, str) and isinstance(label, str | None)):
            raise ValueError("a line does not say its name, meta or class")
        if type(clips) is not int or type(at) is not int or clips < 1 or at < 0:
            raise ValueError("a line does not say its clips or where they lie")
        return cls(name, label, meta, clips, at)


class ShardWriter(ABC):
    """Writes one shard.

    Args:
        stem: of its files, which add their endings.
        spelling: of all its videos.
        first: number of its first video among those of all shards.
    """

    endings: ClassVar[tuple[str, ...]]

    def __init__(self, stem: Path, spelling: Spelling, first: int) -> None:
        self.stem, self.spelling, self.first = stem, spelling, first

    @abstractmethod
    def add(self, sample: Sample, symbols: np.ndarray) -> int:
        """Write all symbols of a video; returns where they lie, see :attr:`Sample.at`."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left."""


class ShardReader(ABC):
    """Reads one shard; anything that is wrong with it is a ValueError or an OSError.

    Args:
        stem: of its files.
        spelling: of all its videos.
    """

    def __init__(self, stem: Path, spelling: Spelling) -> None:
        self.stem, self.spelling = stem, spelling

    @abstractmethod
    def video(self, sample: Sample) -> np.ndarray:
        """All symbols of a video, as they were added."""

    def inner(self, sample: Sample, start: int, end: int) -> np.ndarray:
        """The symbols of its clips ``start`` up to, and without, ``end``, and those between clips."""
        return cut(self.video(sample), self.spelling, start, end)


def cut(symbols: np.ndarray, spelling: Spelling, start: int, end: int) -> np.ndarray:
    """Of all symbols of a video, those of some of its clips, and those between them."""
    if spelling.length is not None:
        each = spelling.length + 1
        found = symbols[2 + start * each : 1 + end * each]
        whole = len(found) == (end - start) * each - 1
    else:
        marks = np.flatnonzero(symbols == spelling.vocabulary.special("clip"))
        ends = np.concatenate([[1], marks, [len(symbols) - 1]])
        whole = end < len(ends)
        found = symbols[ends[start] + 1 : ends[end]] if whole else symbols
    if not whole:
        raise ValueError(f"a video has fewer than its {end} clips")
    return found


def split(symbols: np.ndarray, vocabulary: Vocabulary) -> list[np.ndarray]:
    """Of all symbols of a video, those of each of its clips."""
    inner = symbols[2:-1]
    marks = np.flatnonzero(inner == vocabulary.special("clip"))
    return [part[number > 0 :] for number, part in enumerate(np.split(inner, marks))]


def joined(clips: Sequence[np.ndarray], vocabulary: Vocabulary) -> np.ndarray:
    """The symbols of clips, and those between them."""
    mark = np.array([vocabulary.special("clip")], vocabulary.dtype)
    return np.concatenate([part for clip in clips for part in (mark, clip)][1:])


def framed(inner: np.ndarray, vocabulary: Vocabulary, label: str | None) -> np.ndarray:
    """Clips, and what is between them, as a video, int64 [n]: with what begins and ends one, and its class.

    Raises ValueError for a class that there is not.
    """
    found = np.empty(len(inner) + 3, np.int64)
    found[:2] = vocabulary.special("begin"), vocabulary.label(label)
    found[2:-1] = inner
    found[-1] = vocabulary.special("end")
    return found
