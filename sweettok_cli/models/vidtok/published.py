"""Brings checkpoints of VidTok (microsoft/VidTok) into a model folder: their tensor names are ours."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.family import Conversion
from sweettok_cli.models.common.network import lay_out
from sweettok_cli.models.common.published_names import NameTable, listed, misfits
from sweettok_cli.models.vidtok.config import AVERAGE, VidTokConfig
from sweettok_cli.models.vidtok.folder import family_name
from sweettok_cli.models.vidtok.network import VidTok
from sweettok_cli.storage.checkpoint_file import Checkpoint
from sweettok_cli.storage.model_folder import ModelHeader, write_model

_TABLE = NameTable(
    "VidTok",
    renamed=(),
    dropped=(
        (r"^model_ema\.", "moving average"),
        (r"^loss\.", "only trains"),
        (r"^regularization\.", "constants of the regulariser"),
    ),
)


def convert_vidtok(checkpoint: Checkpoint, folder: Path, conversion: Conversion) -> ModelHeader:
    """Write a VidTok checkpoint as a model, into an empty folder.

    Tensors do not tell the version: where no published name does, it is 1.1 if the kind or the file's name
    says so.

    Raises:
        SweettokError: names every tensor that is missing or unknown, ten of each and how many more.
    """
    state = dict(checkpoint.state)
    if conversion.averaged and not checkpoint.averaged:
        state = _averaged(state, checkpoint.path)
    kept = {key: tensor for key, tensor in state.items() if _TABLE.why_dropped(key) is None}
    if conversion.published_as is not None:
        config = VidTokConfig.from_name(conversion.published_as)
    else:
        newer = any(said.endswith("-v1.1") for said in (conversion.kind, conversion.file_name))
        config = told_from_tensors(kept, "1.1" if newer else "1.0", checkpoint.path)
    what = conversion.published_as or f"a VidTok network of version {config.version}"
    _check_fit(kept, config, checkpoint.path, what)
    return write_model(
        folder,
        name=conversion.name,
        family=family_name(config),
        config=dataclasses.asdict(config),
        state=kept,
        source={**conversion.source, **_TABLE.counts(state)},
    )


def told_from_tensors(state: Mapping[str, Tensor], version: str, path: Path) -> VidTokConfig:
    """The settings of a network, from the names and shapes of its tensors; they do not tell the version.

    Raises:
        SweettokError: it is no VidTok network.
    """

    def levels(pattern: str) -> tuple[int, ...]:
        found = (re.match(pattern, key) for key in state)
        return tuple(sorted({int(match[1]) for match in found if match}))

    causal = any(key.startswith("encoder.conv_in.conv.") for key in state)
    conv = ".conv.weight" if causal else ".weight"
    try:
        encoded = state[f"encoder.conv_out{conv}"].shape[0]
        channels = state[f"decoder.conv_in{conv}"].shape[1]
        width = state[f"encoder.conv_in{conv}"].shape[0]
        numbers = levels(r"encoder\.down\.(\d{1,4})\.block\.")
        widths = [state[f"encoder.down.{level}.block.0.conv2.weight"].shape[0] for level in numbers]
    except (KeyError, IndexError) as error:
        what = f"{path} is no VidTok network ({error.args[0]} is missing)"
        raise SweettokError(f"{what}; say what it is with --as.") from error
    if encoded not in (channels, 2 * channels) or not width or any(w % width for w in widths):
        ends = f"its encoder ends in {encoded} channels, its decoder starts with {channels}"
        raise SweettokError(f"{path} is no VidTok network: {ends}.")
    try:
        return VidTokConfig(
            regularizer="fsq" if encoded == channels else "kl",
            channels=channels,
            causal=causal,
            version=version,
            width=width,
            multipliers=tuple(w // width for w in widths),
            encoder_blocks=len(levels(r"encoder\.down\.0\.block\.(\d{1,4})\.")),
            decoder_blocks=len(levels(r"decoder\.up\.0\.block\.(\d{1,4})\.")),
            spatial_down=levels(r"encoder\.down\.(\d{1,4})\.downsample\."),
            spatial_up=levels(r"decoder\.up\.(\d{1,4})\.upsample\."),
            temporal_down=levels(r"encoder\.down_temporal\.(\d{1,4})\.downsample\."),
            temporal_up=levels(r"decoder\.up_temporal\.(\d{1,4})\.upsample\."),
        )
    except ValueError as error:
        raise SweettokError(f"{path} is no VidTok network that is known here ({error}).") from error


def _averaged(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The weights with their moving averages in their place."""
    found = {key.removeprefix(AVERAGE): tensor for key, tensor in state.items() if key.startswith(AVERAGE)}
    averaged = {}
    for key, tensor in state.items():
        average = tensor if _TABLE.why_dropped(key) else found.get(key.replace(".", ""))
        if average is None or average.shape != tensor.shape:
            raise SweettokError(f"{path} holds no moving average of {key}; leave out --ema.")
        averaged[key] = average
    return averaged


def _check_fit(state: Mapping[str, Tensor], config: VidTokConfig, path: Path, what: str) -> None:
    network = lay_out(lambda: VidTok(config))
    own = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    found = {key: list(tensor.shape) for key, tensor in state.items()}
    problems = misfits(missing=own.keys() - found.keys(), unknown=found.keys() - own.keys())
    shared = own.keys() & found.keys()
    if wrong := [f"{k} ({found[k]}, expected {own[k]})" for k in shared if found[k] != own[k]]:
        problems.append(f"of another shape {listed(wrong, 3)}")
    if problems:
        raise SweettokError(f"{path} is not {what}: {'; '.join(problems)}.")
