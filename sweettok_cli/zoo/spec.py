"""What a model folder's small files say of its tokenizer; the weights are not read."""

from __future__ import annotations

from pathlib import Path

from sweettok_cli.errors import SweettokError
from sweettok_cli.storage.model_folder import CONFIG_FILE, ModelHeader, read_header
from sweettok_cli.tokens.layout import GridTokens, TiledTokens, TokenizerSpec

#: Frames that a streaming VidTok reads at a time (published: ``t_chunk_enc``).
STREAM_FRAMES = 16


def read_spec(folder: Path) -> TokenizerSpec:
    """The facts about the tokenizer in a model folder.

    Raises:
        SweettokError: the folder is damaged or incomplete, or of a family that is not known here.
    """
    header = read_header(folder)
    if header.family == "sweettok":
        return _sweettok(header)
    try:
        if header.family == "omnitokenizer":
            return _omnitokenizer(header)
        if header.family in ("vidtok-fsq", "vidtok-kl"):
            return _vidtok(header)
    except (TypeError, ValueError) as error:
        raise SweettokError(
            f"{folder / CONFIG_FILE} describes no network of the family {header.family} ({error}); "
            "pull or convert the model again."
        ) from error
    raise SweettokError(f"{folder} holds a model of an unknown family {header.family!r}; update sweettok.")


def _sweettok(header: ModelHeader) -> TokenizerSpec:
    from sweettok_cli.models.sweettok.folder import HALVES, read_network_config, read_words

    config, words = read_network_config(header.folder), read_words(header.folder)
    side = config.multiple
    tokens = dict(zip(HALVES, config.token_counts(side, side), strict=True))
    sizes = {half: [len(words[half][kind]) for kind in ("modifiers", "heads")] for half in HALVES}
    return TokenizerSpec(
        name=header.name,
        family=header.family,
        clip_frames=config.frames,
        multiple=side,
        codebooks={half: [modifiers, modifiers, heads] for half, (modifiers, heads) in sizes.items()},
        weights_sha256=header.weights_sha256,
        layout=TiledTokens(side, tokens),
        soft_seams=True,
    )


def _omnitokenizer(header: ModelHeader) -> TokenizerSpec:
    from sweettok_cli.models.omnitokenizer.network import OmniConfig

    config = OmniConfig(**header.config)
    return TokenizerSpec(
        name=header.name,
        family=header.family,
        clip_frames=config.frames,
        multiple=config.multiple,
        codebooks={"indices": [config.codes]},
        weights_sha256=header.weights_sha256,
        layout=GridTokens(config.temporal_patch, config.patch),
    )


def _vidtok(header: ModelHeader) -> TokenizerSpec:
    from sweettok_cli.models.vidtok.config import VidTokConfig

    config = VidTokConfig(**header.config)
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
        stream_frames=STREAM_FRAMES if config.version == "1.1" else None,
    )
