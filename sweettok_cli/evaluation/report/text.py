"""Values as the page writes them: numbers with their intervals, choices in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sweettok_cli.evaluation.protocol import SpatialFit
from sweettok_cli.evaluation.record import ProtocolFacts
from sweettok_cli.metrics.frechet import FrechetRule

MINUS, DASH = "\u2212", "\u2013"

LABELS = {
    "name": "name",
    "source": "whose it is",
    "published_on": "published on",
    "choice": "frames chosen",
    "frames": "number of frames",
    "fps": "frame rate",
    "fit": "size of video frames",
    "picture_fit": "size of still pictures",
    "rounding": "rounding to 8 bits",
    "window": "frames measured at once",
    "average": "mean over",
    "frechet": "Fréchet distance",
    "splits": "splits",
    "clips": "number of clips",
    "seed": "seed",
    "interval": "intervals",
    "data_sets": "data sets",
}
"""Every choice that moves a figure."""

_NONE = {"frames": "all", "fps": "the video's own", "clips": "all"}
_ROUNDING = {"nearest": "to the nearest value", "down": "cut off"}


@dataclass(frozen=True)
class FigureText:
    """A measured value (or None) with its interval (or None), as text."""

    value: float | None
    digits: int  # after the point
    unit: str = ""  # written behind the value
    low: float | None = None
    high: float | None = None

    @property
    def text(self) -> str:
        """``28.38``, without the unit."""
        return number(self.value, self.digits)

    @property
    def with_unit(self) -> str:
        """``28.38 dB``."""
        return f"{self.text}\u00a0{self.unit}" if self.unit else self.text

    @property
    def signed(self) -> str:
        """``+0.38 dB``: with its sign, also above zero."""
        return f"{'+' if (self.value or 0) > 0 else ''}{self.with_unit}"

    @property
    def amount(self) -> str:
        """``0.38 dB``, whatever its sign."""
        return self.with_unit.removeprefix(MINUS)

    @property
    def unsure(self) -> bool:
        """The interval holds zero."""
        return self.low is not None and self.high is not None and self.low <= 0 <= self.high

    @property
    def interval(self) -> str:
        """``27.10 to 29.55``; empty where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"{number(self.low, self.digits)} to {number(self.high, self.digits)}"


def number(value: float | None, digits: int = 0) -> str:
    """With a real minus sign; a dash where nothing was measured."""
    return DASH if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def tick_text(value: float) -> str:
    """As short as it is exact: ``0.05``, ``28``, ``1k``, ``20k``."""
    if abs(value) >= 1000:
        return f"{value / 1000:.6g}k"
    return f"{round(value, 9):.6g}".replace("-", MINUS)


def plural(count: int, noun: str) -> str:
    """``1 clip``, ``1,252 frames``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def choices(protocol: ProtocolFacts) -> Iterator[tuple[str, str]]:
    """Label and words of every choice of a protocol."""
    for key, label in LABELS.items():
        if getattr(protocol, key) not in ("", {}, ()):
            yield label, in_words(getattr(protocol, key), key)


def in_words(choice: Any, key: str = "") -> str:
    """One choice of a protocol, or a setting of a model or codec, as text."""
    if choice is None:
        return _NONE.get(key, "none")
    if key == "rounding":
        return _ROUNDING.get(choice, choice)
    if isinstance(choice, FrechetRule | SpatialFit):
        return choice.words
    if isinstance(choice, Mapping):
        return ", ".join(f"{name} {in_words(value)}" for name, value in choice.items())
    if isinstance(choice, list | tuple):
        return ", ".join(map(str, choice))
    return str(choice)
