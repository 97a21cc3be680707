"""Reads the published SweetTok checkpoint: its tensor names on the left, ours on the right."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from sweettok_cli.models.published_names import (
    LAYERS,
    PATCH_EMBEDDING,
    UNUSED_IN_LAYERS,
    NameTable,
    pixel_decoder,
)

_SPATIAL_TOKENS = "spatial_latent_tokens_positional_embedding"
_TEMPORAL_TOKENS = "temporal_latent_tokens_positional_embedding"

# Stacks whose sequences are a single token: queries and keys cannot matter there.
_SINGLE = r"^(encoder\.enc_latent_temporal|decoder\.dec_temporal_latent)_transformer\.layers\.\d+\.1\."

_TABLE = NameTable(
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
        (
            r"^(encoder\.temporal_queries|decoder\.temporal_latents)(\.layers\.\d+\.attention)\.to_kv\.",
            r"\1\2.to_v.",
        ),
    ),
    dropped=(
        *UNUSED_IN_LAYERS,
        (_SINGLE + r"(q_scale|k_scale|norm\.gamma|to_q\.weight)$", "softmax over one key is 1"),
        (r"^encoder\.enc_(spatial|temporal)_transformer\.norm_out\.", "only the layers' streams are read"),
        (
            r"^decoder\.dec_(spatial|temporal)_latent_transformer\.norm_out\.",
            "only the layers' streams are read",
        ),
        (r"^decoder\.dec_temporal_transformer\.\d+\.norm_out\.", "skipped by the published forward pass"),
        (r"^quantize(_temporal)?\.code_book_mapping\.", "never called"),
        (r"^pixel_codebook\.(N|z_avg|codebook_usage)$", "statistics of the proxy tokenizer's own training"),
    ),
)


def our_name(published: str) -> str | None:
    """Our name for a published tensor, or None if the published network never uses it."""
    return _TABLE.our_name(published)


def why_dropped(published: str) -> str | None:
    """Why a published tensor has no name here, or None if it has one."""
    return _TABLE.why_dropped(published)


def convert(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Published tensors under our names and in the shapes of ``model``.

    Raises ValueError if a tensor that is dropped as constant is not, or if a shape cannot be the same matrix.
    """
    return _TABLE.convert(state, model, _values_only)


def load_published(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy a published SweetTok state dict into ``model``.

    A model laid out on the "meta" device takes the tensors themselves. The words are not in the state dict:
    they come with the model's prior. Raises ValueError that names what is missing or unknown.
    """
    _TABLE.load(model, convert(state, model), elsewhere=(".vectors", ".edges"))


def _values_only(name: str, tensor: Tensor) -> Tensor:
    # The published matrix holds keys, then values.
    return tensor.chunk(2, dim=0)[1] if name.endswith(".to_v.weight") else tensor
