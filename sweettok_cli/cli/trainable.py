"""What a recipe trains: a tokenizer of one of the families, or a generator over their tokens."""

from __future__ import annotations

from pathlib import Path

from sweettok_cli.generation.config import is_generator
from sweettok_cli.models import registry
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.task import Task


def task_of(recipe: Recipe, init: Path | None, prior: Path | None, teacher: Path | None = None) -> Task:
    """The task of a recipe, by the preset of its network.

    Args:
        recipe: of the run.
        init: a model folder to start from.
        prior: where the words of new networks come from: a word prior, or a model that has them.
        teacher: folder of the model that the recipe's ``teacher`` is.

    Raises:
        SweettokError: one of these is not for what the recipe trains.
    """
    if is_generator(recipe.model):
        from sweettok_cli.generation.task import GeneratorTask

        return GeneratorTask(recipe, init, prior, teacher)
    return registry.task_of(recipe, init, prior, teacher)
