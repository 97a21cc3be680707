"""The quality setting at which an encoder spends a given number of bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

TOLERANCE = 0.01
"""How far from the target, up or down, a search stops; no result is further above it."""

Limit = Literal["floor", "ceiling"]
"""Where a target lies off the scale: even the highest setting spends more (floor), or the lowest less."""

_GUESSES = 6  # after which what is left of the scale is halved
_TRIES = 16


@dataclass(frozen=True)
class Scale:
    """The settings an encoder has, from the best quality to the fewest bits."""

    low: float  # the setting of best quality
    high: float  # the setting of fewest bits
    step: float  # the finest difference that matters
    octave: float  # the difference that halves the bits, roughly
    start: float  # where every search begins, whatever was encoded before: results do not depend on order

    @property
    def last(self) -> int:
        """The number of the highest setting; the lowest has 0."""
        return int((self.high - self.low) / self.step + 1e-9)

    def setting(self, number: int) -> float:
        """The setting with a number from 0 to :attr:`last`."""
        return self.low + number * self.step

    def number(self, setting: float) -> int:
        """The number of the setting nearest to ``setting``, which may lie off the scale."""
        return min(self.last, max(0, round((setting - self.low) / self.step)))


@dataclass(frozen=True)
class Found:
    """What a search ended with: a setting on the scale, and the bits spent there."""

    setting: float
    bits: int
    limit: Limit | None = None


def find_setting(bits_at: Callable[[float], int], target: float, scale: Scale) -> Found:
    """Search the setting whose bits come nearest to ``target`` without passing it by more than 1 %.

    Bits are taken to fall as the setting rises, exponentially on the whole; small exceptions do no harm. The
    search stops at the first setting within :data:`TOLERANCE`. Where the encoder moves in coarser steps than
    that, the result is the most bits not above.

    ``bits_at`` encodes at a setting; it is called three to five times as a rule, at most sixteen.

    Raises:
        ValueError: a target that is not positive.
    """
    if not target > 0:
        raise ValueError(f"the target must be more than 0 bits, not {target}")
    seen: dict[int, int] = {}
    above, below = -1, scale.last + 1  # numbers that spend too much, and too little
    number = scale.number(scale.start)
    for _ in range(_TRIES):
        bits = seen[number] = bits_at(scale.setting(number))
        if abs(bits / target - 1) <= TOLERANCE:
            return Found(scale.setting(number), bits)
        if bits > target:
            above = max(above, number)
        else:
            below = min(below, number)
        if below - above <= 1:
            break
        number = _next(seen, target, scale, above, below)
    if below == 0:
        return Found(scale.setting(0), seen[0], "ceiling")
    if above == scale.last:
        return Found(scale.setting(above), seen[above], "floor")
    allowed = {number: bits for number, bits in seen.items() if bits <= target * (1 + TOLERANCE)}
    number = max(allowed, key=lambda number: allowed[number])
    return Found(scale.setting(number), allowed[number])


def _next(seen: dict[int, int], target: float, scale: Scale, above: int, below: int) -> int:
    """A number strictly between ``above`` and ``below``, by the logarithm of the bits."""

    def missing(number: int) -> float:  # octaves that a number spends too much
        return math.log2(seen[number] / target)

    if len(seen) >= _GUESSES:
        guess = (above + below) / 2
    elif above in seen and below in seen:
        share = missing(above) / (missing(above) - missing(below))
        guess = above + share * (below - above)
    else:
        edge = above if above in seen else below
        guess = edge + missing(edge) * scale.octave / scale.step
    return min(below - 1, max(above + 1, round(guess)))
