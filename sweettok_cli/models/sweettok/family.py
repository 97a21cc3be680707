"""SweetTok's row in the table of families."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sweettok_cli.models.common.family import Conversion, Family
from sweettok_cli.models.sweettok.folder import HALVES, WORDS_FILE, read_config, read_prior, read_words
from sweettok_cli.storage.model_folder import ModelFolder, ModelHeader
from sweettok_cli.tokens.layout import GridTokens, TiledTokens, TokenizerSpec

if TYPE_CHECKING:
    import torch

    from sweettok_cli.codebook.prior import WordPrior
    from sweettok_cli.models.sweettok.task import SweetTokTask
    from sweettok_cli.models.sweettok.tokenizer import SweetTokTokenizer
    from sweettok_cli.storage.checkpoint_file import Checkpoint
    from sweettok_cli.training.recipe import Recipe


def _spec(model: ModelFolder) -> TokenizerSpec:
    header, config, words = model.header, read_config(model), read_words(model)
    side = config.tile * config.patch
    tokens = dict(zip(HALVES, config.token_counts(side, side), strict=True))
    sizes = {half: [len(words[half][kind]) for kind in ("modifiers", "heads")] for half in HALVES}
    codebooks = {half: [modifiers, modifiers, heads] for half, (modifiers, heads) in sizes.items()}
    levels = {}
    if config.levels:
        levels = {"temporal": 1, "detail": config.levels}
        codebooks["detail"] = codebooks["spatial"][-1:]
    cells = GridTokens(time=config.temporal_patch, space=config.patch)
    return TokenizerSpec(
        name=header.name,
        family=header.family,
        clip_frames=config.frames,
        multiple=side,
        codebooks=codebooks,
        weights_sha256=header.weights_sha256,
        layout=TiledTokens(side, tokens, levels=levels, cells=cells),
        soft_seams=True,
    )


def _load(
    model: ModelFolder, spec: TokenizerSpec, device: torch.device, dtype: torch.dtype, sample: int | None
) -> SweetTokTokenizer:
    from sweettok_cli.models.sweettok.folder import read_model
    from sweettok_cli.models.sweettok.tokenizer import SweetTokTokenizer

    stored = read_model(model)
    return SweetTokTokenizer(spec, stored.network, stored.words, device, dtype)


def _convert(checkpoint: Checkpoint, folder: Path, conversion: Conversion) -> ModelHeader:
    from sweettok_cli.models.sweettok.published import convert_sweettok

    return convert_sweettok(checkpoint, folder, conversion)


def _prior(model: ModelFolder) -> WordPrior | None:
    return None if read_config(model).codebook == "random" else read_prior(model, model.state())


def _task(recipe: Recipe, init: Path | None, prior: Path | None, teacher: Path | None) -> SweetTokTask:
    from sweettok_cli.models.sweettok.task import SweetTokTask

    return SweetTokTask(recipe, init, prior, teacher)


SWEETTOK = Family(
    names={"sweettok": frozenset(HALVES)},
    kinds=("sweettok",),
    spec=_spec,
    load=_load,
    convert=_convert,
    words=read_words,
    prior=_prior,
    extra_files=(WORDS_FILE,),
    task=_task,
    presets=("compact", "sweettok-small"),
)
