"""Every clip as a dot, one row for each contender: how good, how even, and which clips fall out."""

from __future__ import annotations

from sweettok_cli.evaluation.report.axis import Axis, tick_text
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.markup import escape, number

_ROW, _TOP, _HALF = 54, 4, 15
_MOST = 1200  # dots; more are a grey wall, so every so many is drawn


def strip_plot(findings: Findings) -> str:
    """A figure as wide as the page, empty without scores. Places are in per cent: text keeps its size."""
    metric = findings.lead
    if metric is None:
        return ""
    rows: dict[str, list[tuple[int, float]]] = {}
    for name in findings.names:
        for place in findings.places:
            value = findings.score(place, metric, name)
            if value is not None:
                rows.setdefault(name, []).append((place, value))
    across = Axis.around([value for row in rows.values() for _, value in row], 2, 98, air=0.02)
    bottom = _TOP + _ROW * len(rows)
    parts = []
    for value in across.ticks(7):
        x = across(value)
        parts.append(f'<line class="grid" x1="{x}%" x2="{x}%" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(f'<text class="tick middle" x="{x}%" y="{bottom + 18}">{tick_text(value)}</text>')
    for line, (name, row) in enumerate(rows.items()):
        parts += _row(findings, metric, name, row, across, _TOP + _ROW * line)
    title = f"{findings.title(metric)} of each clip; bars: mean and its interval"
    parts.append(f'<text class="axis middle" x="50%" y="{bottom + 40}">{escape(title)}</text>')
    return (
        f'<figure class="strip"><div class="chart"><svg style="height:{bottom + 48}px" role="img" '
        f'aria-label="{escape(title)}">' + "".join(parts) + "</svg></div></figure>"
    )


def _row(
    findings: Findings, metric: str, name: str, row: list[tuple[int, float]], across: Axis, top: float
) -> list[str]:
    series = f"s{findings.names.index(name) % 6}"
    y = top + _ROW - _HALF - 3
    parts = [f'<text class="label {series}" x="0" y="{top + 14}">{escape(name)}</text>']
    entry = next(each for each in findings.contenders if each["name"] == name)["summary"].get(metric)
    if entry is not None:
        if entry["low"] is not None:
            low, width = across(entry["low"]), round(across(entry["high"]) - across(entry["low"]), 2)
            box = f'x="{low}%" y="{y - _HALF}" width="{width}%" height="{2 * _HALF}"'
            parts.append(f'<rect class="band {series}" {box}/>')
        mean = across(entry["value"])
        parts.append(
            f'<line class="mean {series}" x1="{mean}%" x2="{mean}%" y1="{y - _HALF}" y2="{y + _HALF}"/>'
        )
    for place, value in row[:: -(-len(row) // _MOST)]:
        told = f"{findings.record['clips'][place]['name']}: {number(value, findings.digits(metric))}"
        # Dots of equal clips would hide one another.
        offset = (place * 7 % 5 - 2) * 4
        parts.append(
            f'<circle class="dot {series}" cx="{across(value)}%" cy="{y + offset}" r="4.5">'
            f"<title>{escape(told)}</title></circle>"
        )
    return parts
