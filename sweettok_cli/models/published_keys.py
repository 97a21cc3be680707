"""Reads the published SweetTok checkpoint: its tensor names on the left, ours on the right.

Names map one to one. What the published code stores but never uses is dropped by name, with the reason beside
it; anything else that is missing or left over is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

_SPATIAL_TOKENS = "spatial_latent_tokens_positional_embedding"
_TEMPORAL_TOKENS = "temporal_latent_tokens_positional_embedding"

# Order matters where one name is the beginning of another.
_RENAMED: tuple[tuple[str, str], ...] = (
    (r"^latent_(spatial|temporal)_tokens$", r"encoder.latent_\1_tokens"),
    (rf"^(encoder|decoder)\.{_SPATIAL_TOKENS}$", r"\1.spatial_position"),
    (rf"^(encoder|decoder)\.{_TEMPORAL_TOKENS}$", r"\1.temporal_position"),
    (r"^encoder\.to_patch_emb_first_frame\.", "encoder.embed_first_frame."),
    (r"^encoder\.to_patch_emb\.", "encoder.embed_later_frames."),
    (r"^(encoder\.embed_\w+)\.1\.", r"\1.norm_in."),
    (r"^(encoder\.embed_\w+)\.2\.", r"\1.project."),
    (r"^(encoder\.embed_\w+)\.3\.", r"\1.norm_out."),
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
    (r"^pixel_decoder\.dec_(spatial|temporal)_transformer\.", r"proxy_pixels.decoder.\1."),
    (r"^pixel_decoder\.to_pixels_first_frame\.0\.", "proxy_pixels.decoder.to_pixels.first_frame."),
    (r"^pixel_decoder\.to_pixels\.0\.", "proxy_pixels.decoder.to_pixels.later_frames."),
    (r"^pixel_codebook\.embeddings$", "proxy_pixels.embeddings"),
    (r"^pixel_post_vq_conv\.1\.", "proxy_pixels.project."),
    (r"\.layers\.(\d+)\.0\.", r".layers.\1.peg."),
    (r"\.layers\.(\d+)\.1\.", r".layers.\1.attention."),
    (r"\.layers\.(\d+)\.2\.", r".layers.\1.cross."),
    (r"\.layers\.(\d+)\.3\.0\.", r".layers.\1.ff.norm."),
    (r"\.layers\.(\d+)\.3\.1\.", r".layers.\1.ff.expand."),
    (r"\.layers\.(\d+)\.3\.4\.", r".layers.\1.ff.contract."),
)

# Stacks whose sequences are a single token: queries and keys cannot matter there.
_SINGLE = r"^(encoder\.enc_latent_temporal|decoder\.dec_temporal_latent)_transformer\.layers\.\d+\.1\."

_DROPPED: tuple[tuple[str, str], ...] = (
    (r"\.relative_position_index$", "derived from the window size"),
    (r"\.spatial_rel_pos_bias\.", "built, never applied"),
    (r"\.layers\.\d+\.1\.context_norm\.", "self attention has no context"),
    (_SINGLE + r"(q_scale|k_scale|norm\.gamma|to_q\.weight)$", "softmax over one key is 1"),
    (r"^encoder\.enc_(spatial|temporal)_transformer\.norm_out\.", "only the layers' streams are read"),
    (r"^decoder\.dec_(spatial|temporal)_latent_transformer\.norm_out\.", "only the layers' streams are read"),
    (r"^decoder\.dec_temporal_transformer\.\d+\.norm_out\.", "skipped by the published forward pass"),
    (r"^quantize(_temporal)?\.code_book_mapping\.", "never called"),
    (r"^pixel_codebook\.(N|z_avg|codebook_usage)$", "statistics of the proxy tokenizer's own training"),
)


def our_name(published: str) -> str | None:
    """Our name for a published tensor, or None if the published network never uses it."""
    if published.endswith(".beta") or any(re.search(pattern, published) for pattern, _ in _DROPPED):
        return None
    for pattern, replacement in _RENAMED:
        published = re.sub(pattern, replacement, published)
    return published.replace(".to_kv.", ".to_v.") if _is_single(published) else published


def _is_single(ours: str) -> bool:
    return (
        re.search(r"^(encoder\.temporal_queries|decoder\.temporal_latents)\.layers\.\d+\.attention\.", ours)
        is not None
    )


def convert(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Published tensors under our names and in the shapes of ``model``.

    Raises ValueError if a tensor that is dropped as constant is not, or if a shape cannot be the same matrix.
    """
    shapes = {name: tensor.shape for name, tensor in model.state_dict(keep_vars=True).items()}
    converted = {}
    for published, tensor in state.items():
        if published.endswith(".beta") and tensor.count_nonzero():
            raise ValueError(f"{published} should be zero: not a published SweetTok network")
        name = our_name(published)
        if name is None:
            continue
        if name.endswith(".to_v.weight"):
            tensor = tensor.chunk(2, dim=0)[1]  # the published matrix holds keys, then values
        shape = shapes.get(name)
        if shape is not None and tensor.shape != shape:
            # Published 1x1 convolutions are our linear layers; published singleton axes are dropped.
            if [n for n in tensor.shape if n != 1] != [n for n in shape if n != 1]:
                raise ValueError(f"{published} is {list(tensor.shape)}, expected {list(shape)}")
            tensor = tensor.reshape(shape)
        converted[name] = tensor
    return converted


def load_published(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy a published SweetTok state dict into ``model``.

    A model laid out on the "meta" device takes the tensors themselves. The words are not in the state dict:
    they come with the model's prior. Raises ValueError that names what is missing or unknown.
    """
    on_meta = any(parameter.is_meta for parameter in model.parameters())
    result = model.load_state_dict(convert(state, model), strict=False, assign=on_meta)
    missing = [name for name in result.missing_keys if not name.endswith((".vectors", ".edges"))]
    problems = []
    if missing:
        problems.append("missing " + ", ".join(sorted(missing)))
    if result.unexpected_keys:
        problems.append("unknown " + ", ".join(sorted(result.unexpected_keys)))
    if problems:
        raise ValueError("not the published network: " + "; ".join(problems))
