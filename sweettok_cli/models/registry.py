"""The families of tokenizers: the one table. A new family is a folder beside this file, and a row here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.models.common.family import Family
from sweettok_cli.models.omnitokenizer.family import OMNITOKENIZER
from sweettok_cli.models.sweettok.family import SWEETTOK
from sweettok_cli.models.vidtok.family import VIDTOK
from sweettok_cli.storage.model_folder import CONFIG_FILE, ModelFolder
from sweettok_cli.tokens.arrays import ARRAYS
from sweettok_cli.tokens.fault import ENCODE_AGAIN
from sweettok_cli.tokens.layout import TokenizerSpec
from sweettok_cli.tokens.meta import TokenMeta

if TYPE_CHECKING:
    from sweettok_cli.training.recipe import Recipe
    from sweettok_cli.training.task import Task

ROWS: tuple[Family, ...] = (SWEETTOK, OMNITOKENIZER, VIDTOK)

#: Every row by each of its names.
FAMILIES: dict[str, Family] = {name: row for row in ROWS for name in row.names}


def family_of(model: ModelFolder) -> Family:
    """The family of a model.

    Raises:
        SweettokError: it is not known here.
    """
    family = FAMILIES.get(model.header.family)
    if family is None:
        raise SweettokError(
            f"{model.path} holds a model of an unknown family {brief(model.header.family)}; update sweettok."
        )
    return family


def family_of_tokens(meta: TokenMeta, name: str) -> Family:
    """The family whose tokens ``meta`` describes; ``name`` is what errors call them, usually their file.

    Raises:
        SweettokError: it is not known here, or its tokens lie in other arrays.
    """
    family = FAMILIES.get(meta.family)
    if family is None:
        raise SweettokError(
            f"{name} holds tokens of an unknown family {brief(meta.family)}, which is none of "
            f"{', '.join(FAMILIES)}; update sweettok."
        )
    if {name for name in meta.shapes if ARRAYS[name].version == 1} != family.names[meta.family]:
        raise SweettokError(
            f"{name} does not describe the arrays of the family {meta.family!r}; {ENCODE_AGAIN}."
        )
    return family


def read_spec(model: ModelFolder) -> TokenizerSpec:
    """The facts about the tokenizer in a model folder; its weights are not read.

    Raises:
        SweettokError: the folder is damaged or incomplete, or of a family that is not known here.
    """
    family = family_of(model)
    try:
        return family.spec(model)
    except ValueError as error:
        raise SweettokError(
            f"{model.path / CONFIG_FILE} describes no network of the family {model.header.family} ({error}); "
            "pull or convert the model again."
        ) from error


def task_of(recipe: Recipe, init: Path | None, prior: Path | None, teacher: Path | None = None) -> Task:
    """What a recipe trains: a network of the family that has its preset.

    Raises:
        SweettokError: the model to start from is of another family, or of one that is not trained here.

    Args:
        recipe: of the run.
        init: a model folder to start from.
        prior: folder of a word prior, for a new network whose codes are words.
        teacher: folder of the model that the recipe's ``teacher`` is.
    """
    row = _family_of_recipe(recipe)
    if init is not None and (own := family_of(ModelFolder(init))) is not row:
        if own.task is None or recipe.model:
            family = ModelFolder(init).header.family
            raise SweettokError(f"{init} holds a {family}, and the recipe is for another; {_fitting(own)}.")
        row = own
    assert row.task is not None
    return row.task(recipe, init, prior, teacher)


def _fitting(family: Family) -> str:
    """What to do to train a model of a family."""
    from sweettok_cli.training.recipe_file import load_recipe, recipe_names

    names = [name for name in recipe_names() if _knows(family, load_recipe(None, name).model.get("preset"))]
    known = family.task is not None and names
    return f"choose --config {', '.join(names)}" if known else "start from another model"


def _family_of_recipe(recipe: Recipe) -> Family:
    """The first family that is trained here and knows the recipe's preset; the first of all if none does."""
    trainable = [row for row in ROWS if row.task is not None]
    preset = recipe.model.get("preset")
    return next((row for row in trainable if _knows(row, preset)), trainable[0])


def _knows(family: Family, preset: object) -> bool:
    """Whether a preset of a recipe is one of a family's, or a published name that spells its settings out."""
    if family.settings is None or not isinstance(preset, str) or preset in family.presets:
        return preset in family.presets
    try:
        family.settings(preset)
    except ValueError:
        return False
    return True
