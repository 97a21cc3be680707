"""Detail as it is bought: what each token would remove of some clips, and at which price they are taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from sweettok_cli.models.sweettok.candidate import Candidate
from sweettok_cli.models.sweettok.detail import Detail, DetailTokens
from sweettok_cli.models.sweettok.network import Choice
from sweettok_cli.tokens.layout import count_bits
from sweettok_cli.tokens.ragged import rows_by_level

# Bits that it takes to say that a cell has a token, of clips of which nothing is known.
_COUNT_BITS = 2.0
# Halvings that find the price for so many bits among all that tokens are worth.
_HALVINGS = 24


@dataclass
class Bought:
    """What some columns leave of a clip, and which tokens of detail would remove of it.

    ``present`` [1, T]; ``error``: squared, of all values, before any detail; ``detail``: of all its cells;
    ``worth`` [..., levels]: what each bit of a token removes, and of none more than of those before it.
    """

    present: Tensor
    error: float
    detail: DetailTokens
    worth: Tensor

    def counts(self, price: float) -> Tensor:
        """Tokens that each cell has where all bits remove at least a price."""
        return (self.worth >= price).sum(-1)

    def left(self, price: float) -> float:
        """Squared error that stays with these."""
        return self.error - float(self.detail.removed[self.worth >= price].double().sum())


class Buyer:
    """Buys detail for the clips of one video, and learns what it takes to say which cells have it."""

    def __init__(self, detail: Detail) -> None:
        self._detail = detail
        # Bits that it takes to say that a cell has a token, of each level, as clips before have them.
        self._count_bits = torch.full((detail.levels,), _COUNT_BITS, device=detail.price.device)

    def buy(self, clip: Candidate, present: Tensor, price: float) -> Bought:
        """All tokens of a clip with columns ``present`` [1, T] whose bits remove at least a price each."""
        found, error = list[DetailTokens](), 0.0
        for left in clip.left(Choice(present)):
            error += float(left.square().sum())
            found.append(self._detail.tokens(left, price))
        ids, removed = (
            torch.cat(parts, dim=2) for parts in zip(*((f.ids, f.removed) for f in found), strict=True)
        )
        worth = (removed / (self._detail.bits + self._count_bits)).cummin(dim=-1).values
        return Bought(present, error, DetailTokens(ids, removed), worth)

    def bits(self, bought: Sequence[Bought], price: float) -> float:
        """Of the tokens that are worth a price, and of how many each cell has."""
        counts = torch.cat([each.counts(price).flatten() for each in bought]).cpu().numpy()
        of_counts = count_bits("detail", len(counts), rows_by_level(counts, self._detail.levels))
        return self._detail.bits * float(counts.sum()) + of_counts

    def learn(self, choices: Sequence[Choice]) -> None:
        """Take what was chosen as what to expect of the next clips."""
        counts = torch.cat([choice.counts.flatten() for choice in choices if choice.counts is not None])
        rows = rows_by_level(counts.cpu().numpy(), self._detail.levels)
        for level, (before, here) in enumerate(pairwise([len(counts), *rows])):
            share = (here + 1) / (before + 2)  # by Laplace's rule
            self._count_bits[level] = max(0.0, math.log2((1 - share) / share))

    def price_within(self, bought: Sequence[Bought], spare: float) -> float | None:
        """The price at which detail takes so many bits; None: all that was bought does not."""
        worth = torch.cat([each.worth.flatten() for each in bought])
        prices = worth[worth > 0].sort(descending=True).values.tolist()
        low, high = -1, len(prices)  # of the prices, from dear to cheap, low is not too cheap
        for _ in range(_HALVINGS):
            middle = (low + high) // 2
            if middle <= low:
                break
            enough = self.bits(bought, prices[middle]) <= spare
            low, high = (middle, high) if enough else (low, middle)
        if low == len(prices) - 1:
            return None
        return prices[low] if low >= 0 else math.inf


def price_down_to(bought: Sequence[Bought], error: float) -> float | None:
    """The price at which no more than so much error stays; None: with all that was bought, more does."""
    too_much = sum(each.error for each in bought) - error
    if too_much <= 0:
        return math.inf
    worth = torch.cat([each.worth.flatten() for each in bought])
    removed = torch.cat([each.detail.removed.flatten() for each in bought])
    positive = worth > 0
    worth, order = worth[positive].sort(descending=True)
    count = int((removed[positive][order].double().cumsum(0) < too_much).sum())
    return float(worth[count]) if count < len(worth) else None
