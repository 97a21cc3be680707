"""Quality against bits: curves of codecs, points of models."""

from __future__ import annotations

from typing import Any

from sweettok_cli.evaluation.report.axis import Axis
from sweettok_cli.evaluation.report.chart import Chart
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.markup import escape, number, printable

_CHART = Chart(width=560, height=380, left=58, right=464, top=16, bottom=328)
_LINE = 17
_LONGEST = 15  # signs of a label


def rate_plots(findings: Findings) -> str:
    """A figure for each measure of quality that curves have; empty where there is nothing to compare."""
    curves = findings.record["curves"]
    on_curves = {metric for points in curves.values() for point in points for metric in point}
    metrics = [metric for metric in findings.clip_metrics if metric in on_curves or len(findings.names) > 1]
    drawn = [_plot(findings, metric) for metric in metrics[:2]]
    return "".join(drawn)


def _plot(findings: Findings, metric: str) -> str:
    curves = {
        name: sorted(
            (point["bits_per_pixel"], point[metric], point["setting"]) for point in points if metric in point
        )
        for name, points in findings.record["curves"].items()
    }
    points = {
        each["name"]: (each["summary"]["bits_per_pixel"]["value"], each["summary"][metric])
        for each in findings.contenders
        if metric in each["summary"] and "bits_per_pixel" in each["summary"]
    }
    rates = [rate for curve in curves.values() for rate, _, _ in curve] + [
        rate for rate, _ in points.values()
    ]
    values = [value for curve in curves.values() for _, value, _ in curve]
    for _, entry in points.values():
        values += [end for end in (entry["value"], entry["low"], entry["high"]) if end is not None]
    across = Axis.around(rates, _CHART.left, _CHART.right, log=True)
    up = Axis.around(values, _CHART.bottom, _CHART.top)
    parts = _CHART.grid(across, up, "bits per pixel (log scale)", findings.title(metric), columns=7)
    labels: list[tuple[float, float, str, str]] = []
    for place, each in enumerate(findings.contenders):
        name, series = each["name"], f"s{place % 6}"
        curve = curves.get(name, [])
        if curve:
            line = " ".join(f"{across(rate)},{up(value)}" for rate, value, _ in curve)
            parts.append(f'<polyline class="line {series}" points="{line}"/>')
            parts += [
                _dot(across(rate), up(value), 3, f"dot {series}", _told(findings, name, metric, rate, value))
                for rate, value, _ in curve
            ]
            labels.append((across(curve[-1][0]) + 8, up(curve[-1][1]), name, series))
        if name in points:
            rate, entry = points[name]
            parts.append(_point(findings, each, metric, across(rate), up, rate, entry, series))
            if not curve:
                labels.append((across(rate) + 11, up(entry["value"]), name, series))
    parts += _spread(labels)
    drawn = _CHART.drawn(parts, f"{findings.short(metric)} against bits per pixel")
    return f"<figure><figcaption>{escape(findings.short(metric))}</figcaption>{drawn}</figure>"


def _point(
    findings: Findings,
    contender: dict[str, Any],
    metric: str,
    x: float,
    up: Axis,
    rate: float,
    entry: dict[str, Any],
    series: str,
) -> str:
    """A model's own point is a filled square with its interval; a codec at the same bits is a ring."""
    told = _told(findings, contender["name"], metric, rate, entry["value"])
    y = up(entry["value"])
    if contender["kind"] == "codec":
        return _dot(x, y, 6, f"ring {series}", told)
    bar = ""
    if entry["low"] is not None:
        low, high = up(entry["low"]), up(entry["high"])
        bar = f'<path class="bar {series}" d="M{x} {low}V{high}M{x - 5} {low}h10M{x - 5} {high}h10"/>'
    mark = f'<rect class="mark {series}" x="{x - 6}" y="{y - 6}" width="12" height="12" rx="2">'
    return f"{bar}{mark}<title>{told}</title></rect>"


def _dot(x: float, y: float, radius: float, kind: str, told: str) -> str:
    return f'<circle class="{kind}" cx="{x}" cy="{y}" r="{radius}"><title>{told}</title></circle>'


def _told(findings: Findings, name: str, metric: str, rate: float, value: float) -> str:
    figure = findings.with_unit(metric, number(value, findings.digits(metric)))
    return escape(f"{name}: {findings.short(metric)} {figure} at {rate:.4f} bits per pixel")


def _spread(labels: list[tuple[float, float, str, str]]) -> list[str]:
    """Names beside the ends of their curves, moved apart where they would lie on one another."""
    drawn = []
    floor: float = _CHART.top - _LINE
    for x, y, name, series in sorted(labels, key=lambda label: label[1]):
        floor = max(y, floor + _LINE)
        short = printable(name)
        short = short if len(short) <= _LONGEST else short[: _LONGEST - 1] + "\u2026"
        drawn.append(f'<text class="label {series}" x="{x}" y="{floor + 4}">{escape(short)}</text>')
    return drawn
