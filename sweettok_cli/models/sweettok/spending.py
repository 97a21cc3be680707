"""Where the tokens of a video go: to columns and cells in which each removes most of the error.

All tokens that are spent remove at least a price, one for all positions of the clips that are looked at
together: by Lagrange's rule no other choice of as many tokens leaves less error. What a token of detail
removes is known exactly when it is made; what one of motion removes is judged by its linear path, before the
decoder has seen it. The price is found by looking at what it buys.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sweettok_cli.models.common.budget import PIXELS, Budget
from sweettok_cli.models.sweettok.detail import DetailTokens
from sweettok_cli.models.sweettok.network import Choice, SweetTok, TokenPair

# Prices tried for some clips: each changes which columns have a token, and so what is left to refine.
_TRIES = 4
# Dearer than this many times what was tried, or cheaper, is tried again.
_NEAR = 1.3
# Detail is looked for down to this part of the price, so that the price can fall without another try.
_BELOW = 4.0
_ABOVE = 1 + 1e-5  # the next price, of numbers in float32
# Clips that need little take no more than they would at this part of the price so far: the rest is kept for
# those that come.
_THRIFT = 0.5


@dataclass(frozen=True)
class Candidate:
    """A clip whose tokens are to be chosen.

    Attributes:
        tokens: ids [1, S, 3] and [1, T, 3] of all its positions.
        pixels: of its frames, with what they are padded by.
        rows: from one row to another of all frames, original, [1, 3, t, rows, w] in [-0.5, 0.5].
        decode: the clip as columns that are present [1, T] give it, in bands of rows from top to bottom.
    """

    tokens: TokenPair
    pixels: int
    rows: Callable[[int, int], Tensor]
    decode: Callable[[Choice], Iterator[Tensor]]


@dataclass
class _Bought:
    """What one price bought of one clip.

    ``present`` [1, T]; ``error``: squared, of all values, before any detail; ``detail``: of all its cells.
    """

    present: Tensor
    error: float
    detail: DetailTokens


class Spender:
    """Spends the tokens of one video, some clips after the other.

    Args:
        network: with levels.
        budget: for the video; by default as many tokens as without levels.
    """

    def __init__(self, network: SweetTok, budget: Budget) -> None:
        assert network.detail is not None and not budget.fixed
        self._network, self._detail, self._budget = network, network.detail, budget
        self._price = float(network.detail.price)
        self._least = 0.0  # price under which tokens are kept for later clips
        self._saved = 0.0  # tokens that clips before have left

    def spend(self, clips: Sequence[Candidate]) -> list[Choice]:
        """The tokens of the next clips, which are looked at together."""
        allowed, price = self._saved + sum(map(self._allowed, clips)), self._price
        spare = int(allowed) - sum(clip.tokens.spatial.shape[1] for clip in clips)
        energies = [self._energy(clip) for clip in clips]
        cheap, dear = 0.0, math.inf  # prices that buy too much and too little
        for tries in range(_TRIES):
            bought = [self._buy(clip, e, price) for clip, e in zip(clips, energies, strict=True)]
            wanted = self._wanted(clips, bought, spare, price)
            if tries == _TRIES - 1 or price / _NEAR <= wanted <= price * _NEAR:
                break
            cheap, dear = (price, dear) if wanted > price else (cheap, price)
            price = wanted if cheap < wanted < dear else math.sqrt(cheap * dear)
        if self._budget.psnr is not None:
            self._price = wanted
            return [Choice(each.present, each.detail.ids, each.detail.counts(wanted)) for each in bought]
        self._price = max(wanted, self._least)
        self._least = _THRIFT * self._price
        columns = sum(int(each.present.sum()) for each in bought)
        if columns > spare:
            return self._columns_alone(energies, bought, spare)
        counts = [each.detail.counts(self._price) for each in bought]
        if columns + sum(int(each.sum()) for each in counts) > spare:  # some are worth exactly the price
            counts = [each.detail.counts(self._price * _ABOVE) for each in bought]
        spent = columns + sum(int(each.sum()) for each in counts)
        self._saved = max(0.0, float(spare - spent))
        return [Choice(b.present, b.detail.ids, c) for b, c in zip(bought, counts, strict=True)]

    def _allowed(self, clip: Candidate) -> float:
        """Tokens that the budget has for a clip."""
        if self._budget.tokens is None:
            return float(sum(tokens.shape[1] for tokens in clip.tokens))
        return self._budget.tokens * clip.pixels / PIXELS

    def _energy(self, clip: Candidate) -> Tensor:
        """About what each temporal token of a clip removes, [1, T]."""
        return self._network.motion_energy(self._network.quantize_temporal.codes(clip.tokens.temporal))

    def _buy(self, clip: Candidate, energy: Tensor, price: float) -> _Bought:
        present = energy >= price
        found, error, top = list[DetailTokens](), 0.0, 0
        for band in clip.decode(Choice(present)):
            left = clip.rows(top, top + band.shape[3]) - band.float()
            top += band.shape[3]
            error += float(left.square().sum())
            found.append(self._detail.tokens(left, price / _BELOW, self._network.quantize_spatial))
        ids, removed = (
            torch.cat(parts, dim=2) for parts in zip(*((f.ids, f.removed) for f in found), strict=True)
        )
        return _Bought(present, error, DetailTokens(ids, removed))

    def _wanted(
        self, clips: Sequence[Candidate], bought: Sequence[_Bought], spare: int, price: float
    ) -> float:
        """The price at which detail takes the tokens that columns leave, or the error what the aim allows."""
        # Of a cell, no token comes without those before it: it is as dear as the least of them.
        worth = torch.cat([each.detail.removed.cummin(dim=-1).values.flatten() for each in bought])
        worth = worth[worth > 0].sort(descending=True).values
        if self._budget.psnr is None:
            count = spare - sum(int(each.present.sum()) for each in bought)
        else:
            error = sum(each.error for each in bought)
            config = self._network.config
            frames = [1 + config.temporal_patch * (each.detail.ids.shape[1] - 1) for each in bought]
            values = 3 * sum(clip.pixels * t for clip, t in zip(clips, frames, strict=True))
            aim = values * 10 ** (-self._budget.psnr / 10)
            count = int((error - worth.cumsum(0) > aim).sum()) + 1 if error > aim else 0
        if count <= 0:
            return price * _BELOW
        return float(worth[count - 1]) if count <= len(worth) else price / _BELOW

    def _columns_alone(
        self, energies: Sequence[Tensor], bought: Sequence[_Bought], spare: int
    ) -> list[Choice]:
        """Where columns alone cost too much at every price that was tried: those that remove most."""
        flat = torch.cat([energy.flatten() for energy in energies])
        best = torch.zeros_like(flat, dtype=torch.bool)
        best[flat.topk(max(0, min(spare, len(flat)))).indices] = True
        self._saved = 0.0
        parts = best.split([energy.numel() for energy in energies])
        found = []
        for part, energy, each in zip(parts, energies, bought, strict=True):
            ids = each.detail.ids
            found.append(Choice(part.view_as(energy), ids, ids.new_zeros(ids.shape[:-2])))
        return found
