from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sweettok_cli.evaluation.report.text import FigureText, number
from sweettok_cli.evaluation.spelling import printable

ANY_TEXT = st.text(st.characters(codec=None, categories=None))


def test_bytes_that_are_no_text_and_control_characters_are_spelled_out() -> None:
    assert printable("caf\udce9\x00\n.mp4") == "caf\\xe9\\x00\\x0a.mp4"
    assert printable("\ud800\uffff") == "\\ud800\\uffff"
    assert printable("Grüße 日本 🎬") == "Grüße 日本 🎬"


@given(ANY_TEXT)
def test_any_text_becomes_one_that_a_page_can_hold(text: str) -> None:
    shown = printable(text)
    shown.encode("utf-8")
    assert printable(shown) == shown
    assert not any(ord(sign) < 0x20 for sign in shown)


def test_figures() -> None:
    assert number(-1234.5678, 2) == "\u22121,234.57"
    assert number(None, 2) == "\u2013"
    worse = FigureText(-1.5, 1, "dB", -2, 0.25)
    assert (worse.text, worse.with_unit, worse.amount) == ("\u22121.5", "\u22121.5\u00a0dB", "1.5\u00a0dB")
    assert (worse.signed, FigureText(1, 1).signed, FigureText(0, 1).signed) == (
        worse.with_unit,
        "+1.0",
        "0.0",
    )
    assert worse.interval == "\u22122.0 to 0.2" and worse.unsure
    assert FigureText(1, 1, low=1, high=2).interval == "1.0 to 2.0" and FigureText(1, 1).interval == ""
    assert not FigureText(1, 1, low=1, high=2).unsure and not FigureText(1, 1).unsure
