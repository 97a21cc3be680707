"""Charts as the templates draw them: axes that map values to places, and what lies on them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sweettok_cli.evaluation.record import CodebookFacts, MethodFacts
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.text import tick_text
from sweettok_cli.evaluation.spelling import printable

_LINE = 17  # between labels that would lie on one another
_LONGEST = 15  # signs of a label
_MOST_DOTS = 1200  # more are a grey wall, so every so many is drawn


@dataclass(frozen=True)
class Axis:
    """Maps ``low`` to the place ``start`` and ``high`` to ``end``, evenly or (``log``) by ratio."""

    low: float  # above 0 on a logarithmic axis
    high: float
    start: float  # in the chart's units
    end: float  # below start for an axis that points up
    log: bool = False

    @classmethod
    def around(
        cls, values: Iterable[float], start: float, end: float, *, log: bool = False, air: float = 0.06
    ) -> Axis:
        """An axis that holds all values with a little air, and is not empty where they are all alike."""
        found = [value for value in values if not log or value > 0] or [1.0]
        low, high = min(found), max(found)
        if log:
            factor = max((high / low) ** air, 1.15)
            return cls(low / factor, high * factor, start, end, log)
        room = max((high - low) * air, abs(high) * 0.005, 1e-6)
        return cls(low - room, high + room, start, end, log)

    def __call__(self, value: float) -> float:
        """The place of a value."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + (self.end - self.start) * share, 2)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Places and text of round numbers inside the axis, at most so many."""
        return [(self(value), tick_text(value)) for value in self.round_values(most)]

    def round_values(self, most: int = 6) -> list[float]:
        """The values of :meth:`ticks`."""
        if self.log:
            return self._log_values(most)
        least = (self.high - self.low) / most
        powers = itertools.count(math.floor(math.log10(least)))
        for step in (factor * 10.0**power for power in powers for factor in (1, 2, 5)):
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            if step >= least and last - first + 1 <= most:
                return [number * step for number in range(first, last + 1)]
        raise AssertionError("steps have no end")

    def _log_values(self, most: int) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
            found = [factor * 10.0**decade for decade in decades for factor in factors]
            found = [value for value in found if self.low <= value <= self.high]
            if len(found) <= most:
                return found
        return found[:: -(-len(found) // most)]


@dataclass(frozen=True)
class Chart:
    """A chart's size in its own units, which the page scales, and its axes; the grid fills their range."""

    width: int
    height: int
    across: Axis
    up: Axis


class Label(NamedTuple):
    """Text beside the end of a curve, and the class of its colour."""

    x: float
    y: float  # of the middle of the line
    text: str
    colour: str
    before: bool = False  # it ends at x, and does not begin there


class Line(NamedTuple):
    """Bits and values that belong together, fewest bits first."""

    name: str  # of the codec, or of the model at all its budgets
    points: list[tuple[float, float]]
    settings: bool = False  # a codec's own, of which the line alone tells
    aims: bool = False  # budgets that are qualities, which clips reach with more bits or fewer


@dataclass(frozen=True)
class RatePlot:
    """Quality against bits: the logarithm of bits per pixel across, the metric up."""

    metric: str
    chart: Chart
    lines: list[Line]
    means: dict[str, float]  # of each method its own bits per pixel; its summary holds the value
    labels: list[Label]  # names
    budgets: list[Label]  # beside the points of a model that has several


def rate_plots(findings: Findings) -> list[RatePlot]:
    """One for each of two measures of quality that curves have; none where there is nothing to compare."""
    on_curves = {metric for points in findings.record.curves.values() for p in points for metric in p.values}
    metrics = [metric for metric in findings.clip_metrics if metric in on_curves or len(findings.names) > 1]
    return [_rate_plot(findings, metric) for metric in metrics[:2]]


def _rate_plot(findings: Findings, metric: str) -> RatePlot:
    both = [each for each in findings.methods if {metric, "bits_per_pixel"} <= set(each.summary)]
    points = {each.name: (each.summary["bits_per_pixel"].value, each.summary[metric].value) for each in both}
    lines = list(_lines(findings, metric, points))
    rates = [rate for rate, _ in itertools.chain(points.values(), *(line.points for line in lines))]
    values = [value for line in lines for _, value in line.points]
    for entry in (each.summary[metric] for each in both):
        values += [end for end in (entry.value, entry.low, entry.high) if end is not None]
    chart = Chart(592, 380, Axis.around(rates, 58, 464, log=True), Axis.around(values, 328, 16))

    def label(name: str, point: tuple[float, float], text: str, gap: int = 0) -> Label:
        return Label(chart.across(point[0]) + gap, chart.up(point[1]), text, findings.colour(name))

    ends = {line.name: (line.points[-1], 8 if line.settings else 11) for line in sorted(lines, key=_end)}
    labels, budgets = [], []
    for name, held in findings.series.items():
        known = [each for each in held if each.name in points]
        if name in ends:
            labels.append(label(name, ends[name][0], name, ends[name][1]))
        elif len(known) == 1:
            labels.append(label(name, points[known[0].name], known[0].name, 11))
        if len(known) > 1:
            budgets += [label(name, points[each.name], _number(each.budget)) for each in known]
    spread = _spread(labels, chart.up.end)
    marks = [(chart.across(rate), chart.up(value)) for rate, value in points.values()]
    means = {name: rate for name, (rate, _) in points.items()}
    return RatePlot(metric, chart, lines, means, spread, list(_beside(budgets, marks, spread)))


def _lines(findings: Findings, metric: str, means: dict[str, tuple[float, float]]) -> Iterator[Line]:
    """Of models budgets in tokens and those in decibels, not the fixed layout; of codecs their settings."""
    for name, held in findings.series.items():
        for unit in (" tokens", " dB"):
            found = [means[e.name] for e in held if e.name in means and (e.budget or "").endswith(unit)]
            if len(found) > 1:
                yield Line(name, sorted(found), aims=unit == " dB")
    for name, points in findings.record.curves.items():
        known = sorted((p.bits_per_pixel, p.values[metric]) for p in points if metric in p.values)
        if known:
            yield Line(name, known, settings=True)


def _end(line: Line) -> float:
    """Its most bits."""
    return line.points[-1][0]


def _number(budget: str | None) -> str:
    return (budget or "").removesuffix(" tokens")


def _beside(labels: list[Label], marks: list[tuple[float, float]], names: list[Label]) -> Iterator[Label]:
    """Labels of points moved to the first place near by that is free and not nearer to another point."""
    taken = [_box(name, 8.5) for name in names] + [(x - 7, y - 7, x + 7, y + 7) for x, y in marks]
    for label in labels:
        places = [
            label._replace(x=label.x + across, y=label.y + down, before=across < 0)
            for away in (14, 26, 38)
            for across, down in ((9, away), (-9, -away), (-9, away), (9, -away), (away, 0), (-away, 0))
        ]
        free = [place for place in places if not any(_meet(_box(place, 6.5), box) for box in taken)]
        own = [place for place in free if math.dist(place[:2], label[:2]) <= _nearest(place, marks)]
        chosen = (own or free or places)[0]
        taken.append(_box(chosen, 6.5))
        yield chosen


def _nearest(label: Label, marks: list[tuple[float, float]]) -> float:
    return min(math.dist(label[:2], mark) for mark in marks)


_Box = tuple[float, float, float, float]  # left, top, right and bottom


def _box(label: Label, sign: float) -> _Box:
    """About where a label lies, if its signs are so wide."""
    left = label.x - sign * len(label.text) if label.before else label.x
    return left, label.y - 6, left + sign * len(label.text), label.y + 6


def _meet(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _spread(labels: list[Label], top: float) -> list[Label]:
    """Labels short enough to stand beside curves, moved apart where they would lie on one another."""
    moved, floor = [], top - _LINE
    for label in sorted(labels, key=lambda label: label.y):
        floor = max(label.y, floor + _LINE)
        text = printable(label.text)
        text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "\u2026"
        moved.append(label._replace(y=floor, text=text))
    return moved


@dataclass(frozen=True)
class StripPlot:
    """Every clip as a dot, a row a method: how good, how even, and which clips fall out."""

    metric: str
    across: Axis  # in per cent of the page's width, so that text keeps its size
    rows: list[tuple[MethodFacts, list[tuple[int, float]]]]  # numbers of clips and their values


def strip_plot(findings: Findings) -> StripPlot | None:
    """The leading figure of every clip, None without any."""
    metric, rows = findings.lead, []
    if metric is None:
        return None
    for method in findings.methods:
        scores = ((place, findings.score(place, metric, method.name)) for place in findings.places)
        known = [(place, score) for place, score in scores if score is not None]
        if known:
            rows.append((method, known))
    across = Axis.around([value for _, row in rows for _, value in row], 2, 98, air=0.02)
    return StripPlot(metric, across, [(method, row[:: -(-len(row) // _MOST_DOTS)]) for method, row in rows])


@dataclass(frozen=True)
class RankPlot:
    """How often codes occur, by rank: both axes logarithmic."""

    chart: Chart
    points: list[tuple[int, int]]


def rank_plot(use: CodebookFacts) -> RankPlot:
    """Each of the leading codes, then how many codes occur at least 1, 2, 4... times."""
    counts, rank = {rank: each.count for rank, each in enumerate(use.top, 1)}, 0
    for step in reversed([each for each in use.histogram if each.low]):
        rank += step.codes
        # So many codes occur at least `low` times, and no others do.
        if rank > len(use.top):
            counts[rank] = step.low
    across = Axis(0.8, max(10, use.size * 1.1), 56, 406, log=True)
    up = Axis(0.8, max(10, use.top[0].count * 1.3), 232, 12, log=True)
    return RankPlot(Chart(420, 280, across, up), sorted(counts.items()))
