"""The record of a run: what ``--json`` prints, and what tables and the report are made from.

``docs/eval-record.schema.json`` is made from these classes. None, never 0, stands where nothing was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sweettok_cli.evaluation.json_object import OPTIONAL, SPREAD, JsonObject, key
from sweettok_cli.evaluation.protocol import Protocol
from sweettok_cli.evaluation.published import Published
from sweettok_cli.metrics.codebook_use import ListUse

Better = Literal["higher", "lower"]
Kind = Literal["model", "codec"]


@dataclass(frozen=True, kw_only=True)
class ProtocolFacts(Protocol):
    """Every choice that moves a figure, and what only a run knows.

    Attributes:
        published_on: the data that the protocol's figures were published on.
        interval: what the intervals are.
        differs_from_paper: one sentence for each way in which this run is not what the paper did.
    """

    published_on: str
    interval: str
    differs_from_paper: tuple[str, ...]


@dataclass(frozen=True)
class DataFacts(JsonObject):
    """What was measured.

    Attributes:
        name: of the data set, or of the folder.
        split: part of the data set.
        items: that the data set has.
        clips: that were measured.
        frames: of all clips.
        notes: what is missing.
    """

    name: str
    split: str | None
    items: int
    clips: int
    frames: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Figure(JsonObject):
    """One figure of one method over the whole set.

    Attributes:
        value: the mean, or of set metrics the score of all clips together.
        low: lower end of the interval; None where there is none.
        high: upper end.
        clips: that it is of.
        definition: one sentence that says exactly what is computed.
        unit: may be empty.
        better: whether a higher or a lower value is better.
        mean_of_clips: the mean with each clip counted once; only for metrics of clips.
    """

    value: float
    low: float | None
    high: float | None
    clips: int
    definition: str
    unit: str
    better: Better
    mean_of_clips: float | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class ClipCost(JsonObject):
    """What one full clip of 256x256 pixels (or the next size that the model takes) costs.

    Attributes:
        frames: of the clip.
        width: in pixels.
        height: in pixels.
        tokens: by array, as papers count them.
        indices: codebook indices.
        kbit: thousand true bits.
    """

    frames: int
    width: int
    height: int
    tokens: Mapping[str, int]
    indices: int
    kbit: float


@dataclass(frozen=True)
class SetCost(JsonObject):
    """What all clips together cost.

    Attributes:
        clips: the model's clips, or the codec's streams.
        tokens: as papers count them; 0 for codecs.
        indices: codebook indices; 0 for codecs and for continuous latents.
        bits: true bits.
        clip_256: of one clip; only for models.
    """

    clips: int
    tokens: int
    indices: int
    bits: float
    clip_256: ClipCost | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class HistogramBin(JsonObject):
    """How many codes occur ``low`` to ``high`` times."""

    low: int = field(metadata=key("from"))
    high: int = field(metadata=key("to"))
    codes: int


@dataclass(frozen=True)
class TopCode(JsonObject):
    """A code that occurs often; ``word`` is None for models without words."""

    index: int
    word: str | None
    count: int


@dataclass(frozen=True)
class CodebookFacts(ListUse, JsonObject):
    """What is used of one codebook or word list.

    Attributes:
        entropy_bits: log2 of the perplexity.
        occurrences: of all codes together.
        histogram: of the codes by how often they occur, bins that double.
        top: the codes that occur most, at most 20.
    """

    entropy_bits: float
    occurrences: int
    histogram: tuple[HistogramBin, ...]
    top: tuple[TopCode, ...]


@dataclass(frozen=True)
class Seconds(JsonObject):
    """Wall-clock time; of a codec the search and decoding count as encoding."""

    encode: float
    decode: float


@dataclass(frozen=True)
class MethodFacts(JsonObject):
    """One model or codec over the whole set.

    Attributes:
        name: unique in the record.
        kind: model or codec.
        family: of a model.
        weights_sha256: of a model's weights.
        settings: everything else that its results depend on; what is there depends on kind and family.
        summary: figures by name.
        not_measured: reason by name of the figures that could not be had.
        warnings: what must be known before the figures are trusted.
        cost: of all clips.
        codebooks: by list; empty for codecs and continuous latents.
        seconds: over all clips.
    """

    name: str
    kind: Kind
    family: str | None
    weights_sha256: str | None
    settings: Mapping[str, Any]
    summary: Mapping[str, Figure]
    not_measured: Mapping[str, str]
    warnings: tuple[str, ...]
    cost: SetCost
    codebooks: Mapping[str, CodebookFacts]
    seconds: Seconds


@dataclass(frozen=True)
class ClipScores(JsonObject):
    """One clip as one method gives it back.

    Attributes:
        values: metrics of clips by name.
        bits: true bits.
        bits_per_pixel: of all frames, padding not counted.
        kbit_per_second: None for a still picture.
        tokens: as papers count them.
        indices: codebook indices.
        temporal_flicker: mean change of the error inside clips, in 8-bit steps.
        seam_energy: the same where a clip of the model begins.
        seam_flicker: seam energy over temporal flicker.
        settings: the rate factor of each stream of a codec.
        seconds: to encode and to decode.
    """

    values: Mapping[str, float] = field(metadata=SPREAD)
    bits: float
    bits_per_pixel: float
    kbit_per_second: float | None
    tokens: int
    indices: int
    temporal_flicker: float | None
    seam_energy: float | None
    seam_flicker: float | None
    settings: tuple[float, ...]
    seconds: float


@dataclass(frozen=True)
class ClipInfo(JsonObject):
    """What is known of a clip by itself.

    Attributes:
        name: of the item.
        label: its class in the data set.
        width: in pixels, as measured.
        height: in pixels.
        frames: that were measured.
        rate: frames a second, a fraction such as ``30000/1001``.
        start: number of the first frame.
        image: a still picture.
    """

    name: str
    label: str | None
    width: int
    height: int
    frames: int
    rate: str
    start: int
    image: bool


@dataclass(frozen=True)
class ClipFacts(ClipInfo):
    """One clip that was measured, with its scores by method."""

    scores: Mapping[str, ClipScores]


@dataclass(frozen=True)
class CurvePoint(JsonObject):
    """Means over the set at one setting of a codec.

    Attributes:
        setting: the rate factor.
        bits_per_pixel: of all frames.
        kbit_per_second: None where all items are still pictures.
        values: metrics by name.
    """

    setting: float
    bits_per_pixel: float
    kbit_per_second: float | None
    values: Mapping[str, float] = field(metadata=SPREAD)


@dataclass(frozen=True)
class Comparison(JsonObject):
    """The paired difference of two methods on the same clips.

    Attributes:
        a: a method.
        b: the method that is taken away from it.
        metric: a metric of clips, or bits_per_pixel.
        difference: mean of ``a - b``.
        low: lower end of its interval; None for one clip.
        high: upper end.
        clips: that both were measured on.
        better: whether a higher or a lower value of the metric is better.
    """

    a: str
    b: str
    metric: str
    difference: float
    low: float | None
    high: float | None
    clips: int
    better: Better


@dataclass(frozen=True)
class Failure(JsonObject):
    """An item that could not be measured."""

    name: str
    error: str


@dataclass(frozen=True, kw_only=True)
class Record(JsonObject):
    """A run.

    Attributes:
        format: what this is.
        version: of the format.
        sweettok: version of the program.
        command: what was typed.
        date: of the end of the run, ISO 8601.
        machine: that measured, and versions of the libraries.
        protocol: how.
        data: what.
        methods: models first.
        clips: in the order of the items.
        curves: of each codec over its own rate factors; empty where none was asked for.
        comparisons: every two models, and every model with every codec.
        published: figures of papers.
        failed: items that count in no figure.
    """

    format: Literal["sweettok-eval"] = "sweettok-eval"
    version: Literal[1] = 1
    sweettok: str
    command: str
    date: str
    machine: Mapping[str, str]
    protocol: ProtocolFacts
    data: DataFacts
    methods: tuple[MethodFacts, ...] = field(metadata=key("contenders"))
    clips: tuple[ClipFacts, ...]
    curves: Mapping[str, tuple[CurvePoint, ...]]
    comparisons: tuple[Comparison, ...]
    published: tuple[Published, ...]
    failed: tuple[Failure, ...]
