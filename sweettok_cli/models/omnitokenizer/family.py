"""OmniTokenizer's row in the table of families."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sweettok_cli.models.common.family import Conversion, Family
from sweettok_cli.models.omnitokenizer.folder import CODED, CONTINUOUS, read_config, read_network
from sweettok_cli.storage.model_folder import ModelFolder, ModelHeader
from sweettok_cli.tokens.layout import GridTokens, TokenizerSpec

if TYPE_CHECKING:
    import torch

    from sweettok_cli.models.omnitokenizer.task import OmniTokenizerTask
    from sweettok_cli.models.omnitokenizer.tokenizer import OmniTokenizerTokenizer
    from sweettok_cli.storage.checkpoint_file import Checkpoint
    from sweettok_cli.training.recipe import Recipe


def _spec(model: ModelFolder) -> TokenizerSpec:
    header, config = model.header, read_config(model)
    coded = config.regularizer == "vq"
    return TokenizerSpec(
        name=header.name,
        family=header.family,
        clip_frames=config.frames,
        multiple=config.multiple,
        codebooks={"indices": [config.codes]} if coded else {},
        weights_sha256=header.weights_sha256,
        layout=GridTokens(config.temporal_patch, config.patch, channels=None if coded else config.code_dim),
    )


def _load(
    model: ModelFolder, spec: TokenizerSpec, device: torch.device, dtype: torch.dtype, sample: int | None
) -> OmniTokenizerTokenizer:
    from sweettok_cli.models.omnitokenizer.tokenizer import OmniTokenizerTokenizer

    return OmniTokenizerTokenizer(spec, read_network(model), device, dtype, sample)


def _convert(checkpoint: Checkpoint, folder: Path, conversion: Conversion) -> ModelHeader:
    from sweettok_cli.models.omnitokenizer.published import convert_omnitokenizer

    return convert_omnitokenizer(checkpoint, folder, conversion)


def _task(recipe: Recipe, init: Path | None, prior: Path | None, teacher: Path | None) -> OmniTokenizerTask:
    from sweettok_cli.models.omnitokenizer.task import OmniTokenizerTask

    return OmniTokenizerTask(recipe, init, prior, teacher)


OMNITOKENIZER = Family(
    names={CODED: frozenset({"indices"}), CONTINUOUS: frozenset({"latents"})},
    kinds=("omnitokenizer",),
    spec=_spec,
    load=_load,
    convert=_convert,
    task=_task,
    presets=("omnitokenizer", "omnitokenizer-small"),
)
