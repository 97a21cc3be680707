from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_record import record_of

from sweettok_cli.evaluation.record import MethodFacts
from sweettok_cli.evaluation.report.charts import Axis, Line, RatePlot, rate_plots
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.text import tick_text

VALUES = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=5)


@given(VALUES, st.booleans(), st.integers(2, 9))
def test_values_and_ticks_lie_on_the_axis(values: list[float], log: bool, wanted: int) -> None:
    axis = Axis.around(values, 100, 20, log=log)
    for value in [*values, *axis.round_values(wanted)]:
        assert 20 <= axis(value) <= 100
    assert len(axis.round_values(wanted)) <= wanted
    assert axis(axis.low) == 100 and axis(axis.high) == 20


def test_ticks_are_round() -> None:
    assert Axis(21.3, 38.9, 0, 1).round_values(5) == [25, 30, 35]
    assert Axis(0.012, 0.4, 0, 1, log=True).round_values(5) == pytest.approx([0.02, 0.05, 0.1, 0.2])
    assert Axis(1, 100, 0, 2, log=True)(10) == 1


@pytest.mark.parametrize(
    ("value", "text"), [(0.05, "0.05"), (28, "28"), (-5, "\u22125"), (2000, "2k"), (12500, "12.5k")]
)
def test_ticks_are_written_short(value: float, text: str) -> None:
    assert tick_text(value) == text


def plot_of(points: dict[str, tuple[float, float]]) -> RatePlot:
    """PSNR against bits of a model ``m`` at budgets."""
    record = record_of(*(f"m {budget}" for budget in points))

    def placed(method: MethodFacts, budget: str) -> MethodFacts:
        rate, value = points[budget]
        psnr = dataclasses.replace(method.summary["psnr"], value=value, low=value - 1, high=value + 1)
        bits = dataclasses.replace(method.summary["bits_per_pixel"], value=rate)
        return dataclasses.replace(
            method, budget=budget, summary={**method.summary, "psnr": psnr, "bits_per_pixel": bits}
        )

    methods = tuple(map(placed, record.methods, points))
    return rate_plots(Findings(dataclasses.replace(record, methods=methods)))[0]


def test_tokens_and_qualities_are_lines_of_their_own_and_the_fixed_layout_is_on_neither() -> None:
    points = {
        "2560 tokens": (0.1, 35.0),
        "31 dB": (0.03, 31.0),
        "fixed": (0.05, 32.6),
        "640 tokens": (0.02, 30.2),
        "34 dB": (0.12, 33.7),
    }
    plot = plot_of(points)
    assert plot.lines == [
        Line("m", [points["640 tokens"], points["2560 tokens"]]),
        Line("m", [points["31 dB"], points["34 dB"]], aims=True),
    ]
    # The name stands where the model ends, not where its first line does.
    (name,) = plot.labels
    assert name.text == "m" and 0 < name.x - plot.chart.across(0.12) < 20
    assert plot_of({"640 tokens": (0.02, 30.2), "fixed": (0.05, 32.6)}).lines == []


def test_budgets_are_written_beside_their_own_points_and_not_on_one_another() -> None:
    """Points that lie nearly on one another, as 1280 tokens and the fixed layout do."""
    points = {
        "1280 tokens": (0.0497, 33.1),
        "fixed": (0.0497, 32.6),
        "1279 tokens": (0.0496, 33.2),
        "31 dB": (0.052, 32.9),
        "3000 tokens": (0.1, 36.0),
        "3300 tokens": (0.109, 36.0),
        "5120 tokens": (0.2, 38.0),
    }
    plot = plot_of(points)
    marks = [(plot.chart.across(rate), plot.chart.up(value)) for rate, value in points.values()]
    boxes = [
        (label.x - 7 * len(label.text) * label.before, label.y, 7 * len(label.text)) for label in plot.budgets
    ]
    for (x, y, width), (other, below, wide) in itertools.combinations(boxes, 2):
        assert abs(y - below) >= 10 or x + width <= other or other + wide <= x
    for label, mark in zip(plot.budgets, marks, strict=True):
        assert math.dist(label[:2], mark) == min(math.dist(label[:2], other) for other in marks) < 40
