"""The record of a run: what ``--json`` prints, and what tables and the report are made from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

from sweettok_cli.data.datasets import DATA_SETS
from sweettok_cli.evaluation.figures import (
    average_weights,
    contender_record,
    metric_facts,
    row_pixels,
    row_seconds,
)
from sweettok_cli.evaluation.journal import Journal
from sweettok_cli.evaluation.method import Contender
from sweettok_cli.evaluation.published import published_for
from sweettok_cli.evaluation.run import Measured, Plan
from sweettok_cli.metrics.bootstrap import CONFIDENCE, RESAMPLES, difference_interval
from sweettok_cli.metrics.comparison import SeamFlicker
from sweettok_cli.runtime import __version__, environment

Row = dict[str, Any]

FORMAT, VERSION = "sweettok-eval", 1


def make_record(plan: Plan, found: Measured, journal: Journal, command: str) -> dict[str, Any]:
    """Everything as plain values; None, never 0, where nothing was measured.

    Args:
        plan: what was done.
        found: what came of it.
        journal: still open; it holds the arrays.
        command: what was typed.
    """
    rows = found.rows
    return {
        "format": FORMAT,
        "version": VERSION,
        "sweettok": __version__,
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": environment(),
        "protocol": {
            **plan.protocol.record(),
            "published_on": plan.protocol.data,
            "interval": f"{CONFIDENCE:.0%} percentile bootstrap over clips, {RESAMPLES} resamples, seed 0",
            "differs_from_paper": _differences(plan),
        },
        "data": {
            "name": plan.data.name,
            "split": plan.data.split,
            "items": len(plan.data.items),
            "clips": len(rows),
            "frames": sum(row["frames"] for row in rows),
            "notes": _notes(plan),
        },
        "contenders": [contender_record(plan, found, journal, c) for c in plan.contenders],
        "clips": [_clip(row, plan.contenders) for row in rows],
        "curves": {codec.name: _curve(plan, rows, codec.name) for codec in plan.codecs if plan.curves},
        "comparisons": _comparisons(plan, rows),
        "published": published_for(plan.data.name if plan.data.known else ""),
        "failed": [{"name": name, "error": error} for name, error in found.failed],
    }


def _differences(plan: Plan) -> list[str]:
    protocol = plan.protocol
    differences = list(protocol.differs)
    if protocol.name == "default":
        return differences
    name, split = plan.data.name, plan.data.split
    if not plan.data.known or name not in protocol.data_sets:
        differences.insert(0, f"The data are {name}; the paper reports on {protocol.data}.")
    elif split != protocol.splits.get(name, DATA_SETS[name][0].splits[0]):
        differences.insert(0, f"The split is {split}; the paper reports on {protocol.data}.")
    if len(plan.items) < len(plan.data.items) and protocol.clips is None:
        differences.insert(0, f"Only {len(plan.items)} of {len(plan.data.items)} items were measured.")
    return differences


def _notes(plan: Plan) -> list[str]:
    notes = list(plan.data.notes)
    if len(plan.items) < len(plan.data.items):
        notes.append(f"{len(plan.items)} of {len(plan.data.items)} items were asked for.")
    return notes


def _clip(row: Row, contenders: Sequence[Contender]) -> dict[str, Any]:
    scores = {}
    pixels = row_pixels(row)
    for contender in contenders:
        result = row["results"][contender.name]
        flicker = SeamFlicker(**result["flicker"])
        seconds = None if row["image"] else row_seconds(row)
        scores[contender.name] = {
            **result["values"],
            "bits": result["bits"],
            "bits_per_pixel": result["bits"] / pixels,
            "kbit_per_second": None if seconds is None else result["bits"] / 1000 / seconds,
            "tokens": result["tokens"],
            "indices": result["indices"],
            "temporal_flicker": flicker.inside / flicker.others if flicker.others else None,
            "seam_energy": flicker.at_borders / flicker.borders if flicker.borders else None,
            "seam_flicker": flicker.ratio,
            "settings": result["settings"],
            "seconds": result["seconds"]["encode"] + result["seconds"]["decode"],
        }
    kept = {
        name: row[name] for name in ("name", "label", "width", "height", "frames", "rate", "start", "image")
    }
    return {**kept, "scores": scores}


def _mean(plan: Plan, rows: list[Row], value_of: Callable[[Row], float]) -> float:
    weights = average_weights(plan, rows) or [1] * len(rows)
    total = math.fsum(value_of(row) * weight for row, weight in zip(rows, weights, strict=True))
    return total / math.fsum(weights)


def _curve(plan: Plan, rows: list[Row], codec: str) -> list[dict[str, Any]]:
    """Means over the set at each setting."""
    points: list[dict[str, Any]] = []
    if not rows:
        return points
    pixels = sum(map(row_pixels, rows))
    moving = [row for row in rows if not row["image"]]
    seconds = math.fsum(map(row_seconds, moving))
    for place, first in enumerate(rows[0]["curves"][codec]):

        def at(row: Row, place: int = place) -> Row:
            return row["curves"][codec][place]

        names = [name for name in first["values"] if all(name in at(row)["values"] for row in rows)]
        bits = math.fsum(at(row)["bits"] for row in rows)
        point = {
            "setting": first["setting"],
            "bits_per_pixel": bits / pixels,
            "kbit_per_second": (
                math.fsum(at(row)["bits"] for row in moving) / 1000 / seconds if moving else None
            ),
        }
        points.append(
            point | {name: _mean(plan, rows, lambda row, n=name: at(row)["values"][n]) for name in names}  # type: ignore[misc]
        )
    return points


def _comparisons(plan: Plan, rows: list[Row]) -> list[dict[str, Any]]:
    """Paired differences ``a - b``: every two models, and every model with every codec."""
    models = [model.name for model in plan.models]
    pairs = [*combinations(models, 2), *((m, codec.name) for m in models for codec in plan.codecs)]
    found = []
    for a, b in pairs:
        for metric, facts in metric_facts(plan).items():
            both = [
                row
                for row in rows
                if metric in row["results"][a]["values"] and metric in row["results"][b]["values"]
            ]
            if both:
                first, second = ([row["results"][name]["values"][metric] for row in both] for name in (a, b))
                interval = difference_interval(first, second, average_weights(plan, both))
                found.append(_comparison(a, b, metric, interval, facts["better"]))
        if rows:
            pixels = [row_pixels(row) for row in rows]
            first, second = (
                [row["results"][name]["bits"] / area for row, area in zip(rows, pixels, strict=True)]
                for name in (a, b)
            )
            interval = difference_interval(first, second, pixels)
            found.append(_comparison(a, b, "bits_per_pixel", interval, "lower"))
    return found


def _comparison(a: str, b: str, metric: str, interval: Any, better: str) -> dict[str, Any]:
    return {
        "a": a,
        "b": b,
        "metric": metric,
        "difference": interval.value,
        "low": interval.low,
        "high": interval.high,
        "clips": interval.clips,
        "better": better,
    }
