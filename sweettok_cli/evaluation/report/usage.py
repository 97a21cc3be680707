"""What is used of each codebook: how frequent its codes are by rank, and which words lead."""

from __future__ import annotations

from typing import Any

from sweettok_cli.evaluation.report.axis import Axis
from sweettok_cli.evaluation.report.chart import Chart
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.markup import escape, name, number

_CHART = Chart(width=420, height=280, left=56, right=406, top=12, bottom=232)
_WORDS = 12


def codebooks(findings: Findings) -> str:
    """All lists of all models; a sentence where there is none."""
    parts = []
    for contender in findings.contenders:
        lists = {part: use for part, use in contender["codebooks"].items() if use["used"]}
        if not lists:
            continue
        if len(findings.record["contenders"]) - len(findings.codecs) > 1:
            parts.append(f"<h3>{name(contender['name'])}</h3>")
        parts.append(
            '<div class="lists">' + "".join(_list(part, use) for part, use in lists.items()) + "</div>"
        )
    return "".join(parts) or "<p>No model here has a codebook whose use can be counted.</p>"


def _list(part: str, use: dict[str, Any]) -> str:
    facts = (
        f"{use['used']:,} of {use['size']:,} in use ({100 * use['use']:.0f} %), "
        f"perplexity {use['perplexity']:,.0f}, {use['entropy_bits']:.1f} bits a code"
    )
    caption = f"<figcaption><b>{escape(part)}</b> {facts}</figcaption>"
    return f"<figure>{caption}{_by_rank(part, use)}{_words(use)}</figure>"


def rank_points(use: dict[str, Any]) -> list[tuple[int, int]]:
    """Ranks and counts: each of the leading codes, then how many codes occur at least 1, 2, 4... times."""
    leading = [(rank, each["count"]) for rank, each in enumerate(use["top"], 1)]
    points, rank = dict(leading), 0
    for step in reversed([each for each in use["histogram"] if each["from"]]):
        rank += step["codes"]
        # So many codes occur at least `from` times, and no others do.
        if rank > len(leading):
            points[rank] = step["from"]
    return sorted(points.items())


def _by_rank(part: str, use: dict[str, Any]) -> str:
    points = rank_points(use)
    across = Axis(0.8, max(10, use["size"] * 1.1), _CHART.left, _CHART.right, log=True)
    up = Axis(0.8, max(10, points[0][1] * 1.3), _CHART.bottom, _CHART.top, log=True)
    parts = _CHART.grid(across, up, "rank (log scale)", "occurrences")
    line = " ".join(f"{across(rank)},{up(count)}" for rank, count in points)
    area = f"{line} {across(points[-1][0])},{_CHART.bottom} {across(points[0][0])},{_CHART.bottom}"
    parts.append(f'<polygon class="area s0" points="{area}"/><polyline class="line s0" points="{line}"/>')
    parts.append(f'<path class="limit" d="M{across(use["size"])} {_CHART.top}V{_CHART.bottom}"/>')
    return _CHART.drawn(parts, f"Occurrences of {part} by rank")


def _words(use: dict[str, Any]) -> str:
    top = use["top"][:_WORDS]
    rows = []
    for each in top:
        label = name(each["word"]) if each["word"] is not None else f"code {each['index']}"
        share = 100 * each["count"] / use["occurrences"]
        width = 100 * each["count"] / top[0]["count"]
        rows.append(
            f'<li><span class="word">{label}</span>'
            f'<span class="share"><i style="width:{width:.1f}%"></i></span>'
            f'<span class="count" title="{each["count"]:,} times">{number(share, 1)}&nbsp;%</span></li>'
        )
    return '<ol class="words">' + "".join(rows) + "</ol>"
