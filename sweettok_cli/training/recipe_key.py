"""A key of a recipe: its default, what it means, and which numbers it takes."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Key:
    """What is known of a recipe's key beside its type and its default."""

    meaning: str
    least: float | None = None  # numbers, also those in lists and tables, lie between these two
    most: float | None = None

    @property
    def range(self) -> str:
        """The bounds in words; empty if there are none."""
        return "" if self.most is None else f"{self.least:g} to {self.most:g}"


def key(default: Any, meaning: str, bounds: tuple[float, float] | None = None) -> Any:
    """A field of the recipe with its :class:`Key`."""
    about = {"key": Key(meaning, *(bounds or (None, None)))}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: copy.deepcopy(default), metadata=about)
    return field(default=default, metadata=about)
