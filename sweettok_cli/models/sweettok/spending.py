"""Where the tokens of a video go: to columns and cells in which their bits remove most of the error.

Of the clips that are looked at together, the columns in which a token of motion says most have one, judged by
its linear path before the decoder has seen it; and tokens of detail, whose worth is known exactly when they
are made, are those that remove at least a price for each of their bits: by Lagrange's rule no other choice of
as many leaves less error. Which share of the columns that should be is found by decoding with some.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sweettok_cli.models.common.budget import Budget
from sweettok_cli.models.sweettok.buying import Bought, Buyer, price_down_to
from sweettok_cli.models.sweettok.candidate import Candidate
from sweettok_cli.models.sweettok.network import Choice, SweetTok
from sweettok_cli.tokens.layout import count_bits

# The share of the columns that is tried first where there are as many bits as usual, and how much more with
# twice of them.
_SHARE, _SHARE_OF_TWICE = 0.65, 0.15
# Tried next is a share whose last column seems worth so many times as much as the last token of detail: on 14
# clips held out the best ones are near that. First half way there, and if that was better, all the way; not
# what is nearer than this.
_EVEN, _NEAR, _WAYS = 3.0, 0.04, (0.5, 1.0)
# Detail is looked for down to this part of the price that is expected, again and again if that was too dear,
# and at last down to this part of that.
_BELOW = 3.0
_AGAIN = 8.0
_LOWEST = _AGAIN**3
# What removes no more is worth no bit: of a cell of 768 values rounding to bytes makes an error of 1e-3.
_NOTHING = 1e-8
# By so many of the columns fewer is tried, in turn, where there are bits for more than there is.
_FEWER = (0.3, 0.15)
# Clips that need little take no more than they would at this part of the price so far: the rest is kept for
# those that come.
_THRIFT = 0.5
# How the price of the first clips follows from the share of the usual bits that they may have.
_STEEP = 1.5
# Mean squared error of a value that is none: 100 dB.
_LEAST_ERROR = 1e-10
# Decibels by which a quality may be missed as far as is reckoned, before it is decoded to be measured.
_SURE = 0.1


@dataclass
class _Offer:
    """One share of the columns, with as much detail as there are bits for, or as the aim takes.

    ``price``: what a bit of detail removes at least; ``left``: squared error at the end, of all values of the
    clips; ``error``: so much of it as counts; ``bits``: of motion and of detail, with their counts; ``ends``:
    there is no more detail to be had.
    """

    share: float
    bought: list[Bought]
    price: float
    left: float
    error: float
    bits: float
    ends: bool


class Spender:
    """Spends the tokens of one video, some clips after the other.

    Args:
        network: with levels.
        budget: for the video; by default as many bits as without levels.
    """

    def __init__(self, network: SweetTok, budget: Budget) -> None:
        assert network.detail is not None and not budget.fixed
        self._network, self._detail, self._budget = network, network.detail, budget
        self._share = _SHARE
        self._price: float | None = None  # what a bit removed at least, of the clips before
        self._least = 0.0  # price under which bits are kept for later clips
        self._saved = 0.0  # bits that clips before have left
        self._most_left = 0.0  # of the clips before, mean squared error as far as it is reckoned
        self._worst: float | None = None  # likewise, as it is told
        self._buyer = Buyer(network.detail)
        self._appearance_bits = network.quantize_spatial.bits

    @property
    def worst(self) -> float | None:
        """Decibels of the clip so far that comes back worst, where a quality is aimed at; else None.

        Of a clip that comes within a tenth of a decibel of the aim, they are reckoned; else measured.
        """
        return None if self._worst is None else _decibels(self._worst)

    def spend(self, clips: Sequence[Candidate]) -> list[Choice]:
        """The tokens of the next clips, which are looked at together."""
        energies = [self._energy(clip) for clip in clips]
        moving = sum(energy.numel() for energy in energies)
        spare = math.inf
        if self._budget.psnr is None:
            spare = self._saved + sum(map(self._allowed, clips))
            spare -= self._appearance_bits * sum(clip.tokens.spatial[..., 0].numel() for clip in clips)
        if self._price is None:
            bits = 1.0  # of the usual ones; where a quality is aimed at, nobody knows
            if self._budget.psnr is None:
                bits = sum(map(self._allowed, clips)) / sum(map(self._usual, clips))
            self._price = self._usual_price(clips, energies) * bits**-_STEEP
            self._share = min(max(_SHARE + _SHARE_OF_TWICE * math.log2(bits), 0.0), 1.0)
        without = count_bits("detail", sum(map(self._cells, clips)), [0])
        columns = sum(clip.tokens.temporal[..., 0].numel() for clip in clips)
        most = min(1.0, self._most_columns(columns, spare - without) / moving) if moving else 0.0
        best = self._offer(clips, energies, min(self._share, most), spare)
        price = best.price
        for way in _WAYS:
            share = min(best.share + way * (self._even_share(best, energies) - best.share), most)
            if self._budget.psnr is not None and best.price == math.inf:
                break  # good enough with no detail
            if abs(share - best.share) < _NEAR:
                break
            other = self._offer(clips, energies, share, spare, best.price)
            if not self._better(other, best):
                break
            best = other
            price = best.price if best.price < math.inf else price
        if self._budget.psnr is not None:
            best = self._fewest(best, clips, energies)
        if best.ends:
            best = self._fewer(best, clips, energies, spare)
        # Of clips that could have no more columns it is not known how many others would take.
        self._share = best.share if best.share < most else max(self._share, best.share)
        if price < math.inf:  # some detail was bought, or with fewer columns would have been
            self._price = price
        if self._budget.psnr is None:
            self._least = _THRIFT * price if price < math.inf else self._least
            self._saved = max(0.0, spare - best.bits)
        choices = [Choice(each.present, each.detail.ids, each.counts(best.price)) for each in best.bought]
        self._buyer.learn(choices)
        if self._budget.psnr is not None:
            self._note_worst(clips, choices, best.left / self._values(clips))
        return choices

    def _note_worst(self, clips: Sequence[Candidate], choices: Sequence[Choice], left: float) -> None:
        """Remember what comes back worst, of clips whose mean squared error is reckoned to be ``left``.

        That knows nothing of what the network's last layers make of detail, nor of bytes: where it matters,
        it is measured.
        """
        assert self._budget.psnr is not None
        if self._worst is not None and left <= self._most_left:
            return
        self._most_left = left
        if abs(_decibels(left) - self._budget.psnr) > _SURE:
            found = sum(clip.error(choice) for clip, choice in zip(clips, choices, strict=True))
            left = found / self._values(clips)
        self._worst = max(self._worst or 0.0, left)

    def _fewest(self, best: _Offer, clips: Sequence[Candidate], energies: Sequence[Tensor]) -> _Offer:
        """Fewer columns than an offer has that is good enough with no detail, while that takes fewer bits."""
        step = best.share  # none at all, and then by halves
        while best.price == math.inf and step >= _NEAR:
            other = self._offer(clips, energies, best.share - step, math.inf)
            best = other if self._better(other, best) else best
            step = min(step, best.share) / 2
        return best

    def _fewer(
        self, best: _Offer, clips: Sequence[Candidate], energies: Sequence[Tensor], spare: float
    ) -> _Offer:
        """Fewer columns than an offer has that has all detail there is, if the rest do more harm than good.

        In pictures without motion, of which a column can say no more than that.
        """
        for step in _FEWER:
            if best.share - step < _NEAR:
                break
            other = self._offer(clips, energies, best.share - step, spare, best.price)
            if not self._better(other, best):
                break
            best = other
        return best

    def _even_share(self, offer: _Offer, energies: Sequence[Tensor]) -> float:
        """The share of the columns that are worth their bits at an offer's price."""
        energy = torch.cat(list(energies))
        if not len(energy):
            return 0.0
        worth = energy / (self._finite_price(offer) * self._network.motion_bits)
        return float((worth >= _EVEN).float().mean())

    def _better(self, one: _Offer, other: _Offer) -> bool:
        """Whether one share of the columns is better than another."""
        if self._budget.psnr is None:
            price = max(map(self._finite_price, (one, other)))
            return one.error + price * one.bits < other.error + price * other.bits
        # What falls short of the aim is compared by that.
        return (max(one.error, 1.0), one.bits) < (max(other.error, 1.0), other.bits)

    def _usual(self, clip: Candidate) -> float:
        """Bits that a clip has without levels."""
        spatial, temporal = (tokens[..., 0].numel() for tokens in clip.tokens)
        return self._appearance_bits * spatial + self._network.motion_bits * temporal

    def _allowed(self, clip: Candidate) -> float:
        """Bits that the budget has for a clip."""
        tokens = sum(ids[..., 0].numel() for ids in clip.tokens)
        return self._budget.bits(self._usual(clip), tokens, clip.pixels)

    def _finite_price(self, offer: _Offer) -> float:
        """What a bit is worth by an offer, or before it where that has no detail."""
        assert self._price is not None
        return offer.price if offer.price < math.inf else self._price

    def _usual_price(self, clips: Sequence[Candidate], energies: Sequence[Tensor]) -> float:
        """What to expect of clips that have as many bits as without levels."""
        energy = torch.cat(list(energies))
        if len(energy):
            return float(self._network.usual_price(energy[None]))
        left = list(clips[0].left(Choice(clips[0].tokens.temporal[..., 0] >= 0)))
        return float(self._detail.usual_price(torch.cat(left, dim=3)))

    def _energy(self, clip: Candidate) -> Tensor:
        """About what the temporal token of each column that is seen removes, [columns]."""
        vectors = self._network.quantize_temporal.codes(clip.tokens.temporal)
        return self._network.motion_energy(vectors)[self._seen(clip)]

    def _seen(self, clip: Candidate) -> Tensor:
        """Which columns hold pixels of the source, [b, T]."""
        return clip.columns(self._network.config.patch).to(clip.tokens.temporal.device)

    def _most_columns(self, columns: int, spare: float) -> int:
        """How many of so many columns may have a token."""
        low, high = 0, columns + 1  # of which low may
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._column_bits(columns, middle) <= spare else (low, middle)
        return low

    def _column_bits(self, columns: int, present: int) -> float:
        """Of so many tokens of motion, and of which columns have them."""
        return self._network.motion_bits * present + count_bits("temporal", columns, [present])

    def _offer(
        self,
        clips: Sequence[Candidate],
        energies: Sequence[Tensor],
        share: float,
        spare: float,
        start: float = math.inf,
    ) -> _Offer:
        """What a share of the columns leads to; ``start`` is what a bit is worth where that is known."""
        flat = torch.cat(list(energies))
        best = torch.zeros_like(flat, dtype=torch.bool)
        best[flat.topk(round(share * len(flat))).indices] = True
        present = []
        for clip, part in zip(clips, best.split([len(energy) for energy in energies]), strict=True):
            seen = self._seen(clip)
            present.append(torch.zeros_like(seen).masked_scatter(seen, part))
        columns = sum(each.numel() for each in present)
        of_columns = self._column_bits(columns, int(best.sum()))
        assert self._price is not None
        last = max(self._price / _BELOW / _LOWEST, _NOTHING)
        low = max(min(self._price, start) / _BELOW, last)
        while True:
            bought = [self._buyer.buy(clip, each, low) for clip, each in zip(clips, present, strict=True)]
            price = self._price_of(clips, bought, spare - of_columns)
            if price is not None or low <= max(last, self._least):
                break
            low = max(low / _AGAIN, last)
        ends = price is None and low > self._least
        price = max(low if price is None else price, self._least)
        error = left = sum(each.left(price) for each in bought)
        if self._budget.psnr is not None:  # what is better than that counts for nothing
            error = max(0.0, left - self._aim(clips))
        bits = of_columns + self._buyer.bits(bought, price)
        return _Offer(share, bought, price, left, error, bits, ends)

    def _price_of(self, clips: Sequence[Candidate], bought: Sequence[Bought], spare: float) -> float | None:
        """The price at which detail takes the bits that are left, or the error what the aim allows.

        None: all that has been looked for is not enough.
        """
        if self._budget.psnr is None:
            return self._buyer.price_within(bought, spare)
        return price_down_to(bought, self._aim(clips))

    def _aim(self, clips: Sequence[Candidate]) -> float:
        """The squared error of all values that the aim allows."""
        assert self._budget.psnr is not None
        return self._values(clips) * 10 ** (-self._budget.psnr / 10)

    def _values(self, clips: Sequence[Candidate]) -> int:
        """How many numbers the pixels of clips are that are seen."""
        return sum(clip.values for clip in clips)

    def _cells(self, clip: Candidate) -> int:
        config = self._network.config
        return config.latent_frames(clip.padded.frames) * clip.pixels // config.patch**2


def _decibels(error: float) -> float:
    """Of a mean squared error, of values of a range of one."""
    return -10 * math.log10(max(error, _LEAST_ERROR))
