"""What is measured: an item's frames as a protocol wants them, and who gives them back at a cost."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Generator, Iterator, Mapping
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from sweettok_cli.data.datasets import Item
from sweettok_cli.data.frames import open_source
from sweettok_cli.evaluation.protocol import Protocol as Rules
from sweettok_cli.evaluation.record import Kind
from sweettok_cli.evaluation.results import Cost
from sweettok_cli.video.info import VideoInfo

Pairs = Generator[tuple[np.ndarray, np.ndarray, bool], None, None]
"""Source and reconstruction, uint8 [h, w, 3], and whether a clip of the model begins with this frame."""


class Clip:
    """The frames of one item that are measured. They can be gone through any number of times.

    Raises:
        SweettokError: the item cannot be read.
    """

    def __init__(self, item: Item, protocol: Rules) -> None:
        self.item = item
        self._source = open_source(item)
        found = self._source.info
        self._protocol = protocol
        self._stride = 1 if found.is_image else protocol.stride(float(found.rate))
        self._fit = protocol.picture_fit if found.is_image else protocol.fit

    @cached_property
    def info(self) -> VideoInfo:
        """Size, rate and, where it is known beforehand, number of the frames."""
        found = self._source.info
        width, height = self._fit.size(found.width, found.height)
        frames = found.frames
        if self._protocol.frames is not None and not found.is_image:
            frames = min(self._protocol.frames, self._chosen_from)
        elif frames is not None:
            frames = -(-frames // self._stride)
        return dataclasses.replace(
            found, width=width, height=height, rate=found.rate / self._stride, frames=frames, duration=None
        )

    @cached_property
    def _chosen_from(self) -> int:
        """Frames that a run of some of them is chosen from."""
        return -(-self._source.count() // self._stride)

    @property
    def start(self) -> int:
        """Number, in the item itself, of the first frame."""
        if self._protocol.frames is None or self._source.info.is_image:
            return 0
        return self._protocol.start(self.item.name, self._chosen_from) * self._stride

    def frames(self) -> Iterator[np.ndarray]:
        """The frames, uint8 RGB [h, w, 3].

        Raises:
            SweettokError: the item is damaged.
        """
        wanted = None if self._source.info.is_image else self._protocol.frames
        span = None if wanted is None else (min(wanted, self._chosen_from) - 1) * self._stride + 1
        frames = self._source.frames(self.start, span)
        for frame in itertools.islice(frames, 0, None, self._stride):
            yield self._fit(frame)


class Method(Protocol):
    """Anything that can be measured: a model or a codec.

    Attributes:
        name: unique in a run.
        kind: which of the two.
    """

    name: str
    kind: Kind

    def describe(self) -> Mapping[str, Any]:
        """Everything that its results depend on, plain values only."""
        ...

    def reconstruct(self, clip: Clip, cost: Cost, bits_per_frame: float | None = None) -> Pairs:
        """The frames of a clip beside what becomes of them.

        Args:
            clip: to give back.
            cost: filled in by the time the last frame has come.
            bits_per_frame: what a codec may spend; models spend what they spend.

        Raises:
            SweettokError: the clip cannot be read, or does not suit the method.
        """
        ...
