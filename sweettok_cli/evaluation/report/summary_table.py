"""Every figure of every contender, with its exact definition behind it."""

from __future__ import annotations

from typing import Any

from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.markup import DASH, escape, more, name, number, scroller, span
from sweettok_cli.evaluation.tables import COSTS


def summary_table(findings: Findings) -> str:
    """Rows are figures, columns contenders; the best of each row is bold."""
    heads = "".join(
        f'<th scope="col" class="s{place % 6}">{name(each["name"])}<small>{escape(each["kind"])}</small></th>'
        for place, each in enumerate(findings.contenders)
    )
    rows = [_row(findings, metric) for metric in findings.metrics]
    rows += [_plain_row(label, about, cells) for label, about, cells in _costs(findings)]
    table = (
        f'<table class="figures"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    interval = escape(findings.record["protocol"].get("interval", ""))
    return (
        scroller("Summary", table)
        + f'<p class="aside">In brackets: {interval}. Open a name for its definition.</p>'
    )


def _row(findings: Findings, metric: str) -> str:
    facts = findings.facts(metric)
    arrow = "\u2191" if facts["better"] == "higher" else "\u2193"
    label = f'{escape(findings.title(metric))} <span title="{facts["better"]} is better">{arrow}</span>'
    entries = [each["summary"].get(metric) for each in findings.contenders]
    best = None
    known = [entry["value"] for entry in entries if entry is not None]
    if len(known) > 1 and metric not in COSTS:
        best = max(known) if facts["better"] == "higher" else min(known)
    cells = [
        _cell(findings, metric, each, entry, best)
        for each, entry in zip(findings.contenders, entries, strict=True)
    ]
    return _line(label, facts["definition"], cells)


def _cell(
    findings: Findings,
    metric: str,
    contender: dict[str, Any],
    entry: dict[str, Any] | None,
    best: float | None,
) -> str:
    if entry is None:
        reason = contender["not_measured"].get(metric)
        if reason is None:  # no codec has seams between clips of a model
            return f'<td><span class="missing" title="does not apply">{DASH}</span></td>'
        return f'<td><span class="missing" title="{escape(reason)}">not measured</span></td>'
    digits = findings.digits(metric)
    value = number(entry["value"], digits)
    if best is not None and entry["value"] == best:
        value = f"<b>{value}</b>"
    interval = span(entry["low"], entry["high"], digits)
    return f"<td>{value}{f'<small>[{interval}]</small>' if interval else ''}</td>"


def _line(label: str, definition: str, cells: list[str]) -> str:
    head = more(
        f'<span title="{escape(definition)}">{label}</span>', f"<p>{escape(definition)}</p>", "definition"
    )
    return f'<tr><th scope="row">{head}</th>{"".join(cells)}</tr>'


def _plain_row(label: str, about: str, cells: list[str]) -> str:
    return _line(escape(label), about, [f"<td>{cell}</td>" for cell in cells])


def _costs(findings: Findings) -> list[tuple[str, str, list[str]]]:
    rows = []
    contenders = findings.contenders
    prices = [each["cost"].get("clip_256") for each in contenders]
    if any(prices):
        known = next(price for price in prices if price)
        rows.append(
            (
                "tokens of a clip",
                f"What one clip of {known['frames']} frames of {known['width']}\u00d7{known['height']} "
                "pixels costs, as papers count it, and its codebook indices and true bits.",
                [_price(price) if price else DASH for price in prices],
            )
        )
    rows.append(
        (
            "true bits in all",
            "Of all clips together: indices times the logarithm of their codebook's size; of codecs all "
            "bytes of the stream.",
            [f"{number(each['cost']['bits'] / 1000, 0)}&nbsp;kbit" for each in contenders],
        )
    )
    for half in ("encode", "decode"):
        rows.append(
            (
                f"seconds to {half}",
                "Wall-clock time over all clips on the machine named below. Of a codec the search for the "
                "rate factor and decoding count as encoding, and codecs run beside one another.",
                [number(each["seconds"][half], 1) if each["seconds"][half] else DASH for each in contenders],
            )
        )
    return rows


def _price(price: dict[str, Any]) -> str:
    tokens = price["tokens"]
    tokens = sum(tokens.values()) if isinstance(tokens, dict) else tokens
    return f"{tokens:,}<small>{price['indices']:,} indices, {number(price['kbit'], 2)} kbit</small>"
