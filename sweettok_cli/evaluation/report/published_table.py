"""Figures of papers beside ours, and why most of them may not be compared."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sweettok_cli.evaluation.protocol import PROTOCOLS
from sweettok_cli.evaluation.report.choices import COMPARED, LABELS, in_words
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.markup import DASH, bullets, escape, more, name, number, scroller
from sweettok_cli.evaluation.tables import TITLES, digits_of

Figure = dict[str, Any]


def published_table(findings: Findings) -> str:
    """One table a data set, ours at the top; below them what separates ours from each protocol."""
    figures = findings.record["published"]
    if not figures:
        return "<p>No paper's figures are known for these data.</p>"
    here = findings.record["data"]["name"]
    by_data = {data: list(group) for data, group in groupby(sorted(figures, key=_data), _data)}
    parts = []
    if here not in by_data:
        parts.append(
            f"<p>No paper reports on {name(here)}. Figures on other data are shown for orientation: none of "
            "them may be compared with those above.</p>"
        )
    for data, group in by_data.items():
        table = scroller(f"Published figures on {data}", _table(findings, data, group))
        parts.append(table if data == here else more(f"on {escape(data)}", table))
    named = {_preset(figure) for figure in figures}
    for preset in [each for each in PROTOCOLS if each in named]:
        found = list(differences(findings.record, preset, figures))
        listed = (
            bullets(map(escape, found), "plain")
            if found
            else "<p>Nothing that is known: these figures may be compared.</p>"
        )
        heading = f"What separates the figures above from the protocol {escape(preset)}"
        parts.append(more(heading, listed))
    return "".join(parts)


def _data(figure: Figure) -> str:
    return figure["data"]


def _preset(figure: Figure) -> str:
    return figure["protocol"].partition(" ")[0]


def _table(findings: Findings, data: str, figures: list[Figure]) -> str:
    named = {figure["metric"] for figure in figures}
    metrics = [metric for metric in TITLES if metric in named]
    heads = "".join(f'<th scope="col" class="number">{escape(TITLES[metric])}</th>' for metric in metrics)
    record = findings.record
    ours = [
        _row(
            f"{name(model['name'])}, here",
            [_ours(model, metric) for metric in metrics],
            f"this page, on {name(record['data']['name'])}",
            escape(record["protocol"]["name"]),
            "here",
        )
        for model in findings.contenders
        if model["kind"] == "model"
    ]
    theirs: dict[tuple[str, str, str], dict[str, float]] = {}
    for figure in figures:
        key = figure["model"], figure["source"], figure["protocol"]
        theirs.setdefault(key, {})[figure["metric"]] = figure["value"]
    rows = [
        _row(
            escape(model),
            [_figure(values.get(metric), metric) for metric in metrics],
            escape(source),
            escape(protocol),
        )
        for (model, source, protocol), values in theirs.items()
    ]
    return (
        f'<table class="papers"><caption>{escape(data)}</caption><thead><tr><th scope="col">model</th>{heads}'
        '<th scope="col">printed in</th><th scope="col">protocol</th></tr></thead>'
        f"<tbody>{''.join(ours + rows)}</tbody></table>"
    )


def _row(model: str, cells: list[str], source: str, protocol: str, kind: str = "") -> str:
    return (
        f'<tr class="{kind}"><th scope="row">{model}</th>{"".join(cells)}<td>{source}</td>'
        f"<td>{protocol or 'not known'}</td></tr>"
    )


def _ours(model: dict[str, Any], metric: str) -> str:
    entry = model["summary"].get(metric)
    if entry is not None:
        return _figure(entry["value"], metric)
    reason = model["not_measured"].get(metric, "was not asked for")
    return f'<td class="number"><span class="missing" title="{escape(reason)}">not measured</span></td>'


def _figure(value: float | None, metric: str) -> str:
    digits = digits_of(metric, "dB" if metric.startswith("psnr") else "")
    return f'<td class="number">{DASH if value is None else number(value, digits)}</td>'


def differences(record: dict[str, Any], preset: str, figures: list[Figure]) -> Iterator[str]:
    """In what the run differs from a paper's protocol, one line each.

    Args:
        record: of the run.
        preset: name of the paper's protocol.
        figures: published ones, for the data that those of this protocol are on.
    """
    theirs, ours = PROTOCOLS[preset].record(), record["protocol"]
    data, clips, items = (record["data"][key] for key in ("name", "clips", "items"))
    on = sorted({figure["data"] for figure in figures if _preset(figure) == preset})
    if data not in on:
        yield f"data: here {data}, {clips} clips; published on {', '.join(on)}"
    elif clips < items:
        yield f"data: here {clips} of {items} clips"
    for key in COMPARED:
        mine, other = (in_words(choices.get(key), key) for choices in (ours, theirs))
        if mine != other:
            yield f"{LABELS[key]}: here {mine}; published with {other}"
    if ours["name"] == preset:
        yield from ours["differs_from_paper"]
