"""Batches of clips and of single pictures by turns, each cut as :mod:`sweettok_cli.data.sampler` says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sweettok_cli.data.entry import Entry
from sweettok_cli.data.sampler import Batch, Sampler, Sampling
from sweettok_cli.data.survey import Survey
from sweettok_cli.runtime import OnProgress, ignore_progress

Told = TypeVar("Told")


class _Kind:
    """The clips, or the pictures, among all entries."""

    def __init__(self, sampler: Sampler, places: Sequence[int]):
        self.sampler, self.places = sampler, list(places)  # of its entries among all
        self._own = {place: own for own, place in enumerate(self.places)}

    def told(self, by_place: Mapping[int, Told]) -> dict[int, Told]:
        """What is told of all entries by place: of its own, by theirs."""
        return {self._own[place]: value for place, value in by_place.items() if place in self._own}

    def batch(self, number: int) -> Batch:
        """As :meth:`Sampler.batch`; what was skipped is told by place among all."""
        batch = self.sampler.batch(number)
        return replace(batch, skipped={self.places[own]: why for own, why in batch.skipped.items()})


class JointSampler(Sampler):
    """Even batches hold clips, odd ones so many single pictures for each clip.

    Pictures are the files that are pictures or, where there are none, frames of the clips; clips are all
    other files or, where there are none, pictures that stand still.
    """

    def __init__(
        self, entries: Sequence[Entry], settings: Sampling, pictures: int, rank: int = 0, ranks: int = 1
    ):
        super().__init__(entries, settings, rank, ranks)
        every = range(len(self.entries))
        moving, still = ([p for p in every if self.entries[p].is_image == image] for image in (False, True))
        self.apart = bool(moving and still)  # whether no file serves both
        # Of the batches that make a step, half are of either kind; alone, they make steps of one kind.
        each = settings.accumulate // 2 if settings.accumulate % 2 == 0 else 1
        crop = [[side, samples * pictures, weight] for side, samples, weight in settings.crop]
        alone = replace(settings, crop=crop, frames=1, pictures=0.0, seed=settings.seed + 1, accumulate=each)
        self._kinds = [
            _Kind(Sampler([self.entries[place] for place in places], cut, rank, ranks), places)
            for places, cut in (
                (moving or every, replace(settings, accumulate=each)),
                (still or every, alone),
            )
        ]

    def take(self, found: Survey) -> None:
        """As :meth:`Sampler.take`; of clips and of pictures, too, only the share may be unreadable."""
        super().take(found)
        for kind in self._kinds:
            kind.sampler.take(Survey(kind.told(found.facts), kind.told(found.unreadable)))

    def batch(self, number: int) -> Batch:
        """As :meth:`Sampler.batch`."""
        batch = self._kinds[number % 2].batch(number // 2)
        self.note(batch.skipped)
        return batch

    def use_codes(self, teacher: str) -> str | None:
        """As :meth:`Sampler.use_codes`, of clips."""
        return self._kinds[0].sampler.use_codes(teacher)

    def first(
        self, samples: int, on_progress: OnProgress = ignore_progress, until: float = math.inf
    ) -> Batch:
        """As :meth:`Sampler.first`, of clips."""
        return self._kinds[0].sampler.first(samples, on_progress, until)

    def describe(self) -> str:
        """As :meth:`Sampler.describe`."""
        clips, pictures = (kind.sampler.describe() for kind in self._kinds)
        alone = pictures.replace("clip", "picture", 1) if self.apart else "their frames"
        return f"{clips} and, by turns, {alone}"

    def passes(self, steps: int) -> float:
        """As :meth:`Sampler.passes`, of clips; pictures that are frames of them are not counted."""
        clips = self._kinds[0].sampler
        return clips.passes(-(-steps * self.settings.accumulate // (2 * clips.settings.accumulate)))

    def position(self, number: int) -> dict[str, Any]:
        """As :meth:`Sampler.position`; the epoch is that of clips."""
        epoch = self._kinds[0].sampler.position(-(-number // 2))["epoch"]
        return {**super().position(number), "epoch": epoch}
