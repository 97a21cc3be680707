"""Dataclasses as JSON objects and back, checked against their types.

Notes of a field stand in ``Annotated`` beside its type: marks, its key, and the sentence of the schema.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Literal, NamedTuple, Self, Union, get_args, get_origin, get_type_hints


class Mark(Enum):
    """How JSON holds a field, where that is not a key of its own."""

    SPREAD = auto()  # the field's keys stand among those of the object itself: scores by name
    OPTIONAL = auto()  # left out where it is None
    APART = auto()  # not in JSON; it has a default


class Key(NamedTuple):
    """What JSON calls a field, where it is not the attribute's name."""

    name: str


class JsonField(NamedTuple):
    """A field that JSON holds; one without ``init`` follows from the others."""

    name: str
    key: str
    type: Any
    notes: tuple[Any, ...]
    init: bool


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


@functools.cache
def json_fields(kind: type) -> list[JsonField]:
    """The fields of a dataclass that JSON holds."""
    found, hints = [], get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        notes = getattr(hint, "__metadata__", ())
        key = next((note.name for note in notes if isinstance(note, Key)), field.name)
        if Mark.APART not in notes:
            found.append(JsonField(field.name, key, get_args(hint)[0] if notes else hint, notes, field.init))
    return found


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        made: dict[str, Any] = {}
        for field in json_fields(value.__class__):
            plain = _plain(getattr(value, field.name))
            if Mark.SPREAD in field.notes:
                made |= plain
            elif plain is not None or Mark.OPTIONAL not in field.notes:
                made[field.key] = plain
        return made
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _read(kind: Any, value: Any, where: str) -> Any:
    """``value`` as ``kind``: a dataclass, a container, a union with None, a literal or a scalar."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any or (origin is Literal and value in inner):
        return value
    if origin in (Union, types.UnionType):
        return None if value is None else _read(inner[0], value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(inner[0], each, f"{where}/{place}") for place, each in enumerate(value))
    if origin is Mapping and isinstance(value, dict):
        return {key: _read(inner[1], each, f"{where}/{key}") for key, each in value.items()}
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _read_object(kind, value, where)
    if (kind is float and type(value) in (int, float)) or (kind in (int, str, bool) and type(value) is kind):
        return value
    raise ValueError(f"{where or '/'}: {value!r:.80} is no {getattr(kind, '__name__', kind)}")


def _read_object(kind: Any, value: dict[str, Any], where: str) -> Any:
    left, found = dict(value), {}
    for field in sorted(json_fields(kind), key=lambda field: Mark.SPREAD in field.notes):
        if Mark.SPREAD in field.notes:
            found[field.name], left = _read(field.type, left, where), {}
        elif field.key in left:
            read = _read(field.type, left.pop(field.key), f"{where}/{field.key}")
            if field.init:
                found[field.name] = read
        elif Mark.OPTIONAL not in field.notes:
            raise ValueError(f"{where}/{field.key} is missing")
    if left:
        raise ValueError(f"{where}/{next(iter(left))} is not known")
    return kind(**found)
