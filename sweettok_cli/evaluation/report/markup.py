"""Text, figures and tables as HTML. Whatever comes from outside goes through :func:`escape`."""

from __future__ import annotations

import html
import json
import unicodedata
from collections.abc import Iterable
from typing import Any

MINUS, DASH = "\u2212", "\u2013"


def printable(text: object) -> str:
    """``text`` with what no page can hold spelled out: bytes that are no UTF-8, control characters.

    A lone surrogate from U+DC80 to U+DCFF is how Python keeps such a byte.
    """
    return "".join(_spelled(sign) for sign in str(text))


def _spelled(sign: str) -> str:
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if 0xD800 <= code <= 0xDFFF or unicodedata.category(sign) in ("Cc", "Cn"):
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return sign


def escape(text: object) -> str:
    """For the inside of elements and of quoted attributes."""
    return html.escape(printable(text))


def name(text: object) -> str:
    """A file's or model's name. It cannot turn round the text beside it, and may break anywhere."""
    return f'<bdi class="name">{escape(text)}</bdi>'


def code(text: object) -> str:
    """As typed."""
    return f"<code>{escape(text)}</code>"


def blob(data: Any) -> str:
    """JSON for the inside of a ``<script>``, which nothing in it can end."""
    text = json.dumps(_printable_values(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _printable_values(data: Any) -> Any:
    if isinstance(data, str):
        return printable(data)
    if isinstance(data, dict):
        return {printable(key): _printable_values(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_printable_values(value) for value in data]
    return data


def number(value: float | None, digits: int) -> str:
    """With a real minus sign; a dash where nothing was measured."""
    return DASH if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def signed(value: float, digits: int) -> str:
    """With its sign, also above zero."""
    return f"{'+' if value > 0 else ''}{number(value, digits)}"


def span(low: float | None, high: float | None, digits: int) -> str:
    """``27.10 to 29.55``; empty where there is no interval."""
    return "" if low is None or high is None else f"{number(low, digits)} to {number(high, digits)}"


def plural(count: int, noun: str) -> str:
    """``1 clip``, ``1,252 frames``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def bullets(items: Iterable[str], kind: str = "") -> str:
    """A list of pieces of HTML."""
    return f"<ul{_classed(kind)}>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def pairs(items: Iterable[tuple[str, str]]) -> str:
    """A description list of pieces of HTML."""
    rows = "".join(f"<div><dt>{term}</dt><dd>{text}</dd></div>" for term, text in items)
    return f"<dl>{rows}</dl>"


def more(summary: str, content: str, kind: str = "") -> str:
    """Content that is shown when asked for."""
    return f"<details{_classed(kind)}><summary>{summary}</summary>{content}</details>"


def scroller(label: str, content: str) -> str:
    """Room for what may be wider than the window; a keyboard can move it."""
    return f'<div class="scroller" tabindex="0" role="region" aria-label="{escape(label)}">{content}</div>'


def _classed(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
