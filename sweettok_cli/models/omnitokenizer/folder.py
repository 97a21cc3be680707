"""OmniTokenizer's model folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.settings import read_settings
from sweettok_cli.storage.model_folder import CONFIG_FILE, ModelFolder

if TYPE_CHECKING:
    from sweettok_cli.models.omnitokenizer.network import OmniConfig, OmniTokenizer

FAMILY = "omnitokenizer"


def read_config(model: ModelFolder) -> OmniConfig:
    """The network's configuration.

    Raises:
        SweettokError: another family's model, or no configuration of an OmniTokenizer.
    """
    from sweettok_cli.models.omnitokenizer.network import OmniConfig

    if model.header.family != FAMILY:
        raise SweettokError(
            f"{model.path} holds a model of the family {model.header.family}; give an OmniTokenizer."
        )
    return read_settings(OmniConfig, model.header.config, model.path / CONFIG_FILE)


def read_network(model: ModelFolder) -> OmniTokenizer:
    """The network with its weights, float32, on the CPU and in training mode.

    Raises:
        SweettokError: as :func:`read_config`; or the weights are damaged or do not fit.
    """
    from sweettok_cli.models.common.network import fill
    from sweettok_cli.models.omnitokenizer.network import OmniTokenizer

    config = read_config(model)
    return fill(lambda: OmniTokenizer(config), model.state(), model.path)
