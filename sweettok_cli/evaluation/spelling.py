"""Names as tables and pages can hold them: any file has one, and not all are text."""

from __future__ import annotations

import unicodedata

_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # the direction of what follows


def printable(text: str) -> str:
    """``text`` with what no file can hold spelled out: bytes that are no UTF-8, ends of lines, controls.

    A lone surrogate from U+DC80 to U+DCFF is how Python keeps such a byte.
    """
    return text if text.isprintable() else "".join(map(_spelled, text))


def _spelled(sign: str) -> str:
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if 0xD800 <= code <= 0xDFFF or sign in _TURNING or unicodedata.category(sign) in ("Cc", "Cn", "Zl", "Zp"):
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return sign
