"""What is measured: a model or a codec that takes a clip and gives it back at a price."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from sweettok_cli.evaluation.clip import Clip
    from sweettok_cli.metrics.codebook_use import CodeCounts

Pairs = Generator[tuple[np.ndarray, np.ndarray, bool], None, None]
"""Source and reconstruction, uint8 [h, w, 3], and whether a clip of the model begins with this frame."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run of frames after a codec.

    Attributes:
        frames: uint8 RGB ``[t, h, w, 3]``, of the shape of the source.
        bits: true bits that they cost.
    """

    frames: np.ndarray
    bits: float


@dataclass
class Spent:
    """What one item cost, filled in while its frames come.

    Attributes:
        bits: true bits.
        tokens: what papers count; 0 for codecs.
        indices: codebook indices; 0 for codecs and for continuous latents.
        clips: the model's clips, or the codec's streams.
        codes: how often each code was named; None for codecs.
        encode: seconds.
        decode: seconds.
        settings: the rate factor of each stream of a codec.
        limits: "floor" or "ceiling" for each stream of a codec that could not reach its target.
    """

    bits: float = 0.0
    tokens: int = 0
    indices: int = 0
    clips: int = 0
    codes: CodeCounts | None = None
    encode: float = 0.0
    decode: float = 0.0
    settings: list[float] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)


class Contender(Protocol):
    """Anything that can be measured.

    Attributes:
        name: unique in a run.
        kind: ``model`` or ``codec``.
    """

    name: str
    kind: str

    def describe(self) -> dict[str, Any]:
        """Everything that its results depend on, plain values only."""
        ...

    def reconstruct(self, clip: Clip, spent: Spent, bits_per_frame: float | None = None) -> Pairs:
        """The frames of a clip beside what becomes of them.

        Args:
            clip: to give back.
            spent: filled in by the time the last frame has come.
            bits_per_frame: what a codec may spend; models spend what they spend.

        Raises:
            SweettokError: the clip cannot be read, or does not suit the contender.
        """
        ...
