"""Batches of windows: some clips of a video in a row, as sequences that begin with a class."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sweettok_cli.generation.choices import FEW, NO_LIST, Choices, ClipChoices
from sweettok_cli.generation.network import UNLEARNED
from sweettok_cli.generation.videos import SymbolVideo
from sweettok_cli.sequences.sequence import VideoOrder
from sweettok_cli.training.task import Kind


@dataclass(frozen=True)
class Window:
    """A sequence to learn from.

    Attributes:
        symbols: int64 [n], what is read: begin, class, clips.
        targets: int64 [n], what follows each; :data:`UNLEARNED` where that is not learned.
        choices: what may follow each.
    """

    symbols: np.ndarray
    targets: np.ndarray
    choices: Choices


@dataclass(frozen=True)
class WindowBatch:
    """Windows of one batch, filled up to one length.

    Attributes:
        symbols: int64 [b, n].
        targets: int64 [b, n].
        lists: int8 [b, n], as :class:`Choices` has them.
        few: bool [b, n, FEW], likewise.
        clips: names of the videos.
    """

    symbols: np.ndarray
    targets: np.ndarray
    lists: np.ndarray
    few: np.ndarray
    clips: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def nbytes(self) -> int:
        """Of all arrays."""
        return sum(array.nbytes for array in (self.symbols, self.targets, self.lists, self.few))


class Windows:
    """Writes videos as windows.

    Args:
        order: of their symbols.
        length: clips of a window at most.
    """

    def __init__(self, order: VideoOrder, length: int) -> None:
        self.order, self.length = order, length
        self._clip_choices = ClipChoices(order.clip, order.vocabulary)
        code = order.vocabulary
        ends = [(code.special(name), code.special(name) + 1) for name in ("clip", "end")]
        self._unlearned = Choices.of([[]], code)
        self._between = Choices.of([ends], code)

    def of(self, video: SymbolVideo, start: int, label: str | None) -> Window:
        """The window that begins with clip ``start`` of a video, and says that it is of a class or none.

        What follows its last clip, another one or the end, is learned, too.
        """
        code = self.order.vocabulary
        clips = video.clips[start : start + self.length]
        more = start + len(clips) < len(video.clips)
        marks = [code.special("clip")] * (len(clips) - 1) + [code.special("clip" if more else "end")]
        parts = [np.array([code.special("begin"), code.label(label)])]
        found = [self._unlearned]
        for clip, mark in zip(clips, marks, strict=True):
            parts += [clip, np.array([mark])]
            found += [self._clip_choices.of(clip), self._between]
        whole = np.concatenate(parts).astype(np.int64)
        targets = whole[1:].copy()
        targets[0] = UNLEARNED
        return Window(whole[:-1], targets, Choices.joined(found))

    def batch(self, windows: Sequence[Window], names: Sequence[str]) -> WindowBatch:
        """Windows side by side; behind the shorter ones, nothing is learned."""
        b, n = len(windows), max(len(window.symbols) for window in windows)
        symbols = np.full((b, n), self.order.vocabulary.special("pad"), np.int64)
        targets = np.full((b, n), UNLEARNED, np.int64)
        lists, few = np.full((b, n), NO_LIST, np.int8), np.zeros((b, n, FEW), bool)
        for row, window in enumerate(windows):
            held = slice(0, len(window.symbols))
            symbols[row, held], targets[row, held] = window.symbols, window.targets
            lists[row, held], few[row, held] = window.choices.lists, window.choices.few
        return WindowBatch(symbols, targets, lists, few, tuple(names))

    def covering(self, videos: Sequence[SymbolVideo], size: int) -> Iterator[WindowBatch]:
        """All clips of videos, each once, ``size`` windows a batch; of no class where that is not known."""
        known = set(self.order.vocabulary.classes)
        places = [(video, start) for video in videos for start in range(0, len(video.clips), self.length)]
        for first in range(0, len(places), size):
            some = places[first : first + size]
            windows = [self.of(v, start, v.label if v.label in known else None) for v, start in some]
            yield self.batch(windows, [video.name for video, _ in some])


class WindowSource:
    """Batches to learn from: a pure function of seed, number and process.

    An epoch is every window of every video once, wherever it begins, in a new order.

    Args:
        windows: writes them.
        videos: what there is.
        size: windows of a batch of each process.
        seed: of the order, and of which classes are left out.
        label_dropout: share of the windows whose class is not said.
        rank: of this process.
        ranks: how many there are.
        accumulate: batches of a step.
    """

    def __init__(
        self,
        windows: Windows,
        videos: Sequence[SymbolVideo],
        size: int,
        seed: int,
        label_dropout: float,
        rank: int = 0,
        ranks: int = 1,
        accumulate: int = 1,
    ) -> None:
        self.windows, self.videos = windows, videos
        self._size, self._seed, self._label_dropout = size, seed, label_dropout
        self._rank, self._ranks, self._accumulate = rank, ranks, accumulate
        self._places = [
            (number, start)
            for number, video in enumerate(videos)
            for start in range(max(1, len(video.clips) - windows.length + 1))
        ]
        self._kept = -1, np.zeros(0, np.int64)

    def batch(self, number: int) -> WindowBatch:
        """As :meth:`Batches.batch`."""
        first = (number * self._ranks + self._rank) * self._size
        windows, names = [], []
        for place in range(first, first + self._size):
            epoch, at = divmod(place, len(self._places))
            of, start = self._places[int(self._walk(epoch)[at])]
            video = self.videos[of]
            dropped = np.random.default_rng([self._seed, 1, place]).random() < self._label_dropout
            windows.append(self.windows.of(video, start, None if dropped else video.label))
            names.append(video.name)
        return self.windows.batch(windows, names)

    def _walk(self, epoch: int) -> np.ndarray:
        """The order of an epoch; kept, since all batches of it ask."""
        kept = self._kept
        if kept[0] != epoch:
            order = np.random.default_rng([self._seed, 0, epoch]).permutation(len(self._places))
            kept = self._kept = epoch, order
        return kept[1]

    def passes(self, steps: int) -> float:
        """As :meth:`Batches.passes`."""
        return steps * self._accumulate * self._ranks * self._size / len(self._places)

    def found(self) -> dict[str, Any]:
        """How much there is of what, and how many symbols a batch of one process has at most."""
        symbols = self._size * len(self._longest.symbols)
        clips = sum(len(video.clips) for video in self.videos)
        found = {"videos": len(self.videos), "clips": clips, "windows": len(self._places)}
        return {**found, "symbols_per_batch": symbols, "steps_per_epoch": 1 / self.passes(1)}

    def kind(self) -> Kind:
        """As :meth:`Task.kinds`: batches of the longest window."""
        window = self._longest

        def made_up(samples: int) -> WindowBatch:
            return self.windows.batch([window] * samples, [""] * samples)

        title = f"{self._size} of {len(window.symbols):,} symbols"
        return Kind(title, self._size, made_up(1).nbytes, made_up)

    @cached_property
    def _longest(self) -> Window:
        """The window with the most symbols."""

        def symbols(place: tuple[int, int]) -> int:
            number, start = place
            return sum(map(len, self.videos[number].clips[start : start + self.windows.length]))

        number, start = max(self._places, key=symbols)
        return self.windows.of(self.videos[number], start, None)

    def note(self, unreadable: Mapping[int, str]) -> None:
        """As :meth:`Numbered.note`: all has been read before."""

    def describe(self) -> str:
        """As :meth:`Batches.describe`."""
        clips = sum(len(video.clips) for video in self.videos)
        return f"{len(self.videos)} videos of {clips} clips in {len(self._places)} windows"

    def position(self, number: int) -> dict[str, Any]:
        """As :meth:`Batches.position`."""
        epoch = number * self._ranks * self._size / len(self._places)
        found = {"batch": number, "epoch": round(epoch, 4), "clips": len(self.videos)}
        return {**found, "digest": self._digest}

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for video in self.videos:
            about = Path(video.name).name, str(video.label), str(len(video.clips)), ""
            digest.update("\0".join(about).encode(errors="replace"))
        return digest.hexdigest()
