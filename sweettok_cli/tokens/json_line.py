"""The JSON of a description: one object in one line, which may name files whose names are no text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sweettok_cli.tokens.fault import TokenFault


def write_line(record: Mapping[str, Any]) -> str:
    """A record as JSON that UTF-8 can hold, in which names stand as they are if they are text."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    # A source's name need not be text; what is none is spelt in ASCII, and comes back.
    return text if _is_text(text) else json.dumps(record, allow_nan=False)


def read_line(text: str) -> Any:
    """What :func:`write_line` wrote, or whatever else the JSON holds; raises :class:`TokenFault` of none."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise TokenFault("has a description that is not JSON") from error


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
