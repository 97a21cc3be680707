"""What the layers of one stream have to remember between two groups of frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn


class FrameMemory:
    """The last inputs of every causal layer. It belongs to one stream; the network itself holds nothing."""

    def __init__(self, parent: FrameMemory | None = None) -> None:
        self.parent = parent
        self._frames: dict[nn.Module, Tensor] = {}

    def fork(self) -> FrameMemory:
        """One that starts out with what this one knows when asked, and leaves no trace in it."""
        return FrameMemory(self)

    def precede(self, layer: nn.Module, x: Tensor, count: int, replicate: bool) -> Tensor:
        """``x`` [b, t, h, w, c] behind the ``count`` frames that came before it: [b, count + t, h, w, c].

        Before the first frame of the stream come zeros, or copies of it if ``replicate``.
        """
        if not count:
            return x
        before = self._known(layer)
        if before is None:
            first = x[:, :1].expand(-1, count, -1, -1, -1)
            before = first if replicate else torch.zeros_like(first)
        whole = torch.cat([before, x], 1)
        self._frames[layer] = whole[:, -count:].clone()  # a view would keep all of it
        return whole

    def _known(self, layer: nn.Module) -> Tensor | None:
        if layer in self._frames or self.parent is None:
            return self._frames.get(layer)
        return self.parent._known(layer)


class Piece(NamedTuple):
    """Some frames [b, t, h, w, c] on their way through a network, and the memory they are to use."""

    frames: Tensor
    memory: FrameMemory


def regroup(pieces: Iterable[Piece], pixels: int | None, multiple: int = 1) -> Iterator[Piece]:
    """The same frames in pieces of about ``pixels`` pixels, or all at once for None.

    Every piece but the last with its memory has a multiple of ``multiple`` frames, and at least so many.
    """
    rest: Piece | None = None
    for piece in pieces:
        if rest is not None and rest.memory is not piece.memory:
            yield rest
            rest = None
        if rest is not None:
            piece = Piece(torch.cat([rest.frames, piece.frames], 1), piece.memory)
        if pixels is None:
            rest = piece
            continue
        batch, count, height, width, _ = piece.frames.shape
        size = max(pixels // (batch * height * width) // multiple, 1) * multiple
        whole = count // size * size
        for start in range(0, whole, size):
            yield Piece(piece.frames[:, start : start + size], piece.memory)
        rest = Piece(piece.frames[:, whole:], piece.memory) if whole < count else None
    if rest is not None:
        yield rest
