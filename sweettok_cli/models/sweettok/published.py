"""Checkpoints of the published SweetTok trainer: names of their tensors, and what becomes of them here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.family import Conversion
from sweettok_cli.models.common.network import lay_out
from sweettok_cli.models.common.published_names import (
    LAYERS,
    PATCH_EMBEDDING,
    UNUSED_IN_LAYERS,
    NameTable,
    pixel_decoder,
)
from sweettok_cli.models.sweettok.config import SweetTokConfig
from sweettok_cli.models.sweettok.folder import save_model_folder
from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.models.sweettok.published_words import WITHOUT_VECTOR, read_pickled_words
from sweettok_cli.storage.checkpoint_file import AVERAGED_FOLDER, PLAIN_FOLDER, Checkpoint
from sweettok_cli.storage.model_folder import ModelHeader

_SPATIAL_TOKENS = "spatial_latent_tokens_positional_embedding"
_TEMPORAL_TOKENS = "temporal_latent_tokens_positional_embedding"

# Stacks whose sequences are a single token: queries and keys cannot matter there.
_SINGLE_HERE = r"encoder\.temporal_queries|decoder\.temporal_latents"
_SINGLE = r"^(encoder\.enc_latent_temporal|decoder\.dec_temporal_latent)_transformer\.layers\.\d+\.1\."
_ONLY_STREAMS = "only the layers' streams are read"

NAMES = NameTable(
    "SweetTok",
    renamed=(
        (r"^latent_(spatial|temporal)_tokens$", r"encoder.latent_\1_tokens"),
        (rf"^(encoder|decoder)\.{_SPATIAL_TOKENS}$", r"\1.spatial_position"),
        (rf"^(encoder|decoder)\.{_TEMPORAL_TOKENS}$", r"\1.temporal_position"),
        *PATCH_EMBEDDING,
        (r"^encoder\.enc_(spatial|temporal)_transformer\.", r"encoder.\1_features."),
        (r"^encoder\.enc_latent_(spatial|temporal)_transformer\.", r"encoder.\1_queries."),
        (r"^encoder\.ln_post_(spatial|temporal)\.", r"encoder.\1_norm."),
        (r"^encoder\.conv_out\.", "encoder.spatial_out."),
        (r"^encoder\.conv_out_temporal\.", "encoder.temporal_out."),
        (r"^decoder\.positional_embedding$", "decoder.position"),
        (r"^decoder\.decoder_embed\.", "decoder.embed_spatial."),
        (r"^decoder\.decoder_embed_temporal\.", "decoder.embed_temporal."),
        (r"^decoder\.dec_(spatial|temporal)_latent_transformer\.", r"decoder.\1_latents."),
        (r"^decoder\.dec_spatial_transformer\.", "decoder.features."),
        (r"^decoder\.dec_temporal_transformer\.(\d+)\.layers\.0\.", r"decoder.motion.layers.\1."),
        (r"^decoder\.ln_post\.", "decoder.norm."),
        (r"^decoder\.ffn\.0\.", "proxy_head.hidden."),
        (r"^decoder\.ffn\.2\.", "proxy_head.logits."),
        (r"^(pre|post)_vq_conv_\.1\.", r"\1_vq_spatial."),
        (r"^(pre|post)_vq_conv_temporal\.1\.", r"\1_vq_temporal."),
        (r"^quantize\.", "quantize_spatial."),
        *pixel_decoder("pixel_decoder", "proxy_pixels.decoder"),
        (r"^pixel_codebook\.embeddings$", "proxy_pixels.embeddings"),
        (r"^pixel_post_vq_conv\.1\.", "proxy_pixels.project."),
        *LAYERS,
        (rf"^({_SINGLE_HERE})(\.layers\.\d+\.attention)\.to_kv\.", r"\1\2.to_v."),
    ),
    dropped=(
        *UNUSED_IN_LAYERS,
        (_SINGLE + r"(q_scale|k_scale|norm\.gamma|to_q\.weight)$", "softmax over one key is 1"),
        (r"^encoder\.enc_(spatial|temporal)_transformer\.norm_out\.", _ONLY_STREAMS),
        (r"^decoder\.dec_(spatial|temporal)_latent_transformer\.norm_out\.", _ONLY_STREAMS),
        (r"^decoder\.dec_temporal_transformer\.\d+\.norm_out\.", "skipped by the published forward pass"),
        (r"^quantize(_temporal)?\.code_book_mapping\.", "never called"),
        (r"^pixel_codebook\.(N|z_avg|codebook_usage)$", "statistics of the proxy tokenizer's own training"),
    ),
)


def convert(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Published tensors under our names and in the shapes of ``model``.

    Raises ValueError if a tensor that is dropped as constant is not, or if a shape cannot be the same matrix.
    """
    return NAMES.convert(state, model, _values_only)


def load_published(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy a published SweetTok state dict into ``model``.

    A model laid out on the "meta" device takes the tensors themselves. The words are not in the state dict:
    they come with the model's prior. Raises ValueError that names what is missing or unknown.
    """
    NAMES.load(model, convert(state, model), elsewhere=(".vectors", ".edges"))


def _values_only(name: str, tensor: Tensor) -> Tensor:
    # The published matrix holds keys, then values.
    return tensor.chunk(2, dim=0)[1] if name.endswith(".to_v.weight") else tensor


_PROXY_CODEBOOK = "pixel_codebook."


def convert_sweettok(checkpoint: Checkpoint, folder: Path, conversion: Conversion) -> ModelHeader:
    """Write a checkpoint of the compact SweetTok, of either stage, as a model folder.

    Args:
        checkpoint: what was read. One of the first stage has no pixel decoder: it encodes, but ends in codes
            of the proxy tokenizer.
        folder: empty.
        conversion: what it becomes; its words are the pickled adjectives and nouns, and adverbs and verbs.

    Raises:
        SweettokError: it is another network, its words are others', or the words cannot be read; missing and
            unknown tensors are named.
    """
    state, path = with_trained_codebook(checkpoint), checkpoint.path
    if "latent_spatial_tokens" not in state:
        raise SweettokError(
            f"{path} is no compact SweetTok: it has no latent_spatial_tokens; say what it is with --as."
        )
    words = conversion.words
    assert words is not None
    prior = read_pickled_words(*words)
    for half, graph, prefix, file in (
        ("spatial", prior.spatial, "quantize", words[0]),
        ("temporal", prior.temporal, "quantize_temporal", words[1]),
    ):
        weight = state.get(f"{prefix}.gcn.conv1.lin.weight")
        if weight is not None and weight.shape[1:] != graph.vectors.shape[1:]:
            trained = weight.shape[-1] if weight.ndim else 0
            raise SweettokError(
                f"{path} was not trained with {file}: its {half} words have vectors of {trained} "
                f"numbers, not {graph.vectors.shape[1]}."
            )
    pixels = any(key.startswith("pixel_") for key in state)
    network = lay_out(lambda: SweetTok(SweetTokConfig(pixels=pixels), prior))
    try:
        load_published(network, state)
    except (ValueError, RuntimeError) as error:
        raise SweettokError(f"{path} cannot be converted: {error}.") from error
    about = {**conversion.source, **NAMES.counts(state)}
    if absent := sum(len(missing) for key, missing in prior.about.items() if key.endswith(WITHOUT_VECTOR)):
        about[WITHOUT_VECTOR] = absent
    return save_model_folder(folder, network, prior, conversion.name, half=False, source=about)


def with_trained_codebook(checkpoint: Checkpoint) -> Mapping[str, Tensor]:
    """The tensors, with the proxy's codebook of the weights themselves where the average has none."""
    state = checkpoint.state
    counts = state.get(f"{_PROXY_CODEBOOK}N")
    if counts is None or counts.count_nonzero():
        return state
    trained = {key: t for key, t in checkpoint.plain.items() if key.startswith(_PROXY_CODEBOOK)}
    if f"{_PROXY_CODEBOOK}embeddings" not in trained:
        raise SweettokError(
            f"{checkpoint.path} has a proxy codebook that was never trained: the trainer's {AVERAGED_FOLDER} "
            f"averages parameters only. Keep {PLAIN_FOLDER} beside it, or convert that."
        )
    return {**state, **trained}
