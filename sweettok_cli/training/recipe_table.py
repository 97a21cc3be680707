"""Recipes as tables: every key, and every shipped recipe."""

from __future__ import annotations

import re
from typing import Any, get_type_hints

from sweettok_cli.training.recipe import Recipe, recipe_keys
from sweettok_cli.training.recipe_file import load_recipe, recipe_names, recipe_words


def describe_keys(recipe: Recipe) -> list[dict[str, Any]]:
    """A row a key: ``key``, ``type``, ``range``, ``default``, its ``value`` in ``recipe``, ``meaning``."""
    hints, usual = get_type_hints(Recipe), Recipe()
    return [
        {
            "key": name,
            "type": hints[name].__name__,
            "range": about.range,
            "default": getattr(usual, name),
            "value": getattr(recipe, name),
            "meaning": about.meaning,
        }
        for name, about in recipe_keys().items()
    ]


def describe_recipes() -> list[dict[str, Any]]:
    """A row a shipped recipe: ``recipe``, ``steps``, ``samples`` of each crop, ``teacher``, ``what``."""
    rows = []
    for name in recipe_names():
        recipe = load_recipe(None, name)
        rows.append(
            {
                "recipe": name,
                "steps": recipe.steps,
                "samples": [[int(samples), recipe.frames, int(side)] for side, samples, _ in recipe.crops],
                "teacher": recipe.teacher or None,
                "what": re.split(r"\.(?=\s)|:? \(", recipe_words(name).rstrip("."))[0],
            }
        )
    return rows
