"""What a metric is: of one clip and its reconstruction, or of a whole set of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np

from sweettok_cli.errors import SweettokError

Features = Mapping[str, np.ndarray]
"""What a set metric keeps of one clip: a few arrays by name."""


class NotMeasured(SweettokError):
    """A metric cannot be had here; the words say why and what would help."""


class Metric(Protocol):
    """Scores one clip at a time.

    Attributes:
        names: of the scores it gives, e.g. ``("psnr",)``; the keys of what :meth:`measure` returns.
        definitions: for each name one sentence that says exactly what is computed.
        unit: of the scores, ``"dB"`` or empty.
        higher_is_better: whether a larger score is a better one.
    """

    names: tuple[str, ...]
    definitions: dict[str, str]
    unit: str
    higher_is_better: bool

    def unsuited(self, shape: tuple[int, ...]) -> dict[str, str]:
        """The names that cannot be measured on clips of shape ``[t, h, w, 3]``, with the reason."""
        return {}

    def measure(self, source: np.ndarray, reconstruction: np.ndarray) -> dict[str, float]:
        """Scores by name, those left out that are unsuited to the clip.

        Args:
            source: uint8 ``[t, h, w, 3]``.
            reconstruction: uint8 of the same shape.

        Raises:
            ValueError: the shapes differ or the clips are not uint8.
        """
        ...


class SetMetric(Protocol):
    """Scores a whole set of clips at once, from a few numbers kept of each.

    Attributes:
        name: of the score, e.g. ``rfvd``.
        definition: one sentence that says exactly what is computed.
        unit: of the score, ``"dB"`` or empty.
        higher_is_better: whether a larger score is a better one.
    """

    name: str
    definition: str
    unit: str
    higher_is_better: bool

    def unsuited(self, shape: tuple[int, ...]) -> str | None:
        """Why a clip of shape ``[t, h, w, 3]`` cannot take part, or None."""
        return None

    def add(self, source: np.ndarray, reconstruction: np.ndarray) -> dict[str, np.ndarray]:
        """What is kept of one clip. It depends on nothing but the clip, so a run can stop and resume.

        Args:
            source: uint8 ``[t, h, w, 3]``.
            reconstruction: uint8 of the same shape.

        Raises:
            NotMeasured: the clip is unsuited.
            ValueError: the shapes differ or the clips are not uint8.
        """
        ...

    def result(self, clips: Iterable[Features]) -> float:
        """The score of the set, from what :meth:`add` gave for each clip; they are gone through once.

        Raises:
            NotMeasured: there are too few clips.
        """
        ...

    def warnings(self, clips: int) -> list[str]:
        """What a reader must know before trusting the score of so many clips."""
        return []


def check_clips(source: np.ndarray, reconstruction: np.ndarray) -> None:
    """Raise ValueError unless both are uint8 ``[t, h, w, 3]`` of one shape with at least one frame."""
    if source.shape != reconstruction.shape or source.ndim != 4 or source.shape[-1] != 3 or not source.size:
        raise ValueError(
            f"clips must be [t, h, w, 3] of one shape, not {source.shape} and {reconstruction.shape}"
        )
    if source.dtype != np.uint8 or reconstruction.dtype != np.uint8:
        raise ValueError(f"clips must be uint8, not {source.dtype} and {reconstruction.dtype}")


def too_small(shape: tuple[int, ...], smallest: Mapping[str, int]) -> dict[str, str]:
    """Names whose shortest side in pixels is longer than one of a clip ``[t, h, w, 3]``, with the reason."""
    height, width = shape[1:3]
    return {
        name: f"frames of {width}x{height} are too small; no side may be shorter than {side} pixels."
        for name, side in smallest.items()
        if min(height, width) < side
    }
