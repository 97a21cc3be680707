"""The record of generated videos against real ones: what ``--json`` prints, and what the table is made from.

None, never 0, stands where nothing was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from sweettok_cli.evaluation.generated.protocol import GenerationProtocol
from sweettok_cli.evaluation.json_object import JsonObject
from sweettok_cli.evaluation.published import Published
from sweettok_cli.evaluation.record import Failure, Figure
from sweettok_cli.evaluation.run_facts import RunFacts


@dataclass(frozen=True, kw_only=True)
class GenerationFacts(GenerationProtocol):
    """Every choice that moves a figure, and what only a run knows."""

    interval: Annotated[str, "what the intervals are."]
    differs_from_paper: Annotated[
        tuple[str, ...], "one sentence for each way in which this run is not what the paper did."
    ]


@dataclass(frozen=True)
class SampleFacts(JsonObject):
    """One sample."""

    name: Annotated[str, "of its video."]
    width: Annotated[int, "of the file's frames, in pixels."]
    height: Annotated[int, "of the file's frames, in pixels."]
    frames: Annotated[int, "that the video has."]
    rate: Annotated[str, "frames a second, a fraction such as ``30000/1001``."]
    start: Annotated[int | None, "number of the first frame; None for a video that has too few."]


@dataclass(frozen=True)
class SideFacts(JsonObject):
    """The generated or the real videos."""

    name: Annotated[str, "of the data set, or of the folder."]
    split: Annotated[str | None, "part of the data set."]
    items: Annotated[int, "videos that there are."]
    too_short: Annotated[int, "that were left out for having too few frames."]
    sizes: Annotated[Mapping[str, int], "samples by the size of their file's frames, the usual one first."]
    rates: Annotated[Mapping[str, int], "samples by their file's frame rate, the usual one first."]
    samples: Annotated[tuple[SampleFacts, ...], "that were measured."]


@dataclass(frozen=True, kw_only=True)
class GenerationRecord(RunFacts):
    """A run."""

    format: Annotated[Literal["sweettok-generated"], "what this is."] = "sweettok-generated"
    protocol: Annotated[GenerationFacts, "how."]
    generated: Annotated[SideFacts, "what was measured."]
    real: Annotated[SideFacts, "what it was measured against."]
    figures: Annotated[Mapping[str, Figure], "by name; their clips are the generated samples."]
    networks: Annotated[Mapping[str, Mapping[str, str]], "SHA-256 of the weights by file, by figure."]
    not_measured: Annotated[Mapping[str, str], "reason by name of the figures that could not be had."]
    warnings: Annotated[tuple[str, ...], "what must be known before the figures are trusted."]
    published: Annotated[tuple[Published, ...], "figures of papers."]
    failed: Annotated[tuple[Failure, ...], "videos that count in no figure."]
