"""Recipes as files: read from TOML, changed by ``--set``, held against that of the run so far."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

from sweettok_cli.data.runs import RECIPE_FILE
from sweettok_cli.errors import SweettokError
from sweettok_cli.files import open_regular
from sweettok_cli.training.recipe import Recipe, check_recipe
from sweettok_cli.training.recipe_values import assign, parse, typed

_SHIPPED = resources.files("sweettok_cli.training") / "recipes"
_ALL_KEYS = "sweettok train --keys lists all that there are"


def recipe_names() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(e.name.removesuffix(".toml") for e in _SHIPPED.iterdir() if e.name.endswith(".toml"))


def recipe_words(name: str) -> str:
    """What a shipped recipe says of itself in the comment that it begins with."""
    lines = _read(name)[0].splitlines()
    head = lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))]
    return " ".join(line.removeprefix("#").strip() for line in head)


def load_recipe(stage: int | None, config: str | None, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply ``--set`` to it.

    Args:
        stage: the stage asked for; must agree with the file's. Without ``config`` it picks
            ``sweettok-small-stage<n>``.
        config: path of a TOML file, or the name of a shipped recipe.
        settings: ``key=value`` pairs, values in TOML's notation (a bare word is a string);
            ``model.KEY=value`` reaches the network's configuration.

    Raises:
        SweettokError: no such recipe, not TOML, an unknown key (near ones are listed), a wrong value.
    """
    name = config if config is not None else f"sweettok-small-stage{stage or 2}"
    text, origin = _read(name)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, too
        how = f"correct it or name one of {_listed()}"
        raise SweettokError(f"{origin} is not a TOML file ({error}); {how}.") from error
    for setting in settings:
        key, mark, value = setting.partition("=")
        if not mark or not key.strip():
            how = "write for example --set lr=3e-4"
            raise SweettokError(f"--set {setting} is not of the form key=value; {how}.")
        assign(values, key.strip(), parse(value.strip()))
    stated = values.setdefault("stage", stage or 2)
    if stage is not None and stated != stage:
        raise SweettokError(
            f"{origin} is a recipe for stage {stated}, not {stage}; choose another --config or --stage."
        )
    return recipe_from(values, origin)


def recipe_from(values: dict[str, Any], origin: str) -> Recipe:
    """Build a checked :class:`Recipe` from plain values; ``origin`` names their source in errors."""
    hints = get_type_hints(Recipe)
    checked, usual = dict[str, Any](), Recipe()
    for key, value in values.items():
        if key not in hints:
            near = ", ".join(difflib.get_close_matches(key, hints, n=3, cutoff=0.5))
            how = f"did you mean {near}? sweettok train --keys lists all" if near else _ALL_KEYS
            raise SweettokError(f"{origin}: unknown key {key!r}; {how}.")
        checked[key] = typed(key, value, hints[key], getattr(usual, key), origin)
    recipe = Recipe(**checked)
    check_recipe(recipe, origin)
    return recipe


def resumed_with(folder: Path, recipe: Recipe) -> list[str]:
    """What differs from the recipe that the run in ``folder`` had so far, a sentence each.

    Raises:
        SweettokError: the network or the stage, which a checkpoint is of.
    """
    path = folder / RECIPE_FILE
    if not path.exists():
        return []
    before = load_recipe(None, str(path))
    for name in ("stage", "model"):
        if getattr(before, name) != getattr(recipe, name):
            raise SweettokError(
                f"The run in {folder} has {name} = {getattr(before, name)}, which --resume cannot change to "
                f"{getattr(recipe, name)}; start a new run with --init {folder / 'model'}."
            )
    changed = [
        f.name for f in dataclasses.fields(Recipe) if getattr(before, f.name) != getattr(recipe, f.name)
    ]
    return [f"{name}: {getattr(before, name)} -> {getattr(recipe, name)}" for name in changed]


def _read(name: str) -> tuple[str, str]:
    path = Path(name)
    if path.suffix == ".toml" or path.exists():
        if path.exists() and not path.is_file():
            raise SweettokError(f"The recipe {name} is no regular file; name a file or one of {_listed()}.")
        try:
            with open_regular(path) as stream:
                return stream.read().decode(), name
        except (OSError, UnicodeDecodeError) as error:
            raise SweettokError(
                f"Cannot read the recipe {name} ({error}); name a file or one of {_listed()}."
            ) from error
    if name not in recipe_names():
        raise SweettokError(f"There is no recipe {name!r}; name a .toml file or one of {_listed()}.")
    return (_SHIPPED / f"{name}.toml").read_text(encoding="utf-8"), name


def _listed() -> str:
    return ", ".join(recipe_names())
