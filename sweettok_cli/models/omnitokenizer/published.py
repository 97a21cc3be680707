"""Checkpoints of the published OmniTokenizer: names of their tensors, and what becomes of them here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.models.common.family import Conversion
from sweettok_cli.models.common.network import lay_out
from sweettok_cli.models.common.published_names import (
    LAYERS,
    PATCH_EMBEDDING,
    UNUSED_IN_LAYERS,
    NameTable,
    pixel_decoder,
)
from sweettok_cli.models.omnitokenizer.config import OmniConfig
from sweettok_cli.models.omnitokenizer.folder import CODED, CONTINUOUS, family_name, save_network
from sweettok_cli.models.omnitokenizer.network import OmniTokenizer
from sweettok_cli.storage.checkpoint_file import Checkpoint
from sweettok_cli.storage.model_folder import ModelHeader

TABLE = NameTable(
    "OmniTokenizer",
    renamed=(
        *PATCH_EMBEDDING,
        (r"^encoder\.enc_(spatial|temporal)_transformer\.", r"encoder.\1."),
        *pixel_decoder("decoder", "decoder"),
        (r"^(pre|post)_vq_conv\.1\.", r"\1_vq."),
        *LAYERS,
    ),
    dropped=(
        *UNUSED_IN_LAYERS,
        (r"^codebook\.(N|z_avg|codebook_usage)$", "moving averages of the codebook's training"),
        (r"^(image|video)_discriminator\.", "only trains"),
        (r"^perceptual_model\.", "only trains"),
    ),
)


#: Of the continuous form, whose checkpoints hold a codebook that is never asked.
CONTINUOUS_TABLE = replace(
    TABLE, dropped=(*TABLE.dropped, (r"^codebook\.", "codes, of a continuous network"))
)


def load_published_omnitokenizer(model: OmniTokenizer, state: Mapping[str, Tensor]) -> None:
    """Copy a published OmniTokenizer state dict, discriminators and all, into ``model``.

    A model laid out on the "meta" device takes the tensors themselves. Raises ValueError for what
    :class:`NameTable` refuses.
    """
    table = _table(model.config)
    table.load(model, table.convert(state, model))


def _table(config: OmniConfig) -> NameTable:
    return CONTINUOUS_TABLE if config.regularizer == "kl" else TABLE


#: Settings that the tensors do not show, and what they must be for the network that is built here.
_SETTINGS: dict[str, object] = {
    "patch_embed": "linear",
    "spatial_pos": "rope",
    "l2_code": True,
    "use_external_codebook": False,
    "defer_temporal_pool": False,
    "defer_spatial_pool": False,
    "gen_upscale": None,
    # The published code misspelt these two at first.
    "causal_in_temporal_transformer": True,
    "casual_in_temporal_transformer": True,
    "causal_in_peg": True,
    "casual_in_peg": True,
}


def convert_omnitokenizer(checkpoint: Checkpoint, folder: Path, conversion: Conversion) -> ModelHeader:
    """Write a checkpoint of an OmniTokenizer, with codes or continuous, as a model, into an empty folder.

    Settings that a checkpoint not known here records must be those of the network that is built here.

    Raises:
        SweettokError: it is of the other form than its published name says, was made with settings that are
            not known here, or is another network; missing and unknown tensors are named.
    """
    state, path = checkpoint.state, checkpoint.path
    config = told_from_tensors(state, path)
    said, form = conversion.published_as, family_name(config)
    if said is None:
        _check_settings(checkpoint.settings, config, path)
    elif said.endswith("-vae") != (form == CONTINUOUS):
        raise SweettokError(f"{path} is an {form}, and {said} is not; say what it is with --as {CODED}.")
    if any(".enc_spatial_transformer." in key and ".spatial_rel_pos_bias." in key for key in state):
        raise SweettokError(
            f"{path} was trained with relative positions (spatial_pos rel), which the published code no "
            "longer applies; only OmniTokenizers with rotary positions are read."
        )
    network = lay_out(lambda: OmniTokenizer(config))
    try:
        load_published_omnitokenizer(network, state)
    except ValueError as error:
        raise SweettokError(f"{path} cannot be converted: {error}.") from error
    return save_network(
        folder, network, conversion.name, {**conversion.source, **_table(config).counts(state)}
    )


def told_from_tensors(state: Mapping[str, Tensor], path: Path) -> OmniConfig:
    """The network's configuration, from the names and shapes of published tensors.

    Raises:
        SweettokError: it is no OmniTokenizer.
    """
    attention = "encoder.enc_temporal_transformer.layers.0.1"
    try:
        first = state["encoder.to_patch_emb_first_frame.1.weight"].shape[0]
        later = state["encoder.to_patch_emb.1.weight"].shape[0]
        dim = state["pre_vq_conv.1.weight"].shape[1]
        code_dim = state["post_vq_conv.1.weight"].shape[1]
        continuous = state["pre_vq_conv.1.weight"].shape[0] == 2 * code_dim
        codes = OmniConfig().codes if continuous else state["codebook.embeddings"].shape[0]
        head_dim = state[f"{attention}.q_scale"].shape[0]
        heads = state[f"{attention}.to_q.weight"].shape[0] // head_dim
        tables = [t for key, t in state.items() if key.endswith(".relative_position_bias_table")]
        return OmniConfig(
            patch=math.isqrt(first // 3),
            temporal_patch=later // first,
            encoder_spatial=_blocks(state, "encoder.enc_spatial_transformer"),
            encoder_temporal=_blocks(state, "encoder.enc_temporal_transformer"),
            decoder_spatial=_blocks(state, "decoder.dec_spatial_transformer"),
            decoder_temporal=_blocks(state, "decoder.dec_temporal_transformer"),
            window=(math.isqrt(tables[0].shape[0]) + 1) // 2 if tables else OmniConfig().window,
            dim=dim,
            heads=heads,
            head_dim=head_dim,
            regularizer="kl" if continuous else "vq",
            codes=codes,
            code_dim=code_dim,
        )
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        what = f"{path} is no OmniTokenizer that is read here ({error.args[0]})"
        raise SweettokError(f"{what}; say what it is with --as.") from error


def _blocks(state: Mapping[str, Tensor], stack: str) -> str:
    """One letter a layer: ``w`` for attention in windows, ``t`` over everything."""
    found = (re.match(rf"{stack}\.layers\.(\d{{1,4}})\.", key) for key in state)
    layers = sorted({int(match[1]) for match in found if match})
    return "".join("w" if f"{stack}.layers.{index}.1.qkv.weight" in state else "t" for index in layers)


def _check_settings(settings: Mapping[str, Any], config: OmniConfig, path: Path) -> None:
    continuous = config.regularizer == "kl"
    if settings.get("use_vae", continuous) != continuous:
        found = "the mean and variance of latents" if continuous else "codes"
        trained = f"{path} was trained with use_vae = {brief(settings['use_vae'])}"
        raise SweettokError(f"{trained}, but its encoder ends in {found}; fetch it again.")
    for name, expected in _SETTINGS.items():
        if name in settings and settings[name] != expected and not (continuous and name == "l2_code"):
            trained = f"{path} was trained with {name} = {brief(settings[name])}"
            raise SweettokError(f"{trained}; only OmniTokenizers with {expected!r} are read.")
