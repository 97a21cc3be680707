"""The tokenizer whose tokens a generator has learned: what makes videos of those that it draws."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.sequences.vocabulary import Vocabulary
from sweettok_cli.storage.model_folder import ModelFolder, is_model_folder
from sweettok_cli.zoo.catalogue import named_model
from sweettok_cli.zoo.load import load
from sweettok_cli.zoo.local import find_named

if TYPE_CHECKING:
    import torch


def tokenizer_of(
    vocabulary: Vocabulary,
    named: str | Path | None = None,
    device: str | torch.device = "auto",
    on_progress: Callable[[str], None] | None = None,
    given_as: str = "tokenizer",
) -> Tokenizer:
    """The tokenizer behind a vocabulary.

    Args:
        vocabulary: of a generator.
        named: name or folder of the tokenizer; by default it is found by the name that the tokens had.
        device: as :func:`~sweettok_cli.zoo.load.load`, like ``on_progress``.
        given_as: the option that names it.

    Raises:
        SweettokError: it is not to be had, or has other weights.
    """
    name, how = vocabulary.model, option(given_as, "FOLDER")
    if named is None and find_named(name) is None and named_model(name) is None:
        raise SweettokError(
            f"The generator has learned tokens of {name}, which is no shipped or pulled model; give its "
            f"folder with {how}."
        )
    found = load(named or find_named(name) or name, device, on_progress=on_progress)
    if found.spec.weights_sha256 != vocabulary.weights_sha256:
        raise SweettokError(
            f"The generator has learned tokens of {name} with weights {vocabulary.weights_sha256[:12]}, and "
            f"{found.spec.name} has {found.spec.weights_sha256[:12]}; give the tokenizer that made them with "
            f"{how}, or train a generator on tokens of this one."
        )
    return found


def at_hand(vocabulary: Vocabulary, folder: Path | None = None) -> Path | None:
    """The folder of the tokenizer behind a vocabulary, if that is here: ``folder``, or found by its name."""
    found = folder or find_named(vocabulary.model)
    if found is None or not is_model_folder(found):
        return None
    return found if ModelFolder(found).header.weights_sha256 == vocabulary.weights_sha256 else None
