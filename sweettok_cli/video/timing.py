"""Frame rates and time stamps as exact fractions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

DEFAULT_RATE = Fraction(25)
# Containers that count milliseconds (Matroska, WebM) round every time stamp of a steady 30 fps video by up to
# half of one; no player shows it, and a regular rate restores what was meant.
ROUNDING = Fraction(1, 1000)


def is_regular(times: Sequence[Fraction], rate: Fraction, time_base: Fraction) -> bool:
    """Whether frame ``i`` is shown at ``times[0] + i / rate``, up to the rounding of the container's clock.

    Args:
        times: seconds, in order of display.
        rate: frames a second.
        time_base: length of one tick of the container's clock in seconds.
    """
    tolerance = min(max(time_base, ROUNDING), 1 / (4 * rate))
    return all(abs(time - times[0] - i / rate) <= tolerance for i, time in enumerate(times))


def variable_times(times: Sequence[Fraction], rate: Fraction, time_base: Fraction) -> list[Fraction] | None:
    """The times, counted from the first frame, where the rate varies; None where ``rate`` says it all."""
    if is_regular(times, rate, time_base):
        return None
    return [time - times[0] for time in times]
