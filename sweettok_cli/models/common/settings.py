"""A network's settings as files state them: each has a kind and a range, checked before anything is built.

A configuration is a frozen dataclass whose fields are annotated with one of the rules below, as in
``dim: Annotated[int, Whole(1, 16_384)] = 512``. Its ``__post_init__`` calls :func:`check_settings` first.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar, get_type_hints

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.storage.model_folder import CONFIG_FILE, WRITE_AGAIN, ModelFolder

Settings = TypeVar("Settings")


class Rule(Protocol):
    """What a setting may be; ``str()`` says it in words."""

    def holds(self, value: object) -> bool:
        """Whether ``value`` is that."""


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    least: int
    most: int

    def holds(self, value: object) -> bool:
        """As :meth:`Rule.holds`; neither True nor 2.0 is one."""
        return type(value) is int and self.least <= value <= self.most

    def __str__(self) -> str:
        return f"a whole number from {self.least} to {self.most}"


@dataclass(frozen=True)
class Real:
    """A number that is finite."""

    least: float
    most: float

    def holds(self, value: object) -> bool:
        """As :meth:`Rule.holds`."""
        if type(value) is int:
            return self.least <= value <= self.most
        return type(value) is float and math.isfinite(value) and self.least <= value <= self.most

    def __str__(self) -> str:
        return f"a number from {self.least:g} to {self.most:g}"


@dataclass(frozen=True)
class Truth:
    """True or false."""

    def holds(self, value: object) -> bool:
        """As :meth:`Rule.holds`."""
        return type(value) is bool

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    def holds(self, value: object) -> bool:
        """As :meth:`Rule.holds`."""
        return isinstance(value, str) and value in self.words

    def __str__(self) -> str:
        return "one of " + ", ".join(map(repr, self.words))


@dataclass(frozen=True)
class Blocks:
    """A stack of layers, one letter each."""

    letters: str
    least: int = 1
    most: int = 256

    def holds(self, value: object) -> bool:
        """As :meth:`Rule.holds`."""
        return (
            isinstance(value, str) and self.least <= len(value) <= self.most and set(value) <= {*self.letters}
        )

    def __str__(self) -> str:
        return f"{self.least} to {self.most} of the letters {self.letters}"


@dataclass(frozen=True)
class Several:
    """A list of so many, each of one kind."""

    each: Rule
    least: int
    most: int

    def holds(self, value: object) -> bool:
        """As :meth:`Rule.holds`."""
        if not isinstance(value, list | tuple) or not self.least <= len(value) <= self.most:
            return False
        return all(map(self.each.holds, value))

    def __str__(self) -> str:
        count = str(self.least) if self.least == self.most else f"{self.least} to {self.most}"
        return f"a list of {count}, each {self.each}"


@dataclass(frozen=True)
class Absent:
    """Null, or what another rule says."""

    otherwise: Rule

    def holds(self, value: object) -> bool:
        """As :meth:`Rule.holds`."""
        return value is None or self.otherwise.holds(value)

    def __str__(self) -> str:
        return f"null or {self.otherwise}"


@cache
def _rules(kind: type) -> dict[str, Rule]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name].__metadata__[0] for field in dataclasses.fields(kind)}


def check_settings(settings: Any) -> None:
    """Hold every field of a configuration against its rule, and make lists tuples.

    Raises:
        ValueError: names the first key that is wrong, its value and what it may be.
    """
    kind: type = type(settings)
    for name, rule in _rules(kind).items():
        value = getattr(settings, name)
        if not rule.holds(value):
            raise ValueError(f"{name} = {brief(value)} is not {rule}")
        if isinstance(value, list):
            object.__setattr__(settings, name, tuple(value))


def check_known(kind: type, keys: Mapping[str, Any]) -> None:
    """Raise ValueError unless every key is a field of the configuration ``kind``; near ones are listed."""
    known = _rules(kind)
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(key[:40], known, n=3, cutoff=0.5) or sorted(known)
            raise ValueError(f"{brief(key)} is no setting; did you mean {', '.join(near)}?")


def read_settings(kind: type[Settings], table: Mapping[str, Any], file: Path) -> Settings:
    """The configuration in a ``table`` that was read from ``file``.

    Raises:
        SweettokError: names the file, the key, its value and what it may be.
    """
    try:
        check_known(kind, table)
        return kind(**table)
    except ValueError as error:
        raise SweettokError(f"{file} describes no network: {error}; {WRITE_AGAIN}.") from error


def read_settings_of(
    model: ModelFolder,
    kind: type[Settings],
    families: Collection[str],
    family_of: Callable[[Settings], str],
    what: str,
) -> Settings:
    """The configuration in a model folder of one of some families.

    Args:
        model: the folder.
        kind: of the configuration.
        families: the names that such folders go by.
        family_of: tells that name from a configuration.
        what: is wanted, for errors, as in "an OmniTokenizer".

    Raises:
        SweettokError: it holds another family's model, or no configuration of its own family.
    """
    family, file = model.header.family, model.path / CONFIG_FILE
    if family not in families:
        raise SweettokError(f"{model.path} holds a model of the family {family}; give {what}.")
    settings = read_settings(kind, model.header.config, file)
    if (described := family_of(settings)) != family:
        raise SweettokError(f"{file} describes a {described}, and not the {family} it names; {WRITE_AGAIN}.")
    return settings


def override_settings(base: Settings, overrides: Mapping[str, Any]) -> Settings:
    """A configuration with the keys of a recipe put in place of its own.

    Raises:
        SweettokError: an unknown key, or values that do not fit together.
    """
    try:
        check_known(type(base), overrides)
        return dataclasses.replace(base, **overrides)  # type: ignore[type-var]
    except ValueError as error:
        raise SweettokError(
            f"The settings below model do not make a network (model.{error}); correct the recipe."
        ) from error


def describe_settings(settings: Settings, presets: Mapping[str, Settings]) -> dict[str, Any]:
    """A table for recipes: the nearest of the ``presets``, and what differs from it."""
    found = dataclasses.asdict(settings)  # type: ignore[call-overload]
    tables = []
    for name, preset in presets.items():
        usual = dataclasses.asdict(preset)  # type: ignore[call-overload]
        changed = {key: value for key, value in found.items() if value != usual[key]}
        if None not in changed.values():  # recipes have no word for it
            tables.append({"preset": name, **changed})
    table = min(tables, key=len)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in table.items()}
