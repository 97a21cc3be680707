"""VidTok's row in the table of families: discrete codes (FSQ) and continuous latents (KL)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sweettok_cli.models.common.family import Conversion, Family
from sweettok_cli.models.common.settings import read_settings
from sweettok_cli.models.vidtok.config import AVERAGE, VidTokConfig
from sweettok_cli.storage.model_folder import CONFIG_FILE, ModelFolder, ModelHeader
from sweettok_cli.tokens.layout import GridTokens, TokenizerSpec

if TYPE_CHECKING:
    import torch

    from sweettok_cli.models.vidtok.tokenizer import VidTokTokenizer
    from sweettok_cli.storage.checkpoint_file import Checkpoint


def _spec(model: ModelFolder) -> TokenizerSpec:
    header = model.header
    config = read_settings(VidTokConfig, header.config, model.path / CONFIG_FILE)
    fsq = config.regularizer == "fsq"
    if header.family != f"vidtok-{config.regularizer}":
        raise ValueError(f"its regulariser is {config.regularizer}")
    return TokenizerSpec(
        name=header.name,
        family=header.family,
        # The lengths that the published networks were trained and are measured on.
        clip_frames=17 if config.causal else 16,
        multiple=config.space_factor,
        codebooks={"indices": [config.codes]} if fsq else {},
        weights_sha256=header.weights_sha256,
        images=config.causal,
        layout=GridTokens(
            config.time_factor, config.space_factor, config.causal, None if fsq else config.channels
        ),
        value_range=(-1.0, 1.0),
        stream_frames=16 if config.version == "1.1" else None,  # published: ``t_chunk_enc``
    )


def _load(
    model: ModelFolder, spec: TokenizerSpec, device: torch.device, dtype: torch.dtype, sample: int | None
) -> VidTokTokenizer:
    from sweettok_cli.models.common.network import fill
    from sweettok_cli.models.vidtok.network import VidTok
    from sweettok_cli.models.vidtok.tokenizer import VidTokTokenizer

    config = read_settings(VidTokConfig, model.header.config, model.path / CONFIG_FILE)
    network = fill(lambda: VidTok(config), model.state(), model.path)
    return VidTokTokenizer(spec, network, device, dtype, sample)


def _convert(checkpoint: Checkpoint, folder: Path, conversion: Conversion) -> ModelHeader:
    from sweettok_cli.models.vidtok.published import convert_vidtok

    return convert_vidtok(checkpoint, folder, conversion)


VIDTOK = Family(
    names={"vidtok-fsq": frozenset({"indices"}), "vidtok-kl": frozenset({"latents"})},
    kinds=("vidtok", "vidtok-v1.1"),
    spec=_spec,
    load=_load,
    convert=_convert,
    settings=VidTokConfig.from_name,
    average=AVERAGE,
)
