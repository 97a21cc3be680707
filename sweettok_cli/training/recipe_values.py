"""Values of a recipe as they are written: read, put in their places, held against their types."""

from __future__ import annotations

import tomllib
from typing import Any

from sweettok_cli.errors import SweettokError

_HUGE = 1 << 64


def parse(text: str) -> Any:
    """A value in TOML's notation; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def assign(values: dict[str, Any], key: str, value: Any) -> None:
    """Set one key of a recipe's values, or one in a table of them.

    Raises:
        SweettokError: the key has no keys of its own.
    """
    group, dot, inner = key.partition(".")
    if not dot:
        values[key] = value
    elif group in ("model", "lr_factors"):
        if not isinstance(values.setdefault(group, {}), dict):
            raise SweettokError(f"{group} = {values[group]!r} has no keys; leave it out for --set {key}.")
        values[group][inner] = value
    else:
        how = f"write {inner} alone"
        raise SweettokError(f"--set {key}: only model and lr_factors have keys of their own; {how}.")


def typed(key: str, value: Any, hint: str, origin: str) -> Any:
    """``value`` as the kind the field wants; whole numbers serve as fractions, nothing else is converted."""
    if hint == str(type(value)):
        return value
    if hint == str(float) and type(value) is int and abs(value) < _HUGE:
        return float(value)
    if hint.startswith("dict") and isinstance(value, dict):
        inner = str(float) if hint.endswith(", float]") else ""
        return {k: typed(f"{key}.{k}", v, inner, origin) for k, v in value.items()} if inner else value
    if hint.startswith("list") and isinstance(value, list):
        inner = hint[len("list[") : -1]
        return [typed(key, one, str(float) if inner == "float" else inner, origin) for one in value]
    kind = hint.removeprefix("<class '").removesuffix("'>")
    raise SweettokError(f"{origin}: {key} = {brief(value)} is not of type {kind}; give a value of that type.")


def brief(value: Any) -> str:
    """A value in at most 60 characters."""
    try:
        text = repr(value)
    except ValueError:  # whole numbers of thousands of digits have none
        return "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}..."
