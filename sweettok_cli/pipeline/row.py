"""One line of a data set's manifest: a token file, what it is made of and holds, or why there is none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple


@dataclass(frozen=True)
class Row:
    """One token file, made or not.

    Attributes:
        source: what it is made of, as it was named; of a member of a tar file, ``TAR/MEMBER``.
        output: the token file, below the data set's folder.
        status: ``done`` or ``failed``; ``begun`` only while it is made; ``gone`` where it has failed and its
            source is no longer there.
        hash: SHA-256 of what the source holds; empty where that could not be read.
        key: SHA-256 of that, of the model's weights and of the options: what the tokens depend on.
        frames: of the source; 0 where they are not known.
        width: of its frames, in pixels.
        height: of its frames, in pixels.
        rate: frames a second.
        clips: of the tokens.
        tokens: of all clips.
        bits: true bits of all clips.
        file_bytes: of the token file.
        model: that encoded.
        weights: SHA-256 of its weights.
        options: those that tokens depend on, where they are not the usual ones.
        lost: what was missing of the source, in words.
        error: why there is no token file, in a sentence.
        seconds: that reading, the model and writing took.
        source_bytes: of the source.
        mtime_ns: when it was changed last.
        inode: its number in the file system.
        at: when the line was written, in seconds since 1970.
    """

    source: str
    output: str
    status: Literal["done", "failed", "begun", "gone"]
    hash: str = ""
    key: str = ""
    frames: int = 0
    width: int = 0
    height: int = 0
    rate: float = 0.0
    clips: int = 0
    tokens: int = 0
    bits: float = 0.0
    file_bytes: int = 0
    model: str = ""
    weights: str = ""
    options: str = ""
    lost: str = ""
    error: str = ""
    seconds: float = 0.0
    source_bytes: int = 0
    mtime_ns: int = 0
    inode: int = 0
    at: float = 0.0

    def line(self) -> bytes:
        """As a manifest has it: ASCII, without what is empty."""
        kept = {name: value for name, value in vars(self).items() if value not in ("", 0)}
        return json.dumps(kept).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Row | None:
        """What a line says; None where it is no row, or not all of one."""
        try:
            values = json.loads(line)
            row = cls(**values)
        except (ValueError, TypeError, RecursionError):
            return None
        right = all(isinstance(getattr(row, name), kinds) for name, kinds in _KINDS.items())
        return row if right and row.status in _STATUSES and row.output else None


class Head(NamedTuple):
    """Of a row, what is looked at in all of a million lines."""

    output: str
    status: str
    key: str
    at: float

    @classmethod
    def read(cls, line: bytes) -> Head | None:
        """What a line says; None where it is no row's, or not all of one."""
        try:
            values = json.loads(line)
            head = cls(values["output"], values["status"], values.get("key", ""), values.get("at", 0.0))
        except (ValueError, TypeError, LookupError, RecursionError, AttributeError):
            return None
        right = (
            isinstance(head.output, str) and isinstance(head.key, str) and isinstance(head.at, int | float)
        )
        return head if right and head.output and head.status in _STATUSES else None


_STATUSES = ("done", "failed", "begun", "gone")
_KINDS: dict[str, tuple[type, ...]] = {
    each.name: {"int": (int,), "float": (int, float)}.get(str(each.type), (str,)) for each in fields(Row)
}


def key_of(content: str, weights: str, options: str) -> str:
    """What tokens depend on, in one SHA-256."""
    return hashlib.sha256("\n".join((content, weights, options)).encode()).hexdigest()


def spelt_options(options: Mapping[str, Any]) -> str:
    """Options that are not the usual ones, which are false or spelt as nothing, in one line."""
    spelt = {name: str(value) for name, value in options.items() if value}
    return ", ".join(f"{name}={value}" for name, value in sorted(spelt.items()) if value)
