"""The record of a run, made from what was measured of its clips."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields
from itertools import combinations

from sweettok_cli.data.datasets import DATA_SETS
from sweettok_cli.evaluation.figures import BITS_PER_PIXEL, average_weights, definitions, method_facts
from sweettok_cli.evaluation.journal import Journal
from sweettok_cli.evaluation.plan import Plan
from sweettok_cli.evaluation.published import published_for
from sweettok_cli.evaluation.record import (
    ClipFacts,
    ClipInfo,
    ClipScores,
    Comparison,
    CurvePoint,
    DataFacts,
    Failure,
    ProtocolFacts,
    Record,
)
from sweettok_cli.evaluation.results import ClipResult, MethodResult
from sweettok_cli.evaluation.run import Measured
from sweettok_cli.metrics.bootstrap import CONFIDENCE, RESAMPLES, difference_interval
from sweettok_cli.models.common.budget import USUAL
from sweettok_cli.runtime import made_by


def make_record(plan: Plan, found: Measured, journal: Journal, command: str) -> Record:
    """Everything about a run; the journal, which holds the arrays, is still open."""
    clips = found.clips
    return Record(
        **made_by(command),
        protocol=ProtocolFacts(
            **vars(plan.protocol),
            published_on=plan.protocol.data,
            interval=f"{CONFIDENCE:.0%} percentile bootstrap over clips, {RESAMPLES} resamples, seed 0",
            differs_from_paper=tuple(_differences(plan)),
        ),
        data=DataFacts(
            name=plan.data.name,
            split=plan.data.split,
            items=len(plan.data.items),
            clips=len(clips),
            frames=sum(clip.frames for clip in clips),
            notes=tuple(_notes(plan)),
        ),
        methods=tuple(method_facts(plan, found, journal, method) for method in plan.methods),
        clips=tuple(map(_clip, clips)),
        curves={codec.name: tuple(_curve(plan, clips, codec.name)) for codec in plan.codecs if plan.curves},
        comparisons=tuple(_comparisons(plan, clips)),
        published=published_for(plan.data.name if plan.data.known else ""),
        failed=tuple(Failure(name, error) for name, error in found.failed),
    )


def _differences(plan: Plan) -> Iterator[str]:
    protocol, data = plan.protocol, plan.data
    if protocol.name != "default":
        yield from data.notes  # a list that was cut down, files that are missing
        if len(plan.items) < len(data.items) and protocol.clips is None:
            yield f"Only {len(plan.items)} of {len(data.items)} items were measured."
        if not data.known or data.name not in protocol.data_sets:
            yield f"The data are {data.name}; the paper reports on {protocol.data}."
        elif data.split != protocol.splits.get(data.name, DATA_SETS[data.name][0].splits[0]):
            yield f"The split is {data.split}; the paper reports on {protocol.data}."
    yield from protocol.differs


def _notes(plan: Plan) -> Iterator[str]:
    yield from plan.data.notes
    if len(plan.items) < len(plan.data.items):
        yield f"{len(plan.items)} of {len(plan.data.items)} items were asked for."


def _clip(clip: ClipResult) -> ClipFacts:
    known = {field.name: getattr(clip, field.name) for field in fields(ClipInfo)}
    return ClipFacts(**known, scores={name: _scores(clip, result) for name, result in clip.methods.items()})


def _scores(clip: ClipResult, result: MethodResult) -> ClipScores:
    cost, flicker = result.cost, result.scores.flicker
    return ClipScores(
        values=result.scores.values,
        bits=cost.bits,
        bits_per_pixel=cost.bits / clip.pixels,
        kbit_per_second=None if clip.image else cost.bits / 1000 / clip.seconds,
        tokens=cost.tokens,
        indices=cost.indices,
        temporal_flicker=flicker.inside / flicker.others if flicker.others else None,
        seam_energy=flicker.at_borders / flicker.borders if flicker.borders else None,
        seam_flicker=flicker.ratio,
        settings=cost.settings,
        seconds=cost.encode + cost.decode,
    )


def _curve(plan: Plan, clips: list[ClipResult], codec: str) -> Iterator[CurvePoint]:
    """Means over the set at each setting."""
    pixels = sum(clip.pixels for clip in clips)
    seconds = math.fsum(clip.seconds for clip in clips if not clip.image)
    weights = average_weights(plan, clips) or [1.0] * len(clips)

    def mean(values: list[float]) -> float:
        return math.fsum(v * w for v, w in zip(values, weights, strict=True)) / math.fsum(weights)

    for points in zip(*(clip.curves[codec] for clip in clips), strict=True):
        moving = [point.bits for clip, point in zip(clips, points, strict=True) if not clip.image]
        names = [name for name in points[0].values if all(name in point.values for point in points)]
        yield CurvePoint(
            setting=points[0].setting,
            bits_per_pixel=math.fsum(point.bits for point in points) / pixels,
            kbit_per_second=math.fsum(moving) / 1000 / seconds if moving else None,
            values={name: mean([point.values[name] for point in points]) for name in names},
        )


def _pairs(plan: Plan) -> Iterator[tuple[str, str]]:
    """Names of methods to compare. Codecs have the bits of the first model, other budgets have others."""
    for a, b in combinations(plan.models, 2):
        if a.budget == b.budget or USUAL in (a.budget, b.budget):
            yield a.name, b.name
    for model in plan.models:
        if model.budget in (plan.models[0].budget, USUAL):
            yield from ((model.name, codec.name) for codec in plan.codecs)


def _comparisons(plan: Plan, clips: list[ClipResult]) -> list[Comparison]:
    """Paired differences ``a - b`` of what is at one budget: every two models, and models with codecs."""
    found: list[Comparison] = []
    known = {**definitions(plan), "bits_per_pixel": BITS_PER_PIXEL}

    def add(a: str, b: str, metric: str, of: list[tuple[float, float]], weights: list[float] | None) -> None:
        first, second = zip(*of, strict=True)
        mean = difference_interval(first, second, weights)
        better = known[metric].better
        found.append(Comparison(a, b, metric, mean.value, mean.low, mean.high, mean.clips, better))

    for a, b in _pairs(plan):
        pairs = [(clip, clip.methods[a], clip.methods[b]) for clip in clips]
        for metric in definitions(plan):
            both = [each for each in pairs if all(metric in m.scores.values for m in each[1:])]
            if both:
                values = [(one.scores.values[metric], two.scores.values[metric]) for _, one, two in both]
                add(a, b, metric, values, average_weights(plan, [clip for clip, _, _ in both]))
        if clips:
            bits = [(one.cost.bits / clip.pixels, two.cost.bits / clip.pixels) for clip, one, two in pairs]
            add(a, b, "bits_per_pixel", bits, [clip.pixels for clip in clips])
    return found
