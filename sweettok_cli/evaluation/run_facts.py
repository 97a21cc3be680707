"""How every record of an evaluation begins: what it is, and which command made it where and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from sweettok_cli.evaluation.json_object import JsonObject


@dataclass(frozen=True, kw_only=True)
class RunFacts(JsonObject):
    """A run; records inherit from this, and say their ``format``."""

    format: Annotated[str, "what this is."]
    version: Annotated[Literal[1], "of the format."] = 1
    sweettok: Annotated[str, "version of the program."]
    command: Annotated[str, "what was typed."]
    date: Annotated[str, "of the end of the run, ISO 8601."]
    machine: Annotated[Mapping[str, str], "that measured, and versions of the libraries."]
