from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweettok_cli.evaluation.report.charts import Axis
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
