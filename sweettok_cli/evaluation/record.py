"""The record of a run: what ``--json`` prints, and what tables and the report are made from.

``docs/eval-record.schema.json`` is made from these classes. None, never 0, stands where nothing was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from sweettok_cli.evaluation.json_object import JsonObject, Key, Mark
from sweettok_cli.evaluation.protocol import Protocol
from sweettok_cli.evaluation.published import Published
from sweettok_cli.evaluation.run_facts import RunFacts
from sweettok_cli.metrics.codebook_use import ListUse

Better = Literal["higher", "lower"]
Kind = Literal["model", "codec"]


@dataclass(frozen=True, kw_only=True)
class ProtocolFacts(Protocol):
    """Every choice that moves a figure, and what only a run knows."""

    published_on: Annotated[str, "the data that the protocol's figures were published on."]
    interval: Annotated[str, "what the intervals are."]
    differs_from_paper: Annotated[
        tuple[str, ...], "one sentence for each way in which this run is not what the paper did."
    ]


@dataclass(frozen=True)
class DataFacts(JsonObject):
    """What was measured."""

    name: Annotated[str, "of the data set, or of the folder."]
    split: Annotated[str | None, "part of the data set."]
    items: Annotated[int, "that the data set has."]
    clips: Annotated[int, "that were measured."]
    frames: Annotated[int, "of all clips."]
    notes: Annotated[tuple[str, ...], "what is missing."]


@dataclass(frozen=True)
class Figure(JsonObject):
    """One figure of one method over the whole set."""

    value: Annotated[float, "the mean, or of set metrics the score of all clips together."]
    low: Annotated[float | None, "lower end of the interval; None where there is none."]
    high: Annotated[float | None, "upper end."]
    clips: Annotated[int, "that it is of."]
    definition: Annotated[str, "one sentence that says exactly what is computed."]
    unit: Annotated[str, "may be empty."]
    better: Annotated[Better, "whether a higher or a lower value is better."]
    mean_of_clips: Annotated[
        float | None, Mark.OPTIONAL, "the mean with each clip counted once; only for metrics of clips."
    ] = None


@dataclass(frozen=True)
class ClipCost(JsonObject):
    """What a full clip (of stills: one) of 256x256 pixels, or the next size that the model takes, costs."""

    frames: Annotated[int, "of the clip."]
    width: Annotated[int, "in pixels."]
    height: Annotated[int, "in pixels."]
    tokens: Annotated[Mapping[str, int], "by array, as papers count them."]
    indices: Annotated[int, "codebook indices."]
    kbit: Annotated[float, "thousand true bits."]


@dataclass(frozen=True)
class SetCost(JsonObject):
    """What all clips together cost."""

    clips: Annotated[int, "the model's clips, or the codec's streams."]
    tokens: Annotated[int, "as papers count them; 0 for codecs."]
    indices: Annotated[int, "codebook indices; 0 for codecs and for continuous latents."]
    bits: Annotated[float, "true bits."]
    clip_256: Annotated[
        ClipCost | None,
        Mark.OPTIONAL,
        "of one clip or picture; only for models whose clips all cost the same.",
    ] = None


@dataclass(frozen=True)
class HistogramBin(JsonObject):
    """How many codes occur ``low`` to ``high`` times."""

    low: Annotated[int, Key("from")]
    high: Annotated[int, Key("to")]
    codes: int


@dataclass(frozen=True)
class TopCode(JsonObject):
    """A code that occurs often; ``word`` is None for models without words."""

    index: int
    word: str | None
    count: int


@dataclass(frozen=True)
class CodebookFacts(ListUse, JsonObject):
    """What is used of one codebook or word list."""

    entropy_bits: Annotated[float, "log2 of the perplexity."]
    occurrences: Annotated[int, "of all codes together."]
    histogram: Annotated[tuple[HistogramBin, ...], "of the codes by how often they occur, bins that double."]
    top: Annotated[tuple[TopCode, ...], "the codes that occur most, at most 20."]


@dataclass(frozen=True)
class Seconds(JsonObject):
    """Wall-clock time; of a codec the search and decoding count as encoding."""

    encode: float
    decode: float


@dataclass(frozen=True)
class MethodFacts(JsonObject):
    """One model or codec over the whole set."""

    name: Annotated[str, "unique in the record."]
    kind: Annotated[Kind, "model or codec."]
    family: Annotated[str | None, "of a model."]
    weights_sha256: Annotated[str | None, "of a model's weights."]
    settings: Annotated[
        Mapping[str, Any],
        "everything else that its results depend on; what is there depends on kind and family.",
    ]
    summary: Annotated[Mapping[str, Figure], "figures by name."]
    not_measured: Annotated[Mapping[str, str], "reason by name of the figures that could not be had."]
    warnings: Annotated[tuple[str, ...], "what must be known before the figures are trusted."]
    cost: Annotated[SetCost, "of all clips."]
    codebooks: Annotated[Mapping[str, CodebookFacts], "by list; empty for codecs and continuous latents."]
    seconds: Annotated[Seconds, "over all clips."]
    budget: Annotated[
        str | None, Mark.OPTIONAL, "of a model with levels, the end of its name; None where none was given."
    ] = None

    @property
    def series(self) -> str:
        """Its name without the budget: the same for a model at all its budgets."""
        return self.name.removesuffix(f" {self.budget}") if self.budget else self.name


@dataclass(frozen=True)
class ClipScores(JsonObject):
    """One clip as one method gives it back."""

    values: Annotated[Mapping[str, float], Mark.SPREAD, "metrics of clips by name."]
    bits: Annotated[float, "true bits."]
    bits_per_pixel: Annotated[float, "of all frames, padding not counted."]
    kbit_per_second: Annotated[float | None, "None for a still picture."]
    tokens: Annotated[int, "as papers count them."]
    indices: Annotated[int, "codebook indices."]
    temporal_flicker: Annotated[float | None, "mean change of the error inside clips, in 8-bit steps."]
    seam_energy: Annotated[float | None, "the same where a clip of the model begins."]
    seam_flicker: Annotated[float | None, "seam energy over temporal flicker."]
    settings: Annotated[tuple[float, ...], "the rate factor of each stream of a codec."]
    seconds: Annotated[float, "to encode and to decode."]


@dataclass(frozen=True)
class ClipInfo(JsonObject):
    """What is known of a clip by itself."""

    name: Annotated[str, "of the item."]
    label: Annotated[str | None, "its class in the data set."]
    width: Annotated[int, "in pixels, as measured."]
    height: Annotated[int, "in pixels."]
    frames: Annotated[int, "that were measured."]
    rate: Annotated[str, "frames a second, a fraction such as ``30000/1001``."]
    start: Annotated[int, "number of the first frame."]
    image: Annotated[bool, "a still picture."]


@dataclass(frozen=True)
class ClipFacts(ClipInfo):
    """One clip that was measured, with its scores by method."""

    scores: Mapping[str, ClipScores]


@dataclass(frozen=True)
class CurvePoint(JsonObject):
    """Means over the set at one setting of a codec."""

    setting: Annotated[float, "the rate factor."]
    bits_per_pixel: Annotated[float, "of all frames."]
    kbit_per_second: Annotated[float | None, "None where all items are still pictures."]
    values: Annotated[Mapping[str, float], Mark.SPREAD, "metrics by name."]


@dataclass(frozen=True)
class Comparison(JsonObject):
    """The paired difference of two methods on the same clips."""

    a: Annotated[str, "a method."]
    b: Annotated[str, "the method that is taken away from it."]
    metric: Annotated[str, "a metric of clips, or bits_per_pixel."]
    difference: Annotated[float, "mean of ``a - b``."]
    low: Annotated[float | None, "lower end of its interval; None for one clip."]
    high: Annotated[float | None, "upper end."]
    clips: Annotated[int, "that both were measured on."]
    better: Annotated[Better, "whether a higher or a lower value of the metric is better."]


@dataclass(frozen=True)
class Failure(JsonObject):
    """An item that could not be measured."""

    name: str
    error: str


@dataclass(frozen=True, kw_only=True)
class Record(RunFacts):
    """A run."""

    format: Annotated[Literal["sweettok-eval"], "what this is."] = "sweettok-eval"
    protocol: Annotated[ProtocolFacts, "how."]
    data: Annotated[DataFacts, "what."]
    methods: Annotated[tuple[MethodFacts, ...], Key("contenders"), "models first."]
    clips: Annotated[tuple[ClipFacts, ...], "in the order of the items."]
    curves: Annotated[
        Mapping[str, tuple[CurvePoint, ...]],
        "of each codec over its own rate factors; empty where none was asked for.",
    ]
    comparisons: Annotated[
        tuple[Comparison, ...],
        "every two models at the same budget; codecs with models at the budget of the first.",
    ]
    published: Annotated[tuple[Published, ...], "figures of papers."]
    failed: Annotated[tuple[Failure, ...], "items that count in no figure."]
