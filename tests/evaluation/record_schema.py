"""JSON Schemas of the records, made from their dataclasses.

``python tests/evaluation/record_schema.py`` writes ``docs/eval-record.schema.json`` and
``docs/generated-record.schema.json`` anew.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from sweettok_cli.evaluation.generated.record import GenerationRecord
from sweettok_cli.evaluation.json_object import Mark, json_fields
from sweettok_cli.evaluation.record import Record

_DOCS = Path(__file__).parents[2] / "docs"
FILE, GENERATED_FILE = _DOCS / "eval-record.schema.json", _DOCS / "generated-record.schema.json"
_SCALARS = {int: "integer", float: "number", str: "string", bool: "boolean"}


def record_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) that every record is valid under."""
    return _root(Record, "What sweettok eval --json prints")


def generated_schema() -> dict[str, Any]:
    """The same of records of generated videos."""
    return _root(GenerationRecord, "What sweettok eval --generated DIR --against DIR --json prints")


def _root(kind: type, title: str) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    root = _object(kind, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _object(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    summary, about = _words(kind)
    made: dict[str, Any] = {"description": summary, "type": "object", "properties": {}, "required": []}
    made["additionalProperties"] = False
    for field in json_fields(kind):
        schema = _schema(field.type, definitions)
        if Mark.SPREAD in field.notes:
            made["additionalProperties"] = schema["additionalProperties"]
            continue
        words = next((note for note in field.notes if isinstance(note, str)), about.get(field.name))
        described = {} if words is None else {"description": _plain(words)}
        made["properties"][field.key] = {**schema, **described}
        if Mark.OPTIONAL not in field.notes:
            made["required"].append(field.key)
    return made


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return {}
    if dataclasses.is_dataclass(kind):
        name = kind.__name__
        if name not in definitions:
            definitions[name] = _object(kind, definitions)
        return {"$ref": f"#/$defs/{name}"}
    if origin is Literal:
        return {"const": inner[0]} if len(inner) == 1 else {"enum": list(inner)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(each, definitions) for each in inner]}
    if kind is type(None):
        return {"type": "null"}
    if origin is tuple:
        return {"type": "array", "items": _schema(inner[0], definitions)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema(inner[1], definitions)}
    return {"type": _SCALARS[kind]}


def _words(kind: type) -> tuple[str, dict[str, str]]:
    """The first paragraph of a docstring, and what it says of each attribute."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        summary, _, attributes = (inspect.getdoc(each) or "").partition("Attributes:")
        found |= dict(re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE))
    return _plain(summary.split("\n\n")[0]), found


def _plain(text: str) -> str:
    """Without the marks of a docstring."""
    return re.sub(r":\w+:`[\w.]*?(\w+)`", r"\1", " ".join(text.split())).replace("``", "")


if __name__ == "__main__":
    for file, schema in ((FILE, record_schema()), (GENERATED_FILE, generated_schema())):
        file.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
