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

    from sweettok_cli.codebook.prior import WordPrior
    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.storage.checkpoint_file import Checkpoint
    from sweettok_cli.training.recipe import Recipe
    from sweettok_cli.training.task import Task


@dataclass(frozen=True)
class Conversion:
    """How a checkpoint is to be read, and what the model that it becomes is called."""

    kind: str  # what the checkpoint is said to be, of ``Family.kinds``
    published_as: str | None  # the published name whose settings it has; None: told from its tensors
    name: str  # of the model
    file_name: str  # the checkpoint's own name in the form of a model's, e.g. ``my-run-v1.1``
    averaged: bool  # take the moving average of the weights
    words: tuple[Path, Path] | None  # the pickled words of both codebooks, for families that have any
    source: Mapping[str, Any]  # where the checkpoint came from, kept in ``config.json``


@dataclass(frozen=True)
class Family:
    """A family of tokenizers."""

    # Names under which model folders and token files know it, and the arrays that such token files hold; of
    # models with levels, those of version 1 of the file.
    names: Mapping[str, frozenset[str]]
    kinds: tuple[str, ...]  # of its checkpoints, when they are converted; the first begins its models' names
    # The facts about the tokenizer in a model folder; weights are not read. Raises SweettokError or, for a
    # configuration of another family, ValueError.
    spec: Callable[[ModelFolder], TokenizerSpec]
    # The tokenizer in a model folder: with its facts, on a device, with the number format of its arithmetic
    # and, where it has latents, the seed with which they are drawn.
    load: Callable[[ModelFolder, TokenizerSpec, torch.device, torch.dtype, int | None], Tokenizer]
    convert: Callable[[Checkpoint, Path, Conversion], ModelHeader]  # writes a checkpoint into a folder
    # The settings that a published name spells out, where names do; ValueError for one that does not.
    settings: Callable[[str], object] | None = None
    # The words behind the codes, ``{half: {"modifiers": [...], "heads": [...]}}``, where codes are words.
    words: Callable[[ModelFolder], dict[str, Any]] | None = None
    # The same words with their vectors, those of a language model; None for a model whose vectors are others.
    prior: Callable[[ModelFolder], WordPrior | None] | None = None
    extra_files: tuple[str, ...] = ()  # in its folders, beside configuration, weights and card
    average: str | None = None  # how names of a moving average's tensors begin, where it is among the weights
    # How it trains, where that is written: by a recipe, from a model folder or, new, from a word prior, and
    # with the folder of a teacher.
    task: Callable[[Recipe, Path | None, Path | None, Path | None], Task] | None = None
    presets: tuple[str, ...] = ()  # names of its network configurations, as recipes give them
