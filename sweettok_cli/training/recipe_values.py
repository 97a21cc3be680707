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


def typed(key: str, value: Any, hint: Any, usual: Any, origin: str) -> Any:
    """``value`` as the kind that ``hint`` is; whole numbers serve as fractions, nothing else is converted.

    ``usual`` is the key's default, ``origin`` names the source of the value in errors.

    Raises:
        SweettokError: it is of another kind; an example is given.
    """
    if hint == dict[str, float] and isinstance(value, dict):
        return {k: typed(f"{key}.{k}", v, float, 0.5, origin) for k, v in value.items()}
    try:
        return _converted(value, str(hint))
    except TypeError:
        kind = str(hint).removeprefix("<class '").removesuffix("'>").replace("typing.", "")
        raise SweettokError(
            f"{origin}: {key} = {brief(value)} is not of type {kind}; write for example "
            f"{_example(key, usual)}."
        ) from None


def brief(value: Any) -> str:
    """A value as errors show it."""
    try:
        text = repr(value)
    except ValueError:  # whole numbers of thousands of digits have none
        return "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _converted(value: Any, hint: str) -> Any:
    """As :func:`typed`; raises :class:`TypeError` where that cannot be."""
    if hint == str(type(value)):
        return value
    if hint == str(float) and type(value) is int and abs(value) < _HUGE:
        return float(value)
    if hint.startswith("dict") and isinstance(value, dict):
        return value
    if hint.startswith("list") and isinstance(value, list):
        inner = hint[len("list[") : -1]
        return [_converted(one, str(float) if inner == "float" else inner) for one in value]
    raise TypeError


def _example(key: str, usual: Any) -> str:
    """How to set a key: to its default, or one of its own keys where it has some."""
    inner = {"model": "model.preset=compact", "lr_factors": "lr_factors.encoder=0.5"}
    written = inner.get(key) or f"{key}={_toml(usual)}"
    return f'--set "{written}"' if " " in written else f"--set {written}"


def _toml(value: Any) -> str:
    """A value as ``--set`` takes it."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value) or '""'
