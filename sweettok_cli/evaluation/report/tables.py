"""What the page's large tables hold: clips by any measure, and the figures of papers beside ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sweettok_cli.evaluation.protocol import PROTOCOLS
from sweettok_cli.evaluation.record import Record
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.text import LABELS, in_words, number
from sweettok_cli.evaluation.tables import TITLES

MOST_ROWS = 5000
_COSTS = (
    ("bits_per_pixel", "bits per pixel", 4),
    ("kbit_per_second", "kbit/s", 0),
    ("seam_flicker", "seams", 2),
)
_NOT_COMPARED = ("name", "source", "published_on", "splits", "seed", "interval", "data_sets")


class Column(NamedTuple):
    """A heading of the table of clips, what it means, and of each row the value to sort by and its text."""

    title: str
    about: str
    cells: list[tuple[float | None, str]]


def clip_places(findings: Findings) -> list[int]:
    """Clips of the table, the worst first; where there are very many, the worst ones and the best."""
    ranked = set(findings.ranked)
    places = [*findings.ranked, *(place for place in findings.places if place not in ranked)]
    if len(places) > MOST_ROWS:
        places = [*places[: MOST_ROWS - 1], *findings.ranked[-1:]]  # the headline names the best, too
    return places


def clip_columns(findings: Findings, places: list[int]) -> Iterator[Column]:
    """What is told of each of these clips; the page's program sorts them by any of it."""
    first, lead = findings.first, findings.lead
    clips = [findings.record.clips[place] for place in places]

    def column(title: str, about: str, values: list[float | None], digits: int) -> Column:
        return Column(title, about, [(value, number(value, digits)) for value in values])

    def scores(metric: str, method: str = first.name) -> list[float | None]:
        return [findings.score(place, metric, method) for place in places]

    for metric in findings.clip_metrics:
        if metric in first.summary:
            about = findings.facts(metric).definition
            yield column(findings.title(metric), about, scores(metric), findings.digits(metric))
    for other in findings.names:
        if lead is not None and other != first.name:
            pairs = zip(scores(lead), scores(lead, other), strict=True)
            values = [None if a is None or b is None else a - b for a, b in pairs]
            about = f"{findings.title(lead)} of {first.name} minus that of {other}"
            yield column(f"against {other}", about, values, findings.digits(lead))
    for metric, title, digits in _COSTS:
        if any(findings.score(place, metric) is not None for place in findings.places):
            yield column(title, findings.facts(metric).definition, scores(metric), digits)
    yield column("frames", "frames that were measured", [clip.frames for clip in clips], 0)
    yield Column(
        "pixels",
        "width and height of the frames that were measured; sorted by their area",
        [(clip.width * clip.height, f"{clip.width}\u00d7{clip.height}") for clip in clips],
    )


class Papers(NamedTuple):
    """Figures that papers state on one data set: by model, source and protocol the value of each metric."""

    metrics: list[str]
    rows: dict[tuple[str, str, str], dict[str, float]]


def papers(record: Record) -> dict[str, Papers]:
    """One table a data set."""
    found: dict[str, Papers] = {}
    for each in sorted(record.published, key=lambda each: each.data):
        rows = found.setdefault(each.data, Papers([], {})).rows
        rows.setdefault((each.model, each.source, each.protocol), {})[each.metric] = each.value
    for metrics, rows in found.values():
        metrics += [metric for metric in TITLES if any(metric in row for row in rows.values())]
    return found


def separations(record: Record) -> list[tuple[str, list[str]]]:
    """Protocols of the papers, and in what the run differs from each, one line each."""
    on: dict[str, set[str]] = {}
    for figure in record.published:
        on.setdefault(figure.protocol.partition(" ")[0], set()).add(figure.data)
    return [(preset, list(_differences(record, preset, on[preset]))) for preset in PROTOCOLS if preset in on]


def _differences(record: Record, preset: str, on: set[str]) -> Iterator[str]:
    ours, theirs, data = record.protocol, PROTOCOLS[preset], record.data
    if data.name not in on:
        yield f"data: here {data.name}, {data.clips} clips; published on {', '.join(sorted(on))}"
    elif data.clips < data.items:
        yield f"data: here {data.clips} of {data.items} clips"
    for key in (key for key in LABELS if key not in _NOT_COMPARED):
        mine, other = (in_words(getattr(choices, key), key) for choices in (ours, theirs))
        if mine != other:
            yield f"{LABELS[key]}: here {mine}; published with {other}"
    if record.protocol.name == preset:
        yield from record.protocol.differs_from_paper
