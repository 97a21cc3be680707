"""The page that ``sweettok eval --report`` writes: one file, for a browser, without a network.

Python finds what is shown (findings, charts, films, and here the large tables: clips by any measure, and the
figures of papers beside ours); the templates say how.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from sweettok_cli.evaluation.protocol import PROTOCOLS
from sweettok_cli.evaluation.record import Record
from sweettok_cli.evaluation.report.charts import rank_plot, rate_plots, strip_plot
from sweettok_cli.evaluation.report.films import make_films
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.text import LABELS, choices, in_words, number, plural
from sweettok_cli.evaluation.run import Media
from sweettok_cli.evaluation.spelling import printable
from sweettok_cli.evaluation.tables import TITLES, digits_of, in_short, short_title
from sweettok_cli.files import atomic_output, check_target

MOST_ROWS = 5000
_COSTS = (
    ("bits_per_pixel", "bits per pixel", 4),
    ("kbit_per_second", "kbit/s", 0),
    ("seam_flicker", "seams", 2),
)
_NOT_COMPARED = ("name", "source", "published_on", "splits", "seed", "interval", "data_sets")


def _shown(value: Any) -> Any:
    """What stands for an expression's value in the page, before it is escaped; text of templates stays."""
    return printable(value) if type(value) is str else value


#: Of this page and of others: what they share are style and macros.
TEMPLATES = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.filters |= {
    "choices": choices,
    "in_short": in_short,
    "in_words": in_words,
    "number": number,
    "plural": plural,
}
TEMPLATES.globals |= {"digits_of": digits_of, "rank_plot_of": rank_plot, "short_title": short_title}
TEMPLATES.policies["json.dumps_kwargs"] = {
    "ensure_ascii": False,
    "allow_nan": False,
    "separators": (",", ":"),
}


def write_report(record: Record, media: Media | None, path: Path, force: bool = False) -> None:
    """Write the page of a run; without ``media``, which gives the frames, no clip is shown moving.

    Raises:
        SweettokError: the file exists without ``force``, or cannot be written.
    """
    check_target(path, force)
    write_page(make_page(record, media), path, force)


def write_page(page: str, path: Path, force: bool) -> None:
    """Write a page whole; what is no text in a name is spelt out."""
    with atomic_output(path, force) as part:
        part.write_text(page, encoding="utf-8", errors="backslashreplace")


def make_page(record: Record, media: Media | None) -> str:
    """The page as text; see :func:`write_report`. A clip that can no longer be read is named in it."""
    findings = Findings(record)
    films = make_films(findings, media)
    places = _clip_places(findings)
    columns = list(_clip_columns(findings, places))
    return TEMPLATES.get_template("page.html").render(
        record=record,
        findings=findings,
        strip=strip_plot(findings),
        films=films,
        facts=films.facts(findings),
        rate_plots=rate_plots(findings),
        places=places,
        columns=columns,
        groups=[(name, len(list(held))) for name, held in groupby(columns, lambda column: column.of)],
        papers=_papers(record),
        separations=_separations(record),
    )


class _Column(NamedTuple):
    """A heading of the table of clips, what it means, and of each row the value to sort by and its text."""

    of: str  # the method; empty where it is of the clip itself
    title: str
    about: str
    cells: list[tuple[float | None, str]]


def _clip_places(findings: Findings) -> list[int]:
    """Clips of the table, the worst first; where there are very many, the worst ones and the best."""
    ranked = set(findings.ranked)
    places = [*findings.ranked, *(place for place in findings.places if place not in ranked)]
    if len(places) > MOST_ROWS:
        places = [*places[: MOST_ROWS - 1], *findings.ranked[-1:]]  # the headline names the best, too
    return places


def _clip_columns(findings: Findings, places: list[int]) -> Iterator[_Column]:
    """What is told of each of these clips; the page's program sorts them by any of it."""
    first, lead = findings.first, findings.lead
    clips = [findings.record.clips[place] for place in places]

    def column(of: str, title: str, about: str, values: list[float | None], digits: int) -> _Column:
        return _Column(of, title, about, [(value, number(value, digits)) for value in values])

    def scores(metric: str, method: str = first.name) -> list[float | None]:
        return [findings.score(place, metric, method) for place in places]

    for metric in findings.clip_metrics:
        if metric in first.summary:
            about = findings.facts(metric).definition
            yield column(first.name, findings.title(metric), about, scores(metric), findings.digits(metric))
    for metric, title, digits in _COSTS:
        if any(findings.score(place, metric) is not None for place in findings.places):
            yield column(first.name, title, findings.facts(metric).definition, scores(metric), digits)
    for other in findings.names:
        if lead is not None and other != first.name:
            theirs = scores(lead, other)
            values = [
                None if a is None or b is None else a - b for a, b in zip(scores(lead), theirs, strict=True)
            ]
            title, digits = findings.title(lead), findings.digits(lead)
            yield column(other, title, findings.facts(lead).definition, theirs, digits)
            about = f"{title} of {first.name} minus that of {other}"
            unit = findings.facts(lead).unit
            yield column(other, f"difference ({unit})" if unit else "difference", about, values, digits)
    yield column("", "frames", "frames that were measured", [clip.frames for clip in clips], 0)
    yield _Column(
        "",
        "pixels",
        "width and height of the frames that were measured; sorted by their area",
        [(clip.width * clip.height, f"{clip.width}\u00d7{clip.height}") for clip in clips],
    )


class _Papers(NamedTuple):
    """Figures that papers state on one data set: by model, source and protocol the value of each metric."""

    metrics: list[str]
    rows: dict[tuple[str, str, str], dict[str, float]]


def _papers(record: Record) -> dict[str, _Papers]:
    """One table a data set."""
    found: dict[str, _Papers] = {}
    for each in sorted(record.published, key=lambda each: each.data):
        rows = found.setdefault(each.data, _Papers([], {})).rows
        rows.setdefault((each.model, each.source, each.protocol), {})[each.metric] = each.value
    for metrics, rows in found.values():
        metrics += [metric for metric in TITLES if any(metric in row for row in rows.values())]
    return found


def _separations(record: Record) -> list[tuple[str, list[str]]]:
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
    elif record.protocol.name != preset:
        yield from data.notes
    for key in (key for key in LABELS if key not in _NOT_COMPARED):
        mine, other = (in_words(getattr(choices, key), key) for choices in (ours, theirs))
        if mine != other:
            yield f"{LABELS[key]}: here {mine}; published with {other}"
    if record.protocol.name == preset:
        yield from record.protocol.differs_from_paper
