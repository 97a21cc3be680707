"""What was measured of one clip: what the journal keeps, and what all figures are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated

import numpy as np

from sweettok_cli.evaluation.json_object import JsonObject, Mark
from sweettok_cli.evaluation.record import ClipInfo
from sweettok_cli.metrics.codebook_use import CodeCounts
from sweettok_cli.metrics.comparison import SeamFlicker


@dataclass
class Scores(JsonObject):
    """What one method got on one clip."""

    frames: int = 0  # that were compared
    values: Mapping[str, float] = field(default_factory=dict)  # by name, means over the frames
    not_measured: Mapping[str, str] = field(default_factory=dict)  # reason by name
    square_error: int = 0  # sum of the squared errors in 8-bit steps
    numbers: int = 0  # how many errors that is the sum of
    flicker: SeamFlicker = field(default_factory=SeamFlicker)  # how the error moves from frame to frame
    # What each set metric keeps of the clip, arrays by name; among the journal's arrays.
    features: Annotated[Mapping[str, Mapping[str, np.ndarray]], Mark.APART] = field(default_factory=dict)


@dataclass
class Cost(JsonObject):
    """What one clip cost, filled in while its frames come."""

    bits: float = 0.0  # true bits
    tokens: int = 0  # what papers count; 0 for codecs
    indices: int = 0  # codebook indices; 0 for codecs and for continuous latents
    clips: int = 0  # the model's clips, or the codec's streams
    encode: float = 0.0  # seconds; of a codec the search for the rate factor and decoding included
    decode: float = 0.0  # seconds
    settings: tuple[float, ...] = ()  # the rate factor of each stream of a codec
    limits: tuple[str, ...] = ()  # "floor" or "ceiling" for each stream of a codec that missed its target
    # How often each code was named, None for codecs; among the journal's arrays.
    codes: Annotated[CodeCounts | None, Mark.APART] = None


@dataclass
class MethodResult(JsonObject):
    """One clip as one method gave it back: how well, and at what cost."""

    scores: Scores
    cost: Cost


@dataclass
class CurveResult(JsonObject):
    """One clip at one rate factor of a codec: the scores by name and the true bits."""

    setting: float
    bits: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class ClipResult(ClipInfo):
    """One clip and what became of it."""

    methods: Mapping[str, MethodResult]
    curves: Mapping[str, tuple[CurveResult, ...]]  # by the codec's name, over its own rate factors

    @property
    def pixels(self) -> int:
        """Of all frames, at the size that was measured."""
        return self.width * self.height * self.frames

    @property
    def seconds(self) -> float:
        """How long the frames of a video last."""
        return float(self.frames / Fraction(self.rate))
