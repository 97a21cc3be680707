"""VidTok's row in the table of families: discrete codes (FSQ, VQ) and continuous latents (KL)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sweettok_cli.models.common.family import Conversion, Family
from sweettok_cli.models.vidtok.config import AVERAGE, PRESETS, VidTokConfig
from sweettok_cli.models.vidtok.folder import read_config, read_network
from sweettok_cli.storage.model_folder import ModelFolder, ModelHeader
from sweettok_cli.tokens.layout import GridTokens, TokenizerSpec

if TYPE_CHECKING:
    import torch

    from sweettok_cli.models.vidtok.task import VidTokTask
    from sweettok_cli.models.vidtok.tokenizer import VidTokTokenizer
    from sweettok_cli.storage.checkpoint_file import Checkpoint
    from sweettok_cli.training.recipe import Recipe


def _spec(model: ModelFolder) -> TokenizerSpec:
    header, config = model.header, read_config(model)
    coded = config.regularizer != "kl"
    return TokenizerSpec(
        name=header.name,
        family=header.family,
        # The lengths that the published networks were trained and are measured on.
        clip_frames=17 if config.causal else 16,
        multiple=config.space_factor,
        codebooks={"indices": [config.codes]} if coded else {},
        weights_sha256=header.weights_sha256,
        images=config.causal,
        layout=GridTokens(
            config.time_factor, config.space_factor, config.causal, None if coded else config.channels
        ),
        value_range=(-1.0, 1.0),
        stream_frames=16 if config.version == "1.1" else None,  # published: ``t_chunk_enc``
    )


def _load(
    model: ModelFolder, spec: TokenizerSpec, device: torch.device, dtype: torch.dtype, sample: int | None
) -> VidTokTokenizer:
    from sweettok_cli.models.vidtok.tokenizer import VidTokTokenizer

    return VidTokTokenizer(spec, read_network(model), device, dtype, sample)


def _convert(checkpoint: Checkpoint, folder: Path, conversion: Conversion) -> ModelHeader:
    from sweettok_cli.models.vidtok.published import convert_vidtok

    return convert_vidtok(checkpoint, folder, conversion)


def _task(recipe: Recipe, init: Path | None, prior: Path | None, teacher: Path | None) -> VidTokTask:
    from sweettok_cli.models.vidtok.task import VidTokTask

    return VidTokTask(recipe, init, prior, teacher)


VIDTOK = Family(
    names={
        "vidtok-fsq": frozenset({"indices"}),
        "vidtok-vq": frozenset({"indices"}),
        "vidtok-kl": frozenset({"latents"}),
    },
    kinds=("vidtok", "vidtok-v1.1"),
    spec=_spec,
    load=_load,
    convert=_convert,
    settings=VidTokConfig.from_name,
    average=AVERAGE,
    task=_task,
    presets=tuple(PRESETS),
)
