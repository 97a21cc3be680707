"""What the layers of one stream have to remember between two groups of frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn


class FrameMemory:
    """The last inputs of every causal layer. It belongs to one stream; the network itself holds nothing."""

    def __init__(self, frames: Mapping[nn.Module, list[Tensor]] | None = None) -> None:
        self._frames: dict[nn.Module, list[Tensor]] = dict(frames or {})

    def of(self, network: nn.Module) -> dict[nn.Module, list[Tensor]]:
        """What the layers inside ``network`` remember."""
        return {layer: self._frames[layer] for layer in network.modules() if layer in self._frames}

    def take(self, other: FrameMemory) -> None:
        """Remember what another one does."""
        self._frames |= other._frames

    def precede(self, layer: nn.Module, x: Tensor, count: int, replicate: bool) -> Tensor:
        """``x`` [b, t, h, w, c] behind the ``count`` frames that came before it: [b, count + t, h, w, c].

        Before the first frame of the stream come zeros, or copies of it if ``replicate``.
        """
        if not count:
            return x
        before = self._frames.get(layer)
        if before is None:
            first = x[:, :1].expand(-1, count, -1, -1, -1)
            before = [first if replicate else torch.zeros_like(first)]
        parts = [*before, x]
        self._frames[layer] = _last(parts, count)
        return torch.cat(parts, 1)


def _last(parts: list[Tensor], count: int) -> list[Tensor]:
    """The last ``count`` frames of ``parts``; copied only where a larger tensor would be kept for them."""
    kept: list[Tensor] = []
    for part in reversed(parts):
        if not count:
            break
        frames = part[:, -count:]
        count -= frames.shape[1]
        kept.insert(0, frames if _all_of_its_storage(frames) else frames.clone())
    return kept


def _all_of_its_storage(frames: Tensor) -> bool:
    """Whether nothing else is kept with them; not known in what is compiled for frames of any size."""
    return not torch.compiler.is_compiling() and frames.nbytes == frames.untyped_storage().nbytes()


#: Numbers that a causal network works on at once, rounded to whole frames. Tensors of up to 32 MiB come from
#: the heap, larger ones are mapped anew each time, which costs as much as a fifth of the work done on them.
GROUP_SIZE = 4 << 20


def regroup(
    pieces: Iterable[Tensor], size: int | None, multiple: int = 1, growth: float = 1
) -> Iterator[Tensor]:
    """The same frames [b, t, h, w, c] in pieces of about ``size / growth`` numbers; all at once for no size.

    ``growth``: so many times the numbers are to become of them. Every piece but the last has a multiple of
    ``multiple`` frames, and at least so many.
    """
    rest: Tensor | None = None
    for piece in pieces:
        if rest is not None:
            piece = torch.cat([rest, piece], 1)
        if size is None:
            rest = piece
            continue
        count = piece.shape[1]
        step = max(int(size / growth) // piece[:, 0].numel() // multiple, 1) * multiple
        whole = count // step * step
        for start in range(0, whole, step):
            yield piece[:, start : start + step]
        rest = piece[:, whole:] if whole < count else None
    if rest is not None:
        yield rest


class FrameDoubler:
    """State of one linear interpolation in time: output frames lie at 1/4 and 3/4 of every input frame.

    Each output is three parts its own input frame and one part the nearer neighbour (the usual linear
    resizing by 2 with half-pixel centres). At an end a frame is its own neighbour. So is, as published, the
    last frame of a stream's first latent, and the one after it: they do not know each other.

    A frame is held back until the next one is known, or none will come: cutting a stream into pushes changes
    nothing. (The published ``use_tiling`` ends at every piece, which shows as seams.)
    """

    def __init__(self, latent: int) -> None:
        """``latent``: input frames behind one latent."""
        self._alone = latent
        self._left: Tensor | None = None
        self._held: Tensor | None = None

    def push(self, pieces: Iterable[Tensor], closed: bool) -> Iterator[Tensor]:
        """Pieces [b, t, h, w, c] of twice as many frames; ``closed``: none is held back."""
        for frames in pieces:
            alone, rest = frames[:, : self._alone], frames[:, self._alone :]
            if alone.shape[1]:
                self._alone -= alone.shape[1]
                yield from self._extend(alone)
                if not self._alone:
                    yield from self._close()
                    self._left = None
            if rest.shape[1]:
                yield from self._extend(rest)
        if closed:
            yield from self._close()

    def _extend(self, frames: Tensor) -> Iterator[Tensor]:
        if self._held is not None:
            yield self._double(self._held, frames[:, :1])
        if frames.shape[1] > 1:
            yield self._double(frames[:, :-1], frames[:, -1:])
        self._held = frames[:, -1:].clone()

    def _close(self) -> Iterator[Tensor]:
        if self._held is not None:
            yield self._double(self._held, self._held)
            self._held = None

    def _double(self, x: Tensor, right: Tensor) -> Tensor:
        left = x[:, :1] if self._left is None else self._left
        before, after = torch.cat([left, x[:, :-1]], 1), torch.cat([x[:, 1:], right], 1)
        self._left = x[:, -1:].clone()
        return torch.stack([torch.lerp(x, before, 0.25), torch.lerp(x, after, 0.25)], 2).flatten(1, 2)
