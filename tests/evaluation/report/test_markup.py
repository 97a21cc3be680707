from __future__ import annotations

import html
import json

from hypothesis import given
from hypothesis import strategies as st

from sweettok_cli.evaluation.report.markup import blob, escape, number, printable, signed, span

ANY_TEXT = st.text(st.characters(codec=None, categories=None))


def test_bytes_that_are_no_text_and_control_characters_are_spelled_out() -> None:
    assert printable("caf\udce9\x00\n.mp4") == "caf\\xe9\\x00\\x0a.mp4"
    assert printable("\ud800\uffff") == "\\ud800\\uffff"
    assert printable("Grüße 日本 🎬") == "Grüße 日本 🎬"


@given(ANY_TEXT)
def test_escaped_text_is_read_back_as_what_is_printed(text: str) -> None:
    escaped = escape(text)
    assert not set(escaped) & set("<>\"'")
    assert html.unescape(escaped) == printable(text)
    escaped.encode("utf-8")


@given(st.dictionaries(ANY_TEXT, st.lists(ANY_TEXT | st.integers() | st.none())))
def test_a_blob_cannot_end_its_script(data: dict[str, list[object]]) -> None:
    text = blob(data)
    assert "<" not in text and ">" not in text
    text.encode("utf-8")
    read = json.loads(text)
    assert [len(each) for each in read.values()] == [
        len(each) for each in {printable(key): value for key, value in data.items()}.values()
    ]


def test_figures() -> None:
    assert number(-1234.5678, 2) == "\u22121,234.57"
    assert number(None, 2) == "\u2013"
    assert (signed(1, 1), signed(-1, 1)) == ("+1.0", "\u22121.0")
    assert span(1, None, 1) == "" and span(1, 2, 1) == "1.0 to 2.0"
