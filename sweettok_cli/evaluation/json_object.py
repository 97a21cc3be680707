"""Dataclasses as JSON objects and back, checked against their types."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

SPREAD: Mapping[str, Any] = {"spread": True}
"""Metadata of a field whose keys stand among those of the object itself: scores by name."""

OPTIONAL: Mapping[str, Any] = {"optional": True}
"""Metadata of a field that is left out where it is None."""

APART: Mapping[str, Any] = {"apart": True}
"""Metadata of a field that JSON does not hold; it has a default."""


def key(name: str) -> Mapping[str, Any]:
    """Metadata of a field that JSON calls otherwise."""
    return {"key": name}


class JsonObject:
    """What a dataclass inherits to be written as JSON: an object of its fields, in their order.

    Dataclasses inside it need not inherit.
    """

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        made: dict[str, Any] = _plain(self)
        return made

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The object that :meth:`to_json` made ``value`` of.

        Raises:
            ValueError: a key is missing, unknown or of another type; the sentence says where.
        """
        return _read(cls, value, "")


def key_of(field: dataclasses.Field[Any]) -> str:
    """What JSON calls a field."""
    return field.metadata.get("key", field.name)


@functools.cache
def typed_fields(kind: type) -> list[tuple[dataclasses.Field[Any], Any]]:
    """The fields of a dataclass that JSON holds, with their types."""
    hints = get_type_hints(kind)
    return [(f, hints[f.name]) for f in dataclasses.fields(kind) if not f.metadata.get("apart")]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        made: dict[str, Any] = {}
        for field, _ in typed_fields(value.__class__):
            plain = _plain(getattr(value, field.name))
            if field.metadata.get("spread"):
                made |= plain
            elif plain is not None or not field.metadata.get("optional"):
                made[key_of(field)] = plain
        return made
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _read(kind: Any, value: Any, where: str) -> Any:
    """``value`` as ``kind``: a dataclass, a container, a union, a literal or a scalar."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any or (origin is Literal and value in inner):
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return _read(next(each for each in inner if each is not type(None)), value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(inner[0], each, f"{where}/{place}") for place, each in enumerate(value))
    if origin is not None and issubclass(_class(origin), Mapping) and isinstance(value, dict):
        return {key: _read(inner[1], each, f"{where}/{key}") for key, each in value.items()}
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _object(typing.cast(type, kind), value, where)
    if (kind is float and type(value) in (int, float)) or (kind in (int, str, bool) and type(value) is kind):
        return value
    raise ValueError(f"{where or '/'}: {value!r:.80} is no {getattr(kind, '__name__', kind)}")


def _class(origin: Any) -> type:
    return origin if isinstance(origin, type) else object


def _object(kind: type, value: dict[str, Any], where: str) -> Any:
    left, found = dict(value), {}
    spread: tuple[str, Any] | None = None
    for field, hint in typed_fields(kind):
        key = key_of(field)
        if field.metadata.get("spread"):
            spread = field.name, hint
        elif key in left:
            read = _read(hint, left.pop(key), f"{where}/{key}")
            if field.init:  # others follow from the rest
                found[field.name] = read
        elif not field.metadata.get("optional"):
            raise ValueError(f"{where}/{key} is missing")
    if spread:
        found[spread[0]] = _read(spread[1], left, where)
    elif left:
        raise ValueError(f"{where}/{next(iter(left))} is not known")
    return kind(**found)
