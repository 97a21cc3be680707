"""A tokenizer as a method: whole videos through the streaming pipeline, memory flat in their length."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import numpy as np

from sweettok_cli.evaluation.method import Clip, Pairs
from sweettok_cli.evaluation.record import ClipCost, Kind
from sweettok_cli.evaluation.results import Cost
from sweettok_cli.metrics.codebook_use import PARTS_OF_SPEECH, CodeCounts
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.pipeline.reconstruct import Seconds, reconstruct_frames
from sweettok_cli.tokens.layout import CostCounter, TokenizerSpec


class ModelMethod:
    """A loaded tokenizer.

    Args:
        tokenizer: the model.
        name: unique in the run; the model's own by default.
        batch_clips: clips that go through the model at once; the tokenizer's own choice by default.
        overlap: frames that each clip repeats of the one before.
        truncate: cut the network's values off to 8 bits in place of rounding them.
        settings: what else its results depend on, e.g. the device.
    """

    kind: Kind = "model"

    def __init__(
        self,
        tokenizer: Tokenizer,
        name: str | None = None,
        *,
        batch_clips: int | None = None,
        overlap: int = 0,
        truncate: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.name = name or tokenizer.spec.name
        self._batch_clips, self._overlap, self._truncate = batch_clips, overlap, truncate
        self._settings = dict(settings or {})

    @property
    def spec(self) -> TokenizerSpec:
        """The facts about the tokenizer."""
        return self.tokenizer.spec

    def words(self) -> dict[str, list[str]]:
        """The word behind each code, by list; empty for models without words."""
        known = getattr(self.tokenizer, "words", None)
        if known is None:
            return {}
        return {
            part: words
            for half, lists in known().items()
            for part, words in zip(PARTS_OF_SPEECH[half], lists, strict=True)
        }

    def describe(self) -> dict[str, Any]:
        """As :meth:`Method.describe`."""
        return {
            "model": self.spec.name,
            "family": self.spec.family,
            "weights_sha256": self.spec.weights_sha256,
            "clip_frames": self.spec.clip_frames,
            "overlap": self._overlap,
            "batch_clips": self._batch_clips or self.tokenizer.batch_clips,
            "rounding": "down" if self._truncate else "nearest",
            **self._settings,
        }

    def reconstruct(self, clip: Clip, cost: Cost, bits_per_frame: float | None = None) -> Pairs:
        """As :meth:`Method.reconstruct`."""
        counter = CostCounter(self.spec)
        codes = cost.codes = CodeCounts(self.spec.codebooks)

        def count(arrays: dict[str, np.ndarray]) -> None:
            counter.add(arrays)
            codes.add(arrays)

        seconds = Seconds()
        self.tokenizer.truncate = self._truncate
        self.tokenizer.redraw()
        pairs = reconstruct_frames(
            clip.frames(),
            clip.info,
            self.tokenizer,
            batch_clips=self._batch_clips,
            overlap=self._overlap,
            on_arrays=count,
            seconds=seconds,
        )
        with closing(pairs):
            for number, (source, decoded) in enumerate(pairs):
                yield source, decoded, self.spec.begins_clip(number, self._overlap)
        cost.bits, cost.tokens, cost.indices = counter.bits, counter.tokens, counter.indices
        cost.clips = counter.clips
        cost.encode, cost.decode = seconds.encode, seconds.decode


def clip_cost(spec: TokenizerSpec, side: int = 256) -> ClipCost:
    """What one full clip of ``side`` x ``side`` pixels costs: the figures that papers compare."""
    side = math.ceil(side / spec.multiple) * spec.multiple
    return ClipCost(
        frames=spec.clip_frames,
        width=side,
        height=side,
        tokens=spec.tokens_per_clip(side, side),
        indices=spec.indices_per_clip(side, side),
        kbit=spec.bits_per_clip(side, side) / 1000,
    )
