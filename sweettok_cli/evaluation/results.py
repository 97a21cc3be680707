"""What is measured of one clip, and how: what the journal keeps, and what all figures are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated

import numpy as np

from sweettok_cli.evaluation.json_object import JsonObject, Mark
from sweettok_cli.evaluation.record import ClipInfo
from sweettok_cli.metrics.codebook_use import CodeCounts
from sweettok_cli.metrics.comparison import SeamFlicker, error_change
from sweettok_cli.metrics.frechet import RECONSTRUCTION, SOURCE, FeatureDistance
from sweettok_cli.metrics.metric import Metric, SetMetric
from sweettok_cli.metrics.psnr import GlobalPsnr, decibels
from sweettok_cli.tokens.ragged import TokenMap


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
    # "floor" or "ceiling" for each stream of a codec, and each video of a model, that missed its target.
    limits: tuple[str, ...] = ()
    # How often each code was named, None for codecs; among the journal's arrays.
    codes: Annotated[CodeCounts | None, Mark.APART] = None
    # Given a list, where the tokens of each frame are, [rows, columns], of models with levels.
    maps: Annotated[list[TokenMap] | None, Mark.APART] = None


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


SourceFeatures = dict[tuple[str, int], np.ndarray]
"""Of the windows of one item, by set metric and frames up to the end of the window."""


@dataclass
class Scorer:
    """All scores of one method on one clip: windows of frames are measured and forgotten, memory stays flat.

    A score of the item is the mean of its windows' weighted by their frames, which is the mean over all
    frames; ``psnr_clip`` is taken from the error of all windows together.
    """

    metrics: Sequence[Metric]  # of clips
    set_metrics: Sequence[SetMetric]  # of the whole set; psnr_global comes from the sums of squared errors
    size: int  # frames of a window
    sources: SourceFeatures = field(default_factory=dict)  # shared by the scorers of all methods

    def __post_init__(self) -> None:
        self._set_metrics = [metric for metric in self.set_metrics if not isinstance(metric, GlobalPsnr)]
        self._window: list[tuple[np.ndarray, np.ndarray]] = []
        self._sums: dict[str, list[float]] = {}  # weighted sum and frames, by name
        self._features: dict[str, dict[str, list[np.ndarray]]] = {}
        self._error: np.ndarray | None = None
        self._not_measured: dict[str, str] = {}
        self._scores = Scores()

    def add(self, source: np.ndarray, reconstruction: np.ndarray, begins_clip: bool) -> None:
        """Take the next pair of frames, uint8 ``[h, w, 3]``; ``begins_clip`` marks the first of a clip."""
        change, self._error = error_change(source, reconstruction, self._error)
        if change is not None:
            self._scores.flicker.add(change, begins_clip)
        self._scores.frames += 1
        self._window.append((source, reconstruction))
        if len(self._window) == self.size:
            self._measure()

    def finish(self) -> Scores:
        """The scores of everything that was added."""
        if self._window:
            self._measure()
        scores = self._scores
        values = {name: total / frames for name, (total, frames) in self._sums.items()}
        if "psnr_clip" in values:
            values["psnr_clip"] = decibels(scores.square_error / scores.numbers)
        scores.values = values
        scores.features = {
            metric: {name: np.concatenate(parts) for name, parts in arrays.items()}
            for metric, arrays in self._features.items()
        }
        # The last window of a long video may be too short for a metric that measured all others.
        measured = scores.values.keys() | scores.features.keys()
        scores.not_measured = {n: why for n, why in self._not_measured.items() if n not in measured}
        return scores

    def _measure(self) -> None:
        source, reconstruction = (np.stack(frames) for frames in zip(*self._window, strict=True))
        self._window = []
        squares, numbers = GlobalPsnr().add(source, reconstruction)["sums"]
        self._scores.square_error += int(squares)
        self._scores.numbers += int(numbers)
        for metric in self.metrics:
            self._not_measured |= metric.unsuited(source.shape)
            for name, value in metric.measure(source, reconstruction).items():
                sums = self._sums.setdefault(name, [0.0, 0])
                sums[0] += value * len(source)
                sums[1] += len(source)
        for set_metric in self._set_metrics:
            reason = set_metric.unsuited(source.shape)
            if reason is not None:
                self._not_measured[set_metric.name] = reason
                continue
            kept = self._features.setdefault(set_metric.name, {})
            for name, array in self._of_window(set_metric, source, reconstruction).items():
                kept.setdefault(name, []).append(array)

    def _of_window(
        self, metric: SetMetric, source: np.ndarray, reconstruction: np.ndarray
    ) -> dict[str, np.ndarray]:
        if not isinstance(metric, FeatureDistance):
            return metric.add(source, reconstruction)
        place = metric.name, self._scores.frames
        if place not in self.sources:
            self.sources[place] = metric.features(source)
        return {SOURCE: self.sources[place], RECONSTRUCTION: metric.features(reconstruction)}
