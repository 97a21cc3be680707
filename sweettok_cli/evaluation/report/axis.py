"""One axis of a chart: from values to places, and the round numbers that are written beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """Maps ``low`` to the place ``start`` and ``high`` to ``end``, evenly or by ratio.

    Attributes:
        low: value, above 0 on a logarithmic axis.
        high: value above ``low``.
        start: place in the chart's units.
        end: place; below ``start`` for an axis that points up.
        log: by ratio.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def around(
        cls, values: Iterable[float], start: float, end: float, *, log: bool = False, air: float = 0.06
    ) -> Axis:
        """An axis that holds all values with a little air, and is not empty where they are all alike."""
        found = [value for value in values if not log or value > 0] or [1.0]
        low, high = min(found), max(found)
        if log:
            factor = max((high / low) ** air, 1.15)
            return cls(low / factor, high * factor, start, end, log)
        room = max((high - low) * air, abs(high) * 0.005, 1e-6)
        return cls(low - room, high + room, start, end, log)

    def __call__(self, value: float) -> float:
        """The place of a value."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + (self.end - self.start) * share, 2)

    def ticks(self, wanted: int = 6) -> list[float]:
        """Round numbers inside the axis, ``wanted`` or fewer of them."""
        if self.log:
            return self._log_ticks(wanted)
        for step in self._steps((self.high - self.low) / wanted):
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            if last - first + 1 <= wanted:
                return [number * step for number in range(first, last + 1)]
        raise AssertionError("steps have no end")

    def _log_ticks(self, wanted: int) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
            found = [factor * 10.0**decade for decade in decades for factor in factors]
            found = [value for value in found if self.low <= value <= self.high]
            if len(found) <= wanted:
                return found
        return found[:: -(-len(found) // wanted)]

    @staticmethod
    def _steps(least: float) -> Iterable[float]:
        power = math.floor(math.log10(least))
        while True:
            for factor in (1, 2, 5):
                if factor * 10.0**power >= least:
                    yield factor * 10.0**power
            power += 1


def tick_text(value: float) -> str:
    """As short as it is exact: ``0.05``, ``28``, ``1k``, ``20k``."""
    if abs(value) >= 1000:
        return f"{value / 1000:.6g}k"
    return f"{round(value, 9):.6g}".replace("-", "\u2212")
