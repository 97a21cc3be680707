"""One item as a protocol wants it: the chosen frames at the chosen size."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from sweettok_cli.data.datasets.dataset import Item
from sweettok_cli.data.frames import open_footage
from sweettok_cli.evaluation.protocol import Protocol
from sweettok_cli.video.info import VideoInfo


class Clip:
    """The frames of one item that are measured. They can be gone through any number of times.

    Raises:
        SweettokError: the item cannot be read.
    """

    def __init__(self, item: Item, protocol: Protocol) -> None:
        self.item = item
        self._footage = open_footage(item)
        found = self._footage.info
        self._protocol = protocol
        self._stride = 1 if found.is_image else protocol.stride(float(found.rate))
        self._fit = protocol.picture_fit if found.is_image else protocol.fit

    @cached_property
    def info(self) -> VideoInfo:
        """Size, rate and, where it is known beforehand, number of the frames."""
        found = self._footage.info
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
        return -(-self._footage.count() // self._stride)

    @property
    def start(self) -> int:
        """Number, in the item itself, of the first frame."""
        if self._protocol.frames is None or self._footage.info.is_image:
            return 0
        return self._protocol.start(self.item.name, self._chosen_from) * self._stride

    def frames(self) -> Iterator[np.ndarray]:
        """The frames, uint8 RGB [h, w, 3].

        Raises:
            SweettokError: the item is damaged.
        """
        wanted = None if self._footage.info.is_image else self._protocol.frames
        span = None if wanted is None else (min(wanted, self._chosen_from) - 1) * self._stride + 1
        frames = self._footage.frames(self.start, span)
        for frame in itertools.islice(frames, 0, None, self._stride):
            yield self._fit(frame)
