"""OmniTokenizer's model folders."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweettok_cli.models.common.settings import read_settings_of
from sweettok_cli.storage.model_folder import ModelFolder, ModelHeader, write_model

if TYPE_CHECKING:
    from sweettok_cli.models.omnitokenizer.config import OmniConfig
    from sweettok_cli.models.omnitokenizer.network import OmniTokenizer

#: Of networks with codes, and of continuous ones.
FAMILIES = CODED, CONTINUOUS = ("omnitokenizer", "omnitokenizer-vae")


def family_name(config: OmniConfig) -> str:
    """The name of :data:`FAMILIES` that folders of such a network go by."""
    return CONTINUOUS if config.regularizer == "kl" else CODED


def read_config(model: ModelFolder) -> OmniConfig:
    """The network's configuration.

    Raises:
        SweettokError: another family's model, or no configuration of an OmniTokenizer.
    """
    from sweettok_cli.models.omnitokenizer.config import OmniConfig

    return read_settings_of(model, OmniConfig, FAMILIES, family_name, "an OmniTokenizer")


def read_network(model: ModelFolder) -> OmniTokenizer:
    """The network with its weights, float32, on the CPU and in training mode.

    Raises:
        SweettokError: as :func:`read_config`; or the weights are damaged or do not fit.
    """
    from sweettok_cli.models.common.network import fill
    from sweettok_cli.models.omnitokenizer.network import OmniTokenizer

    config = read_config(model)
    return fill(lambda: OmniTokenizer(config), model.state(), model.path)


def save_network(
    folder: Path, network: OmniTokenizer, name: str, source: Mapping[str, Any] | None = None
) -> ModelHeader:
    """Write a network as a model folder of this name; ``source`` is what it was made from."""
    config = network.config
    return write_model(
        folder,
        name=name,
        family=family_name(config),
        config=dataclasses.asdict(config),
        state=network.state_dict(),
        source=source,
    )
