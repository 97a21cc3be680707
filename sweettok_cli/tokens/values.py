"""Values of a token file's description: each as it is, or :class:`TokenFault` where it is impossible."""

from __future__ import annotations

import re
from fractions import Fraction

from sweettok_cli.tokens.fault import TokenFault


def text(name: str, value: object, least: int = 0) -> str:
    """A string of ``least`` to 4096 characters."""
    if not isinstance(value, str) or not least <= len(value) <= 4096:
        raise TokenFault(f"has no usable {name}")
    return value


def whole(name: str, value: object, least: int, most: int) -> int:
    """A whole number from ``least`` to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise TokenFault(f"has an impossible value for {name}: {repr(value)[:40]}")
    return value


def ratio(name: str, value: object, least: Fraction | int = 0, most: int = 1 << 31) -> Fraction:
    """A positive fraction of two numbers below 2 to the 31st, from ``least`` to ``most``."""
    digits = isinstance(value, Fraction) and max(value.numerator, value.denominator) < 1 << 31
    if not isinstance(value, Fraction) or not digits or not value > 0 or not least <= value <= most:
        raise TokenFault(f"has an impossible value for {name}: {str(value)[:40]}")
    return value


def spelt_ratio(value: Fraction) -> str:
    """A fraction as descriptions spell it; :func:`parse_ratio` reads it."""
    return f"{value.numerator}/{value.denominator}"


def parse_ratio(name: str, value: object) -> Fraction:
    """The fraction behind ``"30000/1001"``."""
    match = re.fullmatch(r"([0-9]{1,19})/([0-9]{1,19})", value, re.ASCII) if isinstance(value, str) else None
    if match is None or int(match[2]) == 0:
        raise TokenFault(f"has an impossible value for {name}: {str(value)[:40]!r}")
    return Fraction(int(match[1]), int(match[2]))


def table(name: str, value: object, most: int = 8) -> dict[str, tuple[int, ...]]:
    """An object of lists of up to ``most`` values; what is in them is checked elsewhere."""
    if not isinstance(value, dict) or not all(
        isinstance(row, list) and len(row) <= most for row in value.values()
    ):
        raise TokenFault(f"has no usable {name}")
    return {key: tuple(row) for key, row in value.items()}
