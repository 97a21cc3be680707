"""What any method says of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """The class that was chosen, and how well each class fits: more is better. Servers tell no scores."""

    label: str
    scores: Mapping[str, float] | None
