"""Where the tokens of a video go: to columns and cells in which their bits remove most of the error.

All tokens that are spent remove at least a price for each of their bits, one for all positions of the clips
that are looked at together: by Lagrange's rule no other choice of as many bits leaves less error. What a
token of detail removes is known exactly when it is made; what one of motion removes is judged by its linear
path, before the decoder has seen it. The price is found by looking at what it buys.
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
from sweettok_cli.tokens.layout import count_bits
from sweettok_cli.tokens.ragged import rows_by_level

# Prices tried for some clips: each changes which columns have a token, and so what is left to refine.
_TRIES = 3
# Dearer than this many times what was tried, or cheaper, is tried again.
_NEAR = 1.4
# Detail is looked for down to this part of the price, so that the price can fall without another try.
_BELOW = 4.0
# Clips that need little take no more than they would at this part of the price so far: the rest is kept for
# those that come.
_THRIFT = 0.5
# How the price of the first clips follows from the share of the usual bits that they may have.
_STEEP = 1.5
# Halvings that find the price for so many bits among all that tokens are worth.
_HALVINGS = 24


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

    ``present`` [1, T]; ``error``: squared, of all values, before any detail; ``detail``: of all its cells, in
    which no token counts as worth more than those before it.
    """

    present: Tensor
    error: float
    detail: DetailTokens


class Spender:
    """Spends the tokens of one video, some clips after the other.

    Args:
        network: with levels.
        budget: for the video; by default as many bits as without levels.
    """

    def __init__(self, network: SweetTok, budget: Budget) -> None:
        assert network.detail is not None and not budget.fixed
        self._network, self._detail, self._budget = network, network.detail, budget
        self._price: float | None = None  # what a bit must remove, of the clips before
        self._least = 0.0  # price under which bits are kept for later clips
        self._saved = 0.0  # bits that clips before have left
        self._appearance_bits = math.fsum(map(math.log2, network.quantize_spatial.sizes))

    def spend(self, clips: Sequence[Candidate]) -> list[Choice]:
        """The tokens of the next clips, which are looked at together."""
        energies = [self._energy(clip) for clip in clips]
        spare = self._saved + sum(map(self._allowed, clips))
        spare -= self._appearance_bits * sum(clip.tokens.spatial.shape[1] for clip in clips)
        price = self._first_price(clips, energies)
        cheap, dear = 0.0, math.inf  # prices that buy too much and too little
        for tries in range(_TRIES):
            bought = [self._buy(clip, e, price) for clip, e in zip(clips, energies, strict=True)]
            wanted = max(self._wanted(clips, bought, spare, price), self._least)
            if tries == _TRIES - 1 or price / _NEAR <= wanted <= price * _NEAR:
                break
            cheap, dear = (price, dear) if wanted > price else (cheap, price)
            price = wanted if cheap < wanted < dear else math.sqrt(cheap * dear)
        if self._budget.psnr is not None:
            self._price = wanted
            return [self._choice(each, wanted) for each in bought]
        self._price = wanted
        self._least = _THRIFT * wanted
        if self._column_bits(bought) > spare:
            self._saved = 0.0
            return self._columns_alone(energies, bought, spare)
        self._saved = spare - self._column_bits(bought) - self._detail_bits(bought, self._price)
        return [self._choice(each, self._price) for each in bought]

    def _usual(self, clip: Candidate) -> float:
        """Bits that a clip has without levels."""
        spatial, temporal = (tokens.shape[1] for tokens in clip.tokens)
        return self._appearance_bits * spatial + self._network.motion_bits * temporal

    def _allowed(self, clip: Candidate) -> float:
        """Bits that the budget has for a clip."""
        if self._budget.tokens is None:
            return self._usual(clip)
        mean = self._usual(clip) / sum(tokens.shape[1] for tokens in clip.tokens)
        return mean * self._budget.tokens * clip.pixels / PIXELS

    def _first_price(self, clips: Sequence[Candidate], energies: Sequence[Tensor]) -> float:
        """Where to look first: the price of the clips before, or the usual one for so many bits."""
        if self._price is not None:
            return self._price
        moving = [energy for energy in energies if energy.numel()]
        if moving:
            price = float(self._network.usual_price(torch.cat(moving, dim=1)))
        else:
            left = list(self._left(clips[0], Choice(_all(clips[0]))))
            price = float(self._detail.usual_price(torch.cat(left, dim=3)))
        if self._budget.tokens is None:
            return price
        share = sum(map(self._allowed, clips)) / sum(map(self._usual, clips))
        return price * share**-_STEEP

    def _energy(self, clip: Candidate) -> Tensor:
        """About what each temporal token of a clip removes, [1, T]."""
        return self._network.motion_energy(self._network.quantize_temporal.codes(clip.tokens.temporal))

    def _left(self, clip: Candidate, choice: Choice) -> Iterator[Tensor]:
        """What a clip's columns leave over, in bands."""
        top = 0
        for band in clip.decode(choice):
            yield clip.rows(top, top + band.shape[3]) - band.float()
            top += band.shape[3]

    def _buy(self, clip: Candidate, energy: Tensor, price: float) -> _Bought:
        present = energy >= price * self._network.motion_bits
        found, error = list[DetailTokens](), 0.0
        for left in self._left(clip, Choice(present)):
            error += float(left.square().sum())
            found.append(self._detail.tokens(left, price / _BELOW))
        ids, removed = (
            torch.cat(parts, dim=2) for parts in zip(*((f.ids, f.removed) for f in found), strict=True)
        )
        return _Bought(present, error, DetailTokens(ids, removed.cummin(dim=-1).values))

    def _choice(self, bought: _Bought, price: float) -> Choice:
        return Choice(bought.present, bought.detail.ids, self._counts(bought, price))

    def _counts(self, bought: _Bought, price: float) -> Tensor:
        return bought.detail.counts(price * self._detail.bits)

    def _column_bits(self, bought: Sequence[_Bought]) -> float:
        """Of the columns that have a token, and of which these are."""
        positions = sum(each.present.numel() for each in bought)
        present = sum(int(each.present.sum()) for each in bought)
        return self._network.motion_bits * present + count_bits("temporal", positions, [present])

    def _detail_bits(self, bought: Sequence[_Bought], price: float) -> float:
        """Of the tokens of detail that are worth a price, and of how many each cell has."""
        counts = torch.cat([self._counts(each, price).flatten() for each in bought]).cpu().numpy()
        of_counts = count_bits("detail", len(counts), rows_by_level(counts, self._detail.levels))
        return self._detail.bits * float(counts.sum()) + of_counts

    def _wanted(
        self, clips: Sequence[Candidate], bought: Sequence[_Bought], spare: float, price: float
    ) -> float:
        """The price at which detail takes the bits that columns leave, or the error what the aim allows."""
        worth = torch.cat([each.detail.removed.flatten() for each in bought]) / self._detail.bits
        worth = worth[worth > 0].sort(descending=True).values
        if self._budget.psnr is None:
            left = spare - self._column_bits(bought)
            if left <= self._detail_bits(bought, math.inf):
                return price * _BELOW
            prices = worth.tolist()
            if not prices or self._detail_bits(bought, prices[-1]) <= left:
                return price / _BELOW
            # Of the prices, from dear to cheap, the cheapest that is not too much.
            low, high = -1, len(prices) - 1
            for _ in range(_HALVINGS):
                middle = (low + high) // 2
                if middle <= low:
                    break
                enough = self._detail_bits(bought, prices[middle]) <= left
                low, high = (middle, high) if enough else (low, middle)
            return prices[low] if low >= 0 else prices[0] * (1 + 1e-5)
        error = sum(each.error for each in bought)
        config = self._network.config
        frames = [1 + config.temporal_patch * (each.detail.ids.shape[1] - 1) for each in bought]
        values = 3 * sum(clip.pixels * t for clip, t in zip(clips, frames, strict=True))
        aim = values * 10 ** (-self._budget.psnr / 10)
        if error <= aim:
            return price * _BELOW
        count = int((error - (worth * self._detail.bits).cumsum(0) > aim).sum()) + 1
        return float(worth[count - 1]) if count <= len(worth) else price / _BELOW

    def _columns_alone(
        self, energies: Sequence[Tensor], bought: Sequence[_Bought], spare: float
    ) -> list[Choice]:
        """Where columns alone cost too much at every price that was tried: those that remove most."""
        flat = torch.cat([energy.flatten() for energy in energies])
        # At worst a bit more a column says which these are.
        most = int((spare - math.log2(len(flat) + 1)) / (self._network.motion_bits + 1)) if len(flat) else 0
        best = torch.zeros_like(flat, dtype=torch.bool)
        best[flat.topk(max(0, min(most, len(flat)))).indices] = True
        parts = best.split([energy.numel() for energy in energies])
        found = []
        for part, energy, each in zip(parts, energies, bought, strict=True):
            ids = each.detail.ids
            found.append(Choice(part.view_as(energy), ids, ids.new_zeros(ids.shape[:-1])))
        return found


def _all(clip: Candidate) -> Tensor:
    """All columns of a clip, [1, T]."""
    temporal = clip.tokens.temporal
    return torch.ones(temporal.shape[:2], dtype=torch.bool, device=temporal.device)
