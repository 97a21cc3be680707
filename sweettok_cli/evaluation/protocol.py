"""How a measurement is done: which frames, at which size, what is rounded how, which metrics."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sweettok_cli.evaluation.metrics.choice import QUICK
from sweettok_cli.evaluation.metrics.frechet import FrechetRule
from sweettok_cli.evaluation.spatial_fit import SpatialFit


@dataclass(frozen=True)
class Protocol:
    """Every choice that moves a figure. The record of a run holds all of them.

    Attributes:
        name: of the preset.
        source: whose protocol it is, and the files it was read from.
        data: what it was published on.
        data_sets: the same as names of data sets here.
        choice: which frames of a video: ``all``, the ``first``, those in the ``centre`` (from number
            ``total // 2 - frames // 2`` on), or a ``random`` run of consecutive ones, drawn for each
            video from ``seed`` and the video's name.
        frames: how many, where not all; a shorter video gives all it has.
        fps: frames a second that are aimed at by leaving frames out: of every ``round(rate / fps)`` one is
            taken. None for the video's own rate.
        fit: what becomes of a video frame's size.
        picture_fit: the same for still pictures.
        rounding: of the network's output to 8 bits: to the ``nearest`` value or ``down`` (truncated).
        window: frames that metrics are given at once, and that a vector of a video feature network stands
            for. Longer videos are measured window by window.
        average: whether a figure is the mean of all ``frames`` or of all ``clips``.
        metrics: measured on videos unless others are asked for.
        picture_metrics: measured on still pictures.
        frechet: how distances between features are computed.
        splits: the part of a data set that is measured, where it is not the usual one.
        clips: at most so many items, drawn with ``seed``; None for all.
        seed: of everything drawn.
        differs: what of the paper is not reproduced.
    """

    name: str
    source: str = ""
    data: str = ""
    data_sets: tuple[str, ...] = ()
    choice: Literal["all", "first", "centre", "random"] = "all"
    frames: int | None = None
    fps: float | None = None
    fit: SpatialFit = field(default_factory=SpatialFit)
    picture_fit: SpatialFit = field(default_factory=SpatialFit)
    rounding: Literal["nearest", "down"] = "nearest"
    window: int = 17
    average: Literal["frames", "clips"] = "frames"
    metrics: tuple[str, ...] = QUICK
    picture_metrics: tuple[str, ...] = QUICK
    frechet: FrechetRule = field(default_factory=FrechetRule)
    splits: Mapping[str, str] = field(default_factory=dict)
    clips: int | None = None
    seed: int = 0
    differs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.frames is None) != (self.choice == "all") or self.window < 1:
            raise ValueError(f"no such choice of frames: {self.choice} {self.frames}")

    def start(self, name: str, total: int) -> int:
        """Number of the first frame taken of ``total`` frames of the video ``name`` (after ``fps``)."""
        if self.frames is None or total <= self.frames or self.choice == "first":
            return 0
        if self.choice == "centre":
            return total // 2 - self.frames // 2
        # From the name, so that it does not matter which videos were measured before.
        return _generator(self.seed, name).randint(0, total - self.frames)

    def drawn(self, names: list[str]) -> list[int]:
        """Places of the items that are measured, in order."""
        if self.clips is None or len(names) <= self.clips:
            return list(range(len(names)))
        return sorted(_generator(self.seed, "items").sample(range(len(names)), self.clips))

    def stride(self, rate: float) -> int:
        """Of how many frames one is taken."""
        return 1 if self.fps is None else max(1, round(rate / self.fps))

    def record(self) -> dict[str, Any]:
        """Every choice as plain values."""
        record = dataclasses.asdict(dataclasses.replace(self, splits=dict(self.splits)))
        del record["differs"], record["metrics"], record["picture_metrics"]
        return {**record, "frechet": {**record["frechet"], "words": self.frechet.words}}


def _generator(seed: int, name: str) -> random.Random:
    digest = hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))
