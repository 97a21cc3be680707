"""One row a clip; the page's program sorts it by any column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.markup import escape, name, number, scroller

MOST_ROWS = 5000
_FILTER_FROM = 12


@dataclass(frozen=True)
class _Column:
    """A heading with how a clip's value is found and written; ``about`` says what it is."""

    title: str
    about: str
    value: Callable[[int], float | None]
    digits: int
    text: Callable[[int], str] | None = None


def clip_table(findings: Findings, films: dict[int, int]) -> str:
    """The table, the worst clip first.

    Args:
        findings: of the record.
        films: number of the film of each clip that has one.
    """
    clips = findings.record["clips"]
    if not clips:
        return "<p>No clip was measured.</p>"
    columns = _columns(findings)
    labelled = any(clip["label"] for clip in clips)
    lead = findings.lead
    heads = [_head("clip", "name of the file")]
    if labelled:
        heads.append(_head("label", "class in the data set"))
    for place, column in enumerate(columns):
        order = "ascending" if findings.higher else "descending"
        order = "" if place or lead is None else f' aria-sort="{order}"'
        heads.append(_head(column.title, column.about, "number", order))
    ranked = set(findings.ranked)
    listed = [*findings.ranked, *(place for place in findings.places if place not in ranked)]
    if len(listed) > MOST_ROWS:
        listed = [*listed[: MOST_ROWS - 1], *findings.ranked[-1:]]  # the headline names the best, too
    rows = [_row(findings, place, columns, labelled, films.get(place)) for place in listed]
    table = (
        f'<table class="clips" id="clip-table"><thead><tr>{"".join(heads)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    search = ""
    if len(clips) >= _FILTER_FROM:
        search = (
            '<p class="filter"><label>Only clips whose name holds '
            '<input type="search" id="clip-filter" autocomplete="off" spellcheck="false"></label> '
            '<output id="clip-count" for="clip-filter"></output></p>'
        )
    cut = ""
    if len(listed) < len(clips):
        cut = (
            f'<p class="aside">The worst {len(listed) - 1:,} and the best of {len(clips):,} clips. '
            "The option <code>--csv</code> writes all of them.</p>"
        )
    return search + scroller("Clips", table) + cut


def _columns(findings: Findings) -> list[_Column]:
    clips = findings.record["clips"]
    columns = []
    for metric in findings.clip_metrics:
        if metric not in findings.first["summary"]:
            continue
        definition = findings.facts(metric)["definition"]
        columns.append(
            _Column(
                findings.title(metric),
                definition,
                lambda place, m=metric: findings.score(place, m),  # type: ignore[misc]
                findings.digits(metric),
            )
        )
    lead = findings.lead
    if lead is not None:
        for other in findings.names:
            if other == findings.first["name"]:
                continue
            columns.append(
                _Column(
                    f"against {other}",
                    f"{findings.title(lead)} of {findings.first['name']} minus that of {other}",
                    lambda place, o=other: _difference(findings, place, lead, o),  # type: ignore[misc]
                    findings.digits(lead),
                )
            )
    costs = {
        "bits_per_pixel": ("bits per pixel", 4),
        "kbit_per_second": ("kbit/s", 0),
        "seam_flicker": ("seams", 2),
    }
    for metric, (title, digits) in costs.items():
        if any(findings.score(place, metric) is not None for place in findings.places):
            about = findings.facts(metric)["definition"]
            columns.append(_Column(title, about, lambda place, m=metric: findings.score(place, m), digits))  # type: ignore[misc]
    columns.append(_Column("frames", "frames that were measured", lambda place: clips[place]["frames"], 0))
    columns.append(
        _Column(
            "pixels",
            "width and height of the frames that were measured; sorted by their area",
            lambda place: clips[place]["width"] * clips[place]["height"],
            0,
            lambda place: f"{clips[place]['width']}\u00d7{clips[place]['height']}",
        )
    )
    return columns


def _difference(findings: Findings, place: int, metric: str, other: str) -> float | None:
    mine, theirs = findings.score(place, metric), findings.score(place, metric, other)
    return None if mine is None or theirs is None else mine - theirs


def _head(title: str, about: str, kind: str = "text", order: str = "") -> str:
    return (
        f'<th scope="col" class="{kind}"{order}><button type="button" title="{escape(about)}">{escape(title)}'
        '<span aria-hidden="true"></span></button></th>'
    )


def _row(findings: Findings, place: int, columns: list[_Column], labelled: bool, film: int | None) -> str:
    clip = findings.record["clips"][place]
    shown = name(clip["name"])
    if film is not None:
        shown = f'<a href="#players" data-film="{film}" title="show this clip">{shown}</a>'
    cells = [f'<th scope="row">{shown}</th>']
    if labelled:
        cells.append(f"<td>{escape(clip['label'] or '')}</td>")
    for column in columns:
        value = column.value(place)
        kept = "" if value is None else f' data-value="{value!r}"'
        text = number(value, column.digits) if column.text is None else column.text(place)
        cells.append(f'<td class="number"{kept}>{text}</td>')
    return f'<tr id="clip-{place}" tabindex="-1">{"".join(cells)}</tr>'
