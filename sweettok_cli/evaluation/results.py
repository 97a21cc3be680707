"""What was measured of one clip: what the journal keeps, and what all figures are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from sweettok_cli.evaluation.json_object import APART, JsonObject
from sweettok_cli.evaluation.record import ClipInfo
from sweettok_cli.metrics.codebook_use import CodeCounts
from sweettok_cli.metrics.comparison import SeamFlicker


@dataclass
class Scores(JsonObject):
    """What one method got on one clip.

    Attributes:
        frames: how many were compared.
        values: scores by name, means over the frames.
        not_measured: reason by name.
        square_error: sum of the squared errors in 8-bit steps.
        numbers: how many errors that is the sum of.
        flicker: how the error moves from frame to frame.
        features: what each set metric keeps of the clip, arrays by name; among the journal's arrays.
    """

    frames: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    not_measured: Mapping[str, str] = field(default_factory=dict)
    square_error: int = 0
    numbers: int = 0
    flicker: SeamFlicker = field(default_factory=SeamFlicker)
    features: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict, metadata=APART)


@dataclass
class Cost(JsonObject):
    """What one clip cost, filled in while its frames come.

    Attributes:
        bits: true bits.
        tokens: what papers count; 0 for codecs.
        indices: codebook indices; 0 for codecs and for continuous latents.
        clips: the model's clips, or the codec's streams.
        encode: seconds; of a codec the search for the rate factor and decoding included.
        decode: seconds.
        settings: the rate factor of each stream of a codec.
        limits: "floor" or "ceiling" for each stream of a codec that could not reach its target.
        codes: how often each code was named, None for codecs; among the journal's arrays.
    """

    bits: float = 0.0
    tokens: int = 0
    indices: int = 0
    clips: int = 0
    encode: float = 0.0
    decode: float = 0.0
    settings: tuple[float, ...] = ()
    limits: tuple[str, ...] = ()
    codes: CodeCounts | None = field(default=None, metadata=APART)


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
    """One clip and what became of it.

    Attributes:
        methods: by the method's name.
        curves: by the codec's name, over its own rate factors.
    """

    methods: Mapping[str, MethodResult]
    curves: Mapping[str, tuple[CurveResult, ...]]

    @property
    def pixels(self) -> int:
        """Of all frames, at the size that was measured."""
        return self.width * self.height * self.frames

    @property
    def seconds(self) -> float:
        """How long the frames of a video last."""
        return float(self.frames / Fraction(self.rate))
