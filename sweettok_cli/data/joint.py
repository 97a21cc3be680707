"""Batches of clips and of single pictures by turns, each cut as :mod:`sweettok_cli.data.sampler` says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sweettok_cli.data.clips import Entry
from sweettok_cli.data.sampler import Batch, Sampler, Sampling
from sweettok_cli.runtime import OnProgress, ignore_progress


class JointSampler:
    """Even batches hold clips, odd ones so many single pictures for each clip: the interface of a sampler.

    Pictures are the files that are pictures or, where there are none, frames of the clips; clips are all
    other files or, where there are none, pictures that stand still.
    """

    def __init__(
        self, entries: Sequence[Entry], settings: Sampling, pictures: int, rank: int = 0, ranks: int = 1
    ):
        self.entries = list(entries)
        moving, still = ([e for e in entries if e.is_image == image] for image in (False, True))
        crop = [[side, samples * pictures, weight] for side, samples, weight in settings.crop]
        alone = replace(settings, crop=crop, frames=1, pictures=0.0, seed=settings.seed + 1)
        self.clips = Sampler(moving or self.entries, settings, rank, ranks)
        self.pictures = Sampler(still or self.entries, alone, rank, ranks)
        self._apart = bool(moving and still)  # whether no file serves both

    @property
    def unreadable(self) -> Mapping[str, str]:
        """As :attr:`Sampler.unreadable`."""
        return {**self.clips.unreadable, **self.pictures.unreadable}

    def check(self, on_progress: OnProgress) -> None:
        """As :meth:`Sampler.check`; the share that may be unreadable is that of clips and of pictures."""
        total, before = len(self.entries), len(self.clips.entries)
        self.clips.check(lambda done, _: on_progress(done, total))
        if self._apart:
            self.pictures.check(lambda done, _: on_progress(before + done, total))
        else:
            self.pictures.unreadable |= self.clips.unreadable

    def batch(self, number: int) -> Batch:
        """As :meth:`Sampler.batch`."""
        return (self.pictures if number % 2 else self.clips).batch(number // 2)

    def first(
        self, samples: int, on_progress: OnProgress = ignore_progress, until: float = math.inf
    ) -> Batch:
        """As :meth:`Sampler.first`, of clips."""
        return self.clips.first(samples, on_progress, until)

    def describe(self) -> str:
        """As :meth:`Sampler.describe`."""
        pictures = self.pictures.describe().replace("clip", "picture", 1) if self._apart else "their frames"
        return f"{self.clips.describe()} and, by turns, {pictures}"
