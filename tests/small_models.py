"""A small model of every family with random weights, stored as model folders."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from small_network import small_network, word_prior
from torch import Tensor, nn

from sweettok_cli.models.sweettok.folder import save_model_folder
from sweettok_cli.storage.model_folder import write_model

OMNI = {"dim": 32, "heads": 2, "head_dim": 16, "encoder_temporal": "t", "decoder_temporal": "t", "codes": 64}
VIDTOK = {"width": 8, "multipliers": (1, 1, 2, 2), "encoder_blocks": 1, "decoder_blocks": 1}
VIDTOKS = {
    "vidtok-fsq-causal": {"regularizer": "fsq", "channels": 4},
    "vidtok-fsq-causal-v1.1": {"regularizer": "fsq", "channels": 5, "version": "1.1"},
    "vidtok-fsq-large": {"regularizer": "fsq", "channels": 6, "causal": False},
    "vidtok-kl-causal": {"regularizer": "kl", "channels": 4},
    "vidtok-kl-v1.1": {"regularizer": "kl", "channels": 8, "version": "1.1"},
    "vidtok-kl-noncausal": {"regularizer": "kl", "channels": 4, "causal": False},
}


def save_sweettok(folder: Path) -> None:
    save_model_folder(folder, small_network(), word_prior())


def save_omnitokenizer(folder: Path, regularizer: str = "vq") -> None:
    from sweettok_cli.models.omnitokenizer.config import OmniConfig
    from sweettok_cli.models.omnitokenizer.folder import family_name
    from sweettok_cli.models.omnitokenizer.network import OmniTokenizer

    config = OmniConfig(**OMNI, regularizer=regularizer)  # type: ignore[arg-type]
    save_network(folder, family_name(config), OmniTokenizer(config), dataclasses.asdict(config))


def save_vidtok(
    folder: Path, kind: str, name: str | None = None, source: dict[str, Any] | None = None
) -> None:
    from sweettok_cli.models.vidtok.config import VidTokConfig
    from sweettok_cli.models.vidtok.network import VidTok

    config = VidTokConfig(**VIDTOK, **VIDTOKS[kind])  # type: ignore[arg-type]
    save_network(
        folder, f"vidtok-{config.regularizer}", VidTok(config), dataclasses.asdict(config), name, source
    )


def save_network(
    folder: Path,
    family: str,
    network: nn.Module,
    config: dict[str, Any],
    name: str | None = None,
    source: dict[str, Any] | None = None,
) -> None:
    write_model(
        folder,
        name=name or folder.name,
        family=family,
        config=config,
        state=lively_state(network),
        source=source,
    )


def lively_state(network: nn.Module) -> dict[str, Tensor]:
    """The state of a network whose matrices are drawn anew, large enough for its codes to differ."""
    generator = torch.Generator().manual_seed(3)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point() and tensor.ndim > 1:
            fan = tensor[0].numel() ** 0.5
            tensor.copy_(1.5 * torch.randn(tensor.shape, generator=generator) / fan)
    return network.state_dict()


SAVE: dict[str, Callable[[Path], None]] = {
    "sweettok": save_sweettok,
    "omnitokenizer": save_omnitokenizer,
    "omnitokenizer-vae": lambda folder: save_omnitokenizer(folder, "kl"),
    **{name: lambda folder, name=name: save_vidtok(folder, name) for name in VIDTOKS},  # type: ignore[misc]
}
#: Those whose tokens are numbers, and not indices.
CONTINUOUS = {name for name in SAVE if "-kl" in name or "-vae" in name}
