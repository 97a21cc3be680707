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
        self._frames: dict[nn.Module, list[Tensor]] = {}

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
            before = [first if replicate else torch.zeros_like(first)]
        parts = [*before, x]
        self._frames[layer] = _last(parts, count)
        return torch.cat(parts, 1)

    def _known(self, layer: nn.Module) -> list[Tensor] | None:
        if layer in self._frames or self.parent is None:
            return self._frames.get(layer)
        return self.parent._known(layer)


def _last(parts: list[Tensor], count: int) -> list[Tensor]:
    """The last ``count`` frames of ``parts``; copied only where a larger tensor would be kept for them."""
    kept: list[Tensor] = []
    for part in reversed(parts):
        if not count:
            break
        frames = part[:, -count:]
        count -= frames.shape[1]
        kept.insert(0, frames if frames.nbytes == frames.untyped_storage().nbytes() else frames.clone())
    return kept


class Piece(NamedTuple):
    """Some frames [b, t, h, w, c] on their way through a network, and the memory they are to use."""

    frames: Tensor
    memory: FrameMemory


#: Numbers that a causal network works on at once, rounded to whole frames. Tensors of up to 32 MiB come from
#: the heap, larger ones are mapped anew each time, which costs as much as a fifth of the work done on them.
GROUP_SIZE = 4 << 20


def regroup(
    pieces: Iterable[Piece], size: int | None, multiple: int = 1, growth: float = 1
) -> Iterator[Piece]:
    """The same frames in pieces of about ``size`` numbers, or all at once for None.

    ``growth``: counted are so many times the numbers that there are, because so many are to become of them.

    Every piece but the last with its memory has a multiple of ``multiple`` frames, and at least so many.
    """
    rest: Piece | None = None
    for piece in pieces:
        if rest is not None and rest.memory is not piece.memory:
            yield rest
            rest = None
        if rest is not None:
            piece = Piece(torch.cat([rest.frames, piece.frames], 1), piece.memory)
        if size is None:
            rest = piece
            continue
        count = piece.frames.shape[1]
        step = max(int(size / growth) // piece.frames[:, 0].numel() // multiple, 1) * multiple
        whole = count // step * step
        for start in range(0, whole, step):
            yield Piece(piece.frames[:, start : start + step], piece.memory)
        rest = Piece(piece.frames[:, whole:], piece.memory) if whole < count else None
    if rest is not None:
        yield rest
