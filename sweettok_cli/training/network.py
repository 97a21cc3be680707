"""The network a run trains: made new from a word prior, or read from a model folder; and exported as one."""

from __future__ import annotations

import dataclasses
import difflib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sweettok_cli.codebook.prior import WordPrior, load_prior
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.config import SMALL, SweetTokConfig
from sweettok_cli.models.sweettok.folder import (
    read_config,
    read_model,
    read_prior,
    save_model_folder,
)
from sweettok_cli.models.sweettok.network import SweetTok, SweetTokOutput
from sweettok_cli.models.sweettok.quantizer import LanguagePrior, WordGraphTensors
from sweettok_cli.storage.model_folder import ModelFolder, read_folder
from sweettok_cli.training.recipe import Recipe

PRESETS: dict[str, SweetTokConfig] = {"compact": SweetTokConfig(), "sweettok-small": SMALL}


@dataclass(frozen=True)
class Network:
    """The module and what describes it besides its weights."""

    model: SweetTok
    config: SweetTokConfig
    prior: WordPrior


def make_network(recipe: Recipe, init: Path | None, prior: Path | None) -> Network:
    """Build the network in training mode on the CPU.

    Args:
        recipe: ``model.preset`` and its overrides say which network; with ``init`` the folder says it.
        init: a model folder whose configuration, words and weights to start from.
        prior: folder of a word prior, for a network that starts from scratch.

    Raises:
        SweettokError: no words are given for a new network, or the recipe names no known network.
    """
    if init is not None:
        stored = read_folder(init, read_model)
        return Network(stored.network, stored.config, stored.words)
    if prior is None:
        raise SweettokError(
            "A new network needs words: give --prior FOLDER (sweettok codebook build), or --init MODEL."
        )
    config, words = make_config(recipe.model), load_prior(prior)
    return Network(SweetTok(config, language_prior(words)), config, words)


def resume_network(folder: Path, state: Mapping[str, Tensor]) -> Network:
    """The network of a checkpoint's ``state``; only its description comes from the exported model.

    The exported weights need not be those of the checkpoint: a run can end between the two, or while files of
    the model are being replaced.

    Raises:
        SweettokError: the description is missing or damaged.
    """
    model = ModelFolder(folder)
    config, words = read_config(model), read_prior(model, state)
    return Network(SweetTok(config, language_prior(words)), config, words)


def make_config(table: dict[str, Any]) -> SweetTokConfig:
    """The configuration named by ``preset`` with the other keys put in its place.

    Raises:
        SweettokError: unknown preset or key, or values that do not fit together.
    """
    overrides = dict(table)
    preset = overrides.pop("preset", "compact")
    if preset not in PRESETS:
        raise SweettokError(
            f"There is no network {preset!r}; set model.preset to one of {', '.join(PRESETS)}."
        )
    known = {field.name for field in dataclasses.fields(SweetTokConfig)}
    for key in overrides:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=3, cutoff=0.5) or sorted(known)
            raise SweettokError(f"The network has no setting model.{key}; did you mean {', '.join(near)}?")
    try:
        return dataclasses.replace(PRESETS[preset], **overrides)
    except (ValueError, TypeError) as error:
        raise SweettokError(
            f"The settings below model do not make a network ({error}); correct the recipe."
        ) from error


def language_prior(words: WordPrior) -> LanguagePrior:
    """The word graphs as the network takes them."""
    spatial, temporal = (
        WordGraphTensors(torch.from_numpy(graph.vectors), torch.from_numpy(graph.edges), len(graph.modifiers))
        for graph in (words.spatial, words.temporal)
    )
    return LanguagePrior(spatial, temporal)


def export_model(folder: Path, network: Network, weights: nn.Module, name: str) -> None:
    """Write ``weights`` as a model folder of this name; an older one stays until the new one is whole.

    The files are written beside ``folder`` and moved into it one after the other, at once.
    """
    beside = folder.parent / f".{folder.name}.partial"
    shutil.rmtree(beside, ignore_errors=True)  # of a run that was killed
    try:
        made = beside / folder.name
        save_model_folder(made, weights, network.prior, name)
        if not folder.exists():
            made.rename(folder)
            return
        for file in sorted(made.iterdir()):
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def codebook_sizes(model: SweetTok) -> dict[str, list[int]]:
    """Words behind each index column of the spatial and the temporal tokens."""
    return {"spatial": list(model.quantize_spatial.sizes), "temporal": list(model.quantize_temporal.sizes)}


def token_ids(output: SweetTokOutput) -> dict[str, Tensor]:
    """Ids of one pass by half, int [b, n, 3]."""
    return {"spatial": output.spatial.ids, "temporal": output.temporal.ids}


def quantizer_losses(output: SweetTokOutput) -> dict[str, Tensor]:
    """The quantizers' weighted terms by name."""
    return {
        "spatial_encoder": output.spatial.commitment_loss,
        "spatial_codebook": output.spatial.codebook_loss,
        "temporal_encoder": output.temporal.commitment_loss,
        "temporal_codebook": output.temporal.codebook_loss,
    }
