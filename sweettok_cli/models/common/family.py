"""What a family of tokenizers tells everybody else: one row of :mod:`sweettok_cli.models.registry`.

A row is cheap to import: networks, and Torch, are imported by its functions when they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweettok_cli.storage.model_folder import ModelFolder, ModelHeader
from sweettok_cli.tokens.layout import TokenizerSpec

if TYPE_CHECKING:
    import torch

    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.storage.checkpoint_file import Checkpoint
    from sweettok_cli.training.recipe import Recipe
    from sweettok_cli.training.task import Task


@dataclass(frozen=True)
class Conversion:
    """How a checkpoint is to be read, and what the model that it becomes is called.

    Attributes:
        kind: what the checkpoint is said to be, of :attr:`Family.kinds`.
        published_as: the published name whose settings it has; None to tell them from its tensors.
        name: of the model.
        file_name: the checkpoint's own name in the form of a model's, e.g. ``my-run-v1.1``.
        averaged: take the moving average of the weights.
        words: the pickled words of both codebooks, for families that have any.
        source: where the checkpoint came from, kept in ``config.json``.
    """

    kind: str
    published_as: str | None
    name: str
    file_name: str
    averaged: bool
    words: tuple[Path, Path] | None
    source: Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """A family of tokenizers.

    Attributes:
        names: under which model folders and token files know it.
        kinds: what its checkpoints are called when they are converted; the first begins its models' names.
        spec: the facts about the tokenizer in a model folder; weights are not read. Raises SweettokError, or
            TypeError or ValueError for a configuration that is none.
        load: the tokenizer in a model folder: with its facts, on a device, with the number format of its
            arithmetic and, where it has latents, the seed with which they are drawn.
        convert: writes a checkpoint that was trained elsewhere into a folder.
        settings: the settings that a published name spells out, for families whose names do; raises
            ValueError for a name that does not.
        words: the words behind the codes, ``{half: {"modifiers": [...], "heads": [...]}}``, for families
            whose codes are words.
        extra_files: what its folders hold beside configuration, weights and card.
        task: how it trains: by a recipe, from a model folder or, for a new network, a word prior; None where
            that is not written yet.
        presets: names of its network configurations, as recipes give them.
        average: what the names of a moving average's tensors begin with, where it lies among the weights.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    spec: Callable[[ModelFolder], TokenizerSpec]
    load: Callable[[ModelFolder, TokenizerSpec, torch.device, torch.dtype, int | None], Tokenizer]
    convert: Callable[[Checkpoint, Path, Conversion], ModelHeader]
    settings: Callable[[str], object] | None = None
    words: Callable[[ModelFolder], dict[str, Any]] | None = None
    extra_files: tuple[str, ...] = ()
    average: str | None = None
    task: Callable[[Recipe, Path | None, Path | None], Task] | None = None
    presets: tuple[str, ...] = ()
