"""Reads published OmniTokenizer checkpoints (the vector-quantised models): published names to ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from sweettok_cli.models.omnitokenizer import OmniTokenizer
from sweettok_cli.models.published_names import (
    LAYERS,
    PATCH_EMBEDDING,
    UNUSED_IN_LAYERS,
    NameTable,
    pixel_decoder,
)

_TABLE = NameTable(
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


def our_name(published: str) -> str | None:
    """Our name for a published tensor, or None if encoding and decoding never use it."""
    return _TABLE.our_name(published)


def why_dropped(published: str) -> str | None:
    """Why a published tensor has no name here, or None if it has one."""
    return _TABLE.why_dropped(published)


def convert(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Published tensors under our names and in the shapes of ``model``.

    Raises ValueError for the state of a model without codes (``use_vae``), if a tensor that is dropped as
    constant is not, or if a shape cannot be the same matrix.
    """
    width, codes = state.get("pre_vq_conv.1.weight"), state.get("codebook.embeddings")
    if width is not None and codes is not None and width.shape[0] == 2 * codes.shape[1]:
        raise ValueError(
            "this OmniTokenizer is a variational autoencoder (use_vae) without codes; "
            "only the vector-quantised models are supported"
        )
    return _TABLE.convert(state, model)


def load_published_omnitokenizer(model: OmniTokenizer, state: Mapping[str, Tensor]) -> None:
    """Copy a published OmniTokenizer state dict, discriminators and all, into ``model``.

    A model laid out on the "meta" device takes the tensors themselves. Raises ValueError that names every
    tensor that is missing or unknown, or for what :func:`convert` refuses.
    """
    _TABLE.load(model, convert(state, model))
