"""What commands print, without what changes by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from bench import Bench, Ran


def keep_command_json(bench: Bench, section: str, name: str, ran: Ran, dropped: Iterable[str] = ()) -> None:
    """What a command with ``--json`` printed, without what changes by itself; and what it said beside."""
    value = {"code": ran.code, "error": untimed(ran.err)}
    bench.keep_json(
        section,
        name,
        value | {"out": without(json.loads(ran.out), set(dropped)) if ran.out.strip() else None},
    )


def without(value: Any, dropped: set[str]) -> Any:
    """Plain values without the keys that are to be left out, at any depth."""
    if isinstance(value, dict):
        return {key: without(each, dropped) for key, each in value.items() if key not in dropped}
    return [without(each, dropped) for each in value] if isinstance(value, list) else value


def words_of(ran: Ran) -> str:
    """Code and everything said."""
    return f"exit {ran.code}\n{ran.out}---\n{untimed(ran.err)}"


def untimed(text: str) -> str:
    """Without the seconds that lines of progress end with."""
    text = re.sub(r"\d+\.\d\d s a step \(data \d+\.\d\d s\)", "... s a step", text)
    return re.sub(r", \d+\.\d s$", ", ... s", text, flags=re.M)
