"""VidTok's model folders."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from sweettok_cli.models.common.settings import read_settings_of
from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.storage.model_folder import ModelFolder, ModelHeader, write_model

if TYPE_CHECKING:
    from sweettok_cli.models.vidtok.network import VidTok

FAMILIES = ("vidtok-fsq", "vidtok-vq", "vidtok-kl")


def family_name(config: VidTokConfig) -> str:
    """The name of :data:`FAMILIES` that folders of such a network go by."""
    return f"vidtok-{config.regularizer}"


def read_config(model: ModelFolder) -> VidTokConfig:
    """The network's configuration.

    Raises:
        SweettokError: another family's model, or no configuration of a VidTok.
    """
    return read_settings_of(model, VidTokConfig, FAMILIES, family_name, "a VidTok")


def read_network(model: ModelFolder) -> VidTok:
    """The network with its weights, float32, on the CPU and in training mode.

    Raises:
        SweettokError: as :func:`read_config`; or the weights are damaged or do not fit.
    """
    from sweettok_cli.models.common.network import fill
    from sweettok_cli.models.vidtok.network import VidTok

    config = read_config(model)
    return fill(lambda: VidTok(config), model.state(), model.path)


def save_network(folder: Path, network: VidTok, name: str) -> ModelHeader:
    """Write a network as a model folder of this name."""
    config = network.config
    return write_model(
        folder,
        name=name,
        family=family_name(config),
        config=dataclasses.asdict(config),
        state=network.state_dict(),
    )
