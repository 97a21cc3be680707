"""Clips whose tokens are to be chosen, and what a choice of them leaves of their source's own pixels.

What frames are padded by is not shown, nor are the frames that fill up a last clip: neither counts as error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sweettok_cli.models.common.frames import to_frames
from sweettok_cli.models.sweettok.network import Choice, TokenPair

# Where the brightest and, less than nothing, the darkest values lie.
_REACH = 0.5


@dataclass(frozen=True)
class Extent:
    """Frames of a clip, and their height and width in pixels."""

    frames: int
    height: int
    width: int

    @property
    def values(self) -> int:
        """How many numbers its pixels are."""
        return 3 * self.frames * self.height * self.width


@dataclass(frozen=True)
class Candidate:
    """A clip whose tokens are to be chosen, or some that go through the network together.

    Attributes:
        tokens: ids [b, S, 3] and [b, T, 3] of all their positions.
        padded: what the network sees of each.
        own: what is of the source, on top and to the left of that, and before what fills it up.
        rows: from one row to another of all frames, original, [b, 3, t, rows, w] in [-0.5, 0.5].
        decode: the clips as columns that are present [b, T] give them, in bands of rows from top to bottom.
    """

    tokens: TokenPair
    padded: Extent
    own: Extent
    rows: Callable[[int, int], Tensor]
    decode: Callable[[Choice], Iterator[Tensor]]

    @property
    def clips(self) -> int:
        """How many they are."""
        return len(self.tokens.spatial)

    @property
    def pixels(self) -> int:
        """Of a frame of each, with what it is padded by."""
        return self.clips * self.padded.height * self.padded.width

    @property
    def values(self) -> int:
        """How many numbers the pixels are that are of the source."""
        return self.clips * self.own.values

    def columns(self, patch: int) -> Tensor:
        """Which columns of so many pixels a side hold pixels of the source, bool [b, T]."""
        if not self.tokens.temporal.shape[1]:
            return torch.zeros(self.clips, 0, dtype=torch.bool)
        inside = torch.zeros(self.padded.height // patch, self.padded.width // patch, dtype=torch.bool)
        inside[: -(-self.own.height // patch), : -(-self.own.width // patch)] = True
        return inside.flatten().expand(self.clips, -1)

    def left(self, choice: Choice) -> Iterator[Tensor]:
        """What a choice leaves over of the clips, in bands; nothing of what is not seen.

        That is what is not the source's own, and what lies beyond black or white where the source is that.
        """
        for top, source, made in self._bands(choice):
            left = source - made.float()
            left = torch.where(source <= -_REACH, left.clamp(max=0), left)
            left = torch.where(source >= _REACH, left.clamp(min=0), left)
            left[:, :, self.own.frames :] = 0
            left[:, :, :, max(0, self.own.height - top) :] = 0
            left[..., self.own.width :] = 0
            yield left

    def error(self, choice: Choice) -> float:
        """Squared error of the clips as frames of bytes show them, in values of a range of one."""
        found = 0.0
        for top, source, made in self._bands(choice):
            own = slice(self.own.frames), slice(max(0, self.own.height - top)), slice(self.own.width)
            shown, wanted = (to_frames(video)[:, *own].double() for video in (made, source))
            found += float((shown - wanted).square().sum())
        return found / 255**2

    def _bands(self, choice: Choice) -> Iterator[tuple[int, Tensor, Tensor]]:
        """The first row of each band, its source and what is decoded."""
        top = 0
        for band in self.decode(choice):
            yield top, self.rows(top, top + band.shape[3]), band
            top += band.shape[3]
