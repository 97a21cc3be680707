"""From the rows of a run to its figures: means with intervals, definitions, costs, use of the codebooks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from sweettok_cli.evaluation.journal import Journal
from sweettok_cli.evaluation.method import Contender
from sweettok_cli.evaluation.model_method import ModelContender, clip_cost
from sweettok_cli.evaluation.run import Measured, Plan
from sweettok_cli.metrics.bootstrap import CONFIDENCE, RESAMPLES, Interval, mean_interval
from sweettok_cli.metrics.codebook_use import CodeCounts, list_use
from sweettok_cli.metrics.comparison import SeamFlicker
from sweettok_cli.metrics.metric import Features, NotMeasured, SetMetric
from sweettok_cli.metrics.psnr import GlobalPsnr, decibels

Row = dict[str, Any]

_TOP_WORDS = 20

BITS_PER_PIXEL = "True bits over the pixels of all frames at the size that is measured, padding not counted."
KBIT_PER_SECOND = (
    "Thousand true bits over the seconds that the frames of all videos last; still pictures left out."
)
FLICKER = (
    "Mean change of the error (reconstruction minus source) from one frame to the next inside clips, over "
    "pixels and RGB channels, in 8-bit steps."
)
SEAM_ENERGY = (
    "The same change of the error at the frames with which a clip of the model begins, in 8-bit steps."
)
SEAM_FLICKER = "Seam energy over temporal flicker: 1 means that borders between clips do not show."


def contender_record(plan: Plan, found: Measured, journal: Journal, contender: Contender) -> dict[str, Any]:
    """All of one contender over the whole set."""
    number = plan.contenders.index(contender)
    rows = found.rows
    summary, missing, warnings = _summary(plan, rows, contender.name)
    for metric in plan.chosen.set_metrics:
        if not isinstance(metric, GlobalPsnr):
            _add_set_metric(metric, number, contender.name, found, journal, summary, missing, warnings)
            if metric.name in summary and getattr(metric, "extractor", None) is not None:
                summary[metric.name]["definition"] += _window(plan)
    warnings += _limits(rows, contender.name)
    facts = contender.describe()
    record: dict[str, Any] = {
        "name": contender.name,
        "kind": contender.kind,
        "family": facts.pop("family", None),
        "weights_sha256": facts.pop("weights_sha256", None),
        "settings": facts,
        "summary": summary,
        "not_measured": {**plan.chosen.not_measured, **missing},
        "warnings": warnings,
        "cost": _cost(rows, contender),
        "codebooks": {},
        "seconds": {
            half: math.fsum(row["results"][contender.name]["seconds"][half] for row in rows)
            for half in ("encode", "decode")
        },
    }
    if isinstance(contender, ModelContender):
        record["codebooks"] = _codebooks(contender, number, found, journal)
    return record


def average_weights(plan: Plan, rows: Sequence[Row]) -> list[float] | None:
    """How much each row counts in a mean: its frames, or (None) as much as any other."""
    return [row["frames"] for row in rows] if plan.protocol.average == "frames" else None


def metric_facts(plan: Plan) -> dict[str, dict[str, Any]]:
    """Definition, unit and better direction of every metric of clips that is measured, by name."""
    return {
        name: _facts(metric.definitions[name], metric.unit, metric.higher_is_better)
        for metric in plan.chosen.metrics
        for name in metric.names
    }


def row_pixels(row: Row) -> int:
    """Of all frames, at the size that was measured."""
    return row["width"] * row["height"] * row["frames"]


def row_seconds(row: Row) -> float:
    """How long the frames of a video last."""
    return float(row["frames"] / Fraction(row["rate"]))


def _facts(definition: str, unit: str, higher: bool) -> dict[str, Any]:
    return {"definition": definition, "unit": unit, "better": "higher" if higher else "lower"}


def _entry(interval: Interval, facts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "clips": interval.clips,
        **facts,
        **more,
    }


def _summary(plan: Plan, rows: list[Row], name: str) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    summary: dict[str, Any] = {}
    missing: dict[str, str] = {}
    warnings: list[str] = []
    for metric, facts in metric_facts(plan).items():
        scored = [row for row in rows if metric in row["results"][name]["values"]]
        reasons = {
            row["results"][name]["not_measured"][metric]
            for row in rows
            if metric in row["results"][name]["not_measured"]
        }
        if not scored:
            missing[metric] = min(reasons, default="no clip was measured.")
            continue
        if len(scored) < len(rows):
            warnings.append(f"{metric} is that of {len(scored)} of {len(rows)} clips: {min(reasons)}")
        values = [row["results"][name]["values"][metric] for row in scored]
        weights = average_weights(plan, scored)
        mean = math.fsum(values) / len(values)
        averaged = facts["definition"].rstrip(".") + (
            "; the mean over all frames of all clips." if weights else "; the mean over clips."
        )
        entry = _entry(mean_interval(values, weights), {**facts, "definition": averaged}, mean_of_clips=mean)
        summary[metric] = entry
    results = [row["results"][name] for row in rows]
    if any(isinstance(metric, GlobalPsnr) for metric in plan.chosen.set_metrics):
        _add_global_psnr(results, summary, missing)
    pixels = [row_pixels(row) for row in rows]
    _add_ratio(
        "bits_per_pixel", [r["bits"] for r in results], pixels, BITS_PER_PIXEL, "bits", summary, missing
    )
    moving = [row for row in rows if not row["image"]]
    seconds = [row_seconds(row) for row in moving]
    kbit = [row["results"][name]["bits"] / 1000 for row in moving]
    _add_ratio("kbit_per_second", kbit, seconds, KBIT_PER_SECOND, "kbit/s", summary, missing)
    _add_flicker([SeamFlicker(**r["flicker"]) for r in results], summary, missing)
    if name in (codec.name for codec in plan.codecs):  # their streams are not what seams are about
        for each in ("seam_energy", "seam_flicker"):
            missing.pop(each, None)
            summary.pop(each, None)
    return summary, missing, warnings


def _add_global_psnr(results: list[Row], summary: dict[str, Any], missing: dict[str, str]) -> None:
    metric = GlobalPsnr()
    if not results:
        missing[metric.name] = "no clip was measured."
        return
    numbers = [result["numbers"] for result in results]
    errors = [result["square_error"] / result["numbers"] for result in results]
    mean = mean_interval(errors, numbers)
    # Decibels fall as the error rises, so the ends change places.
    exact = decibels(sum(result["square_error"] for result in results) / sum(numbers))
    ends = [None if end is None else decibels(end) for end in (mean.high, mean.low)]
    interval = Interval(exact, ends[0], ends[1], mean.clips)
    summary[metric.name] = _entry(interval, _facts(metric.definition, metric.unit, True))


def _add_ratio(
    name: str,
    above: Sequence[float],
    below: Sequence[float],
    definition: str,
    unit: str,
    summary: dict[str, Any],
    missing: dict[str, str],
) -> None:
    if not below:
        missing[name] = "no clip was measured." if name == "bits_per_pixel" else "no video was measured."
        return
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    summary[name] = _entry(mean_interval(ratios, below), _facts(definition, unit, False))


def _add_flicker(found: list[SeamFlicker], summary: dict[str, Any], missing: dict[str, str]) -> None:
    """The error's motion. Each clip counts with its frames, so intervals come from sums over clips."""
    inside = [(f.inside, f.others) for f in found if f.others]
    seams = [(f.at_borders, f.borders) for f in found if f.borders]
    for name, sums, definition, lack in (
        ("temporal_flicker", inside, FLICKER, "no clip has two frames."),
        ("seam_energy", seams, SEAM_ENERGY, "no video is longer than a clip of the model."),
    ):
        if sums:
            interval = mean_interval([a / b for a, b in sums], [b for _, b in sums])
            summary[name] = _entry(interval, _facts(definition, "8-bit steps", False))
        else:
            missing[name] = lack
    together = SeamFlicker()
    for flicker in found:
        together.merge(flicker)
    if together.ratio is None:
        missing["seam_flicker"] = (
            "no video is longer than a clip of the model." if not seams else "the error does not move."
        )
        return
    low, high = _ratio_interval(found)
    interval = Interval(together.ratio, low, high, len(found))
    summary["seam_flicker"] = _entry(interval, _facts(SEAM_FLICKER, "", False))


def _ratio_interval(found: list[SeamFlicker]) -> tuple[float | None, float | None]:
    """Bootstrap over clips of the ratio of two means, each of which is a ratio of sums."""
    if len(found) < 2:
        return None, None
    sums = np.array([(f.at_borders, f.borders, f.inside, f.others) for f in found], np.float64)
    drawn = np.random.default_rng(0).integers(len(sums), size=(RESAMPLES, len(sums)))
    at, borders, inside, others = sums[drawn].sum(axis=1).T
    whole = (borders > 0) & (inside > 0)
    ratios = (at[whole] / borders[whole]) / (inside[whole] / others[whole])
    low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _add_set_metric(
    metric: SetMetric,
    number: int,
    name: str,
    found: Measured,
    journal: Journal,
    summary: dict[str, Any],
    missing: dict[str, str],
    warnings: list[str],
) -> None:
    """Features are read again clip by clip, in the order of the items: memory stays flat, sums the same."""
    prefix = f"{number}.{metric.name}."
    clips = 0

    def features() -> Iterator[Features]:
        nonlocal clips
        for key in found.keys:
            stored = journal.arrays(key, prefix)
            if stored:
                clips += 1
                yield {**journal.arrays(key, f"{metric.name}."), **stored}

    reasons = {row["results"][name]["not_measured"].get(metric.name) for row in found.rows} - {None}
    try:
        value = metric.result(features())
    except NotMeasured as error:
        missing[metric.name] = min(reasons) if reasons and not clips else str(error)
        return
    facts = _facts(metric.definition, metric.unit, metric.higher_is_better)
    summary[metric.name] = _entry(Interval(value, None, None, clips), facts)
    warnings += metric.warnings(clips)
    if clips < len(found.rows):
        warnings.append(f"{metric.name} is that of {clips} of {len(found.rows)} clips: {min(reasons)}")


def _window(plan: Plan) -> str:
    if plan.protocol.frames is not None:
        return ""
    return f" Networks of video are given {plan.protocol.window} consecutive frames at once, one vector each."


def _limits(rows: list[Row], name: str) -> list[str]:
    words = {
        "floor": "cannot go down to the model's bits, so it spends more",
        "ceiling": "does not need as many bits as the model at its best quality",
    }
    counts = {limit: sum(limit in row["results"][name]["limits"] for row in rows) for limit in words}
    return [
        f"{name} {words[limit]}, on {count} of {len(rows)} clips." for limit, count in counts.items() if count
    ]


def _cost(rows: list[Row], contender: Contender) -> dict[str, Any]:
    results = [row["results"][contender.name] for row in rows]
    cost: dict[str, Any] = {
        name: sum(result[name] for result in results) for name in ("clips", "tokens", "indices")
    }
    cost["bits"] = math.fsum(result["bits"] for result in results)
    if isinstance(contender, ModelContender):
        cost["clip_256"] = clip_cost(contender.spec)
    return cost


def _codebooks(model: ModelContender, number: int, found: Measured, journal: Journal) -> dict[str, Any]:
    codes = CodeCounts(model.spec.codebooks)
    for key in found.keys:
        for part, counts in journal.arrays(key, f"{number}.codes.").items():
            codes.counts[part] += counts
    record: dict[str, Any] = {}
    known = model.words()
    for part, counts in codes.counts.items():
        use = list_use(counts)
        words = known.get(part)
        order = np.argsort(-counts, kind="stable")[: min(_TOP_WORDS, use.used)]
        record[part] = {
            **vars(use),
            "entropy_bits": math.log2(use.perplexity) if use.used else 0.0,
            "occurrences": int(counts.sum()),
            "histogram": _histogram(counts),
            "top": [
                {"index": int(i), "word": words[i] if words else None, "count": int(counts[i])} for i in order
            ],
        }
    return record


def _histogram(counts: np.ndarray) -> list[dict[str, int]]:
    """How many codes occur never, once, 2 to 3 times, 4 to 7 times, and so on."""
    bins = [(0, 0)]
    while bins[-1][1] < int(counts.max(initial=0)):
        bins.append((bins[-1][1] + 1, 2 * bins[-1][1] + 1))
    return [
        {"from": low, "to": high, "codes": int(((counts >= low) & (counts <= high)).sum())}
        for low, high in bins
    ]
