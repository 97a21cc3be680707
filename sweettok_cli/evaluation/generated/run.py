"""The measurement itself: the features of every sample, journaled sample by sample."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from sweettok_cli.data.datasets import Item
from sweettok_cli.data.frames import open_source
from sweettok_cli.evaluation.generated.plan import Candidate, Plan
from sweettok_cli.evaluation.generated.protocol import GenerationProtocol, Side
from sweettok_cli.evaluation.generated.record import SampleFacts
from sweettok_cli.evaluation.journal import Lines, item_key
from sweettok_cli.runtime import Watcher

_FEATURES = "features."


class SampleJournal(Lines[SampleFacts]):
    """Of samples and their features; those that are too short are noted, without any."""

    kind = SampleFacts


@dataclass
class MeasuredSide:
    """What a run has found of one side."""

    samples: list[SampleFacts] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)  # of the samples
    keys: list[str] = field(default_factory=list)  # of their arrays in the journal
    short: list[str] = field(default_factory=list)  # names of videos with too few frames
    failed: list[tuple[str, str]] = field(default_factory=list)  # name and reason of what cannot be read

    def features(self, journal: SampleJournal, metric: str) -> np.ndarray:
        """Of all samples, float32 ``[n, size]``."""
        name = _FEATURES + metric
        return np.concatenate([journal.arrays(key, name)[""] for key in self.keys])


@dataclass
class Measured:
    """What a run has found."""

    sides: dict[Side, MeasuredSide] = field(default_factory=dict)
    resumed: int = 0  # samples that an earlier run had measured

    @property
    def failed(self) -> list[tuple[str, str]]:
        """Of both sides."""
        return [failure for side in self.sides.values() for failure in side.failed]


def run(plan: Plan, journal: SampleJournal, watch: Watcher, explain: Callable[[Exception], str]) -> Measured:
    """Take the features of samples of either side until there are enough, or no more.

    A video that cannot be read is noted, one with too few frames is left out; the next takes its place.

    Args:
        plan: what to do.
        journal: open.
        watch: entered for each sample.
        explain: one sentence for any error in one video, or raises it again to end everything.
    """
    found = Measured()
    wanted = {side: min(plan.samples, len(those)) for side, those in plan.candidates.items()}
    jobs = sum(wanted.values())
    for side, candidates in plan.candidates.items():
        measured = found.sides[side] = MeasuredSide()
        before = sum(len(each.samples) for each in found.sides.values())
        for candidate in candidates:
            if len(measured.samples) == wanted[side]:
                break
            item = candidate.item
            key = f"{side}-{item_key(item)}-{'' if candidate.start is None else candidate.start}"
            sample = journal.get(key)
            if sample is not None:
                found.resumed += 1
            else:
                with watch(before + len(measured.samples), jobs, item.name) as on_progress:
                    try:
                        sample, arrays = _measure(plan, side, candidate)
                    except Exception as error:
                        measured.failed.append((item.name, explain(error)))
                        continue
                    on_progress(1, 1)
                    journal.write(key, sample, arrays)
            if sample.start is None:
                measured.short.append(item.name)
                continue
            measured.samples.append(sample)
            measured.items.append(item)
            measured.keys.append(key)
    return found


def _measure(plan: Plan, side: Side, candidate: Candidate) -> tuple[SampleFacts, dict[str, np.ndarray]]:
    """One sample; it depends on nothing but the plan and the candidate."""
    sample, clip = read_sample(plan.protocol, side, candidate)
    if sample.start is None:
        return sample, {}
    return sample, {_FEATURES + each.name: each.extractor.features(clip) for each in plan.chosen.distances}


def read_sample(
    rules: GenerationProtocol, side: Side, candidate: Candidate
) -> tuple[SampleFacts, np.ndarray]:
    """What a sample is, and its frames at the size that is measured, uint8 ``[t, h, w, 3]``.

    Those of a video that is too short are fewer, and it has no start.

    Raises:
        SweettokError: the video cannot be read.
    """
    item = candidate.item
    source = open_source(item)
    info = source.info
    total = source.count() if candidate.frames is None else candidate.frames
    start = candidate.start
    if start is None and total >= rules.frames:
        start = rules.start(side, item.name, total)
    frames = source.frames(start or 0, rules.frames)
    clip = np.stack([rules.fit(frame) for frame in itertools.islice(frames, rules.frames)])
    if len(clip) < rules.frames:
        start = None
    return SampleFacts(item.name, info.width, info.height, total, str(info.rate), start), clip
