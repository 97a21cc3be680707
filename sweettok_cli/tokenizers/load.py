"""From a model's name to a tokenizer that is ready to use."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sweettok_cli.errors import SweettokError
from sweettok_cli.tokenizers.base import Tokenizer
from sweettok_cli.weights_store.folder import read_header
from sweettok_cli.weights_store.local import DEFAULT_MODEL
from sweettok_cli.weights_store.resolve import resolve_model

if TYPE_CHECKING:
    from pathlib import Path

    import torch


def load_tokenizer(
    name_or_path: str = DEFAULT_MODEL,
    device: str = "auto",
    dtype: str = "auto",
    *,
    sample: int | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Tokenizer:
    """Load a tokenizer of any family; a named model that is not on this machine is fetched first.

    Args:
        name_or_path: a model's name (``sweettok models list``), or a model folder (``runs/x/model`` of a
            training run too).
        device: ``auto``, ``cpu``, ``cuda`` (``cuda:1``) or ``mps``.
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``: the arithmetic of the network. Codes are
            compared in float32 whatever it is.
        sample: seed with which a model of continuous latents (VidTok KL) draws them from their distribution;
            by default they are its mean.
        on_progress: told what is fetched; by default that goes to stderr.

    Raises:
        SweettokError: no such model, device or number format; the model cannot be fetched, its folder is
            damaged, or it has nothing to draw.
    """
    folder = resolve_model(name_or_path, on_progress)
    header = read_header(folder)
    if sample is not None and header.family != "vidtok-kl":
        raise SweettokError(
            f"{header.name} has discrete codes, of which none is drawn; "
            "leave out --sample, or use a VidTok KL model."
        )
    # Torch takes seconds to import; an unknown name should be told at once.
    from sweettok_cli.tokenizers.device import pick_device, pick_dtype

    where = pick_device(device)
    return _load(folder, header.family, where, pick_dtype(dtype, where), sample)


def _load(
    folder: Path, family: str, device: torch.device, dtype: torch.dtype, sample: int | None
) -> Tokenizer:
    if family == "sweettok":
        from sweettok_cli.tokenizers.sweettok import SweetTokTokenizer

        return SweetTokTokenizer(folder, device, dtype)
    if family == "omnitokenizer":
        from sweettok_cli.tokenizers.omnitokenizer import OmniTokenizerTokenizer

        return OmniTokenizerTokenizer(folder, device, dtype)
    if family in ("vidtok-fsq", "vidtok-kl"):
        from sweettok_cli.tokenizers.vidtok import VidTokTokenizer

        return VidTokTokenizer(folder, device, dtype, sample)
    raise SweettokError(f"{folder} holds a model of an unknown family {family!r}; update sweettok.")
