"""Doubles the number of frames, linearly between neighbours, as they arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from sweettok_cli.models.vidtok.memory import Piece


class FrameDoubler:
    """State of one linear interpolation in time: output frames lie at 1/4 and 3/4 of every input frame.

    Each output is three parts its own input frame and one part the nearer neighbour (the usual linear
    resizing by 2 with half-pixel centres). At an end a frame is its own neighbour. So is, as published, the
    last frame of a stream's first latent, and the one after it: they do not know each other.

    Otherwise a frame is held back until the next one is known, or none will come; cutting a stream into
    pushes then changes nothing. With ``tiled`` the published rule for pieces holds instead: every push is an
    end, and the left neighbour of the next one is the frame that stood one latent before it; after the first
    push, it is the last frame of that. (Where pushes overlap by a latent, this is the true left neighbour for
    all but the second push.)
    """

    def __init__(self, latent: int, tiled: bool) -> None:
        """``latent``: input frames behind one latent."""
        self._latent = latent
        self._tiled = tiled
        self._alone = latent
        self._first_push = True
        self._left: Tensor | None = None
        self._held: Piece | None = None
        self._tail: Tensor | None = None

    def push(self, pieces: Iterable[Piece], closed: bool) -> Iterator[Piece]:
        """Pieces of twice as many frames; ``closed``: none is held back."""
        for frames, memory in pieces:
            alone, rest = frames[:, : self._alone], frames[:, self._alone :]
            if alone.shape[1]:
                self._alone -= alone.shape[1]
                yield from self._extend(Piece(alone, memory))
                if not self._alone:
                    yield from self._close()
                    self._left = None
            if rest.shape[1]:
                yield from self._extend(Piece(rest, memory))
        if closed or self._tiled:
            yield from self._close()
        if self._tiled and self._tail is not None:
            self._left = self._tail[:, -1:] if self._first_push else self._tail[:, :1]
            self._tail = self._left
            self._first_push = False

    def _extend(self, piece: Piece) -> Iterator[Piece]:
        frames, memory = piece
        if self._tiled:
            tail = frames if self._tail is None else torch.cat([self._tail, frames], 1)
            self._tail = tail[:, -self._latent - 1 :].clone()
        if self._held is not None:
            yield self._double(self._held, frames[:, :1])
        if frames.shape[1] > 1:
            yield self._double(Piece(frames[:, :-1], memory), frames[:, -1:])
        self._held = Piece(frames[:, -1:].clone(), memory)

    def _close(self) -> Iterator[Piece]:
        if self._held is not None:
            yield self._double(self._held, self._held.frames)
            self._held = None

    def _double(self, piece: Piece, right: Tensor) -> Piece:
        x, memory = piece
        left = x[:, :1] if self._left is None else self._left
        before = torch.cat([left, x[:, :-1]], 1)
        after = torch.cat([x[:, 1:], right], 1)
        self._left = x[:, -1:].clone()
        doubled = torch.stack([torch.lerp(x, before, 0.25), torch.lerp(x, after, 0.25)], 2)
        return Piece(doubled.flatten(1, 2), memory)
