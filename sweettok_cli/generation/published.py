"""The published generator's names: minGPT's, as VideoGPT, OmniTokenizer and SweetTok have them, to GPT-2's.

Both are the same network: GPT-2 has the three maps into attention side by side, and its matrices transposed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sweettok_cli.errors import SweettokError

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

_OUTSIDE = {
    "tok_emb.weight": "transformer.wte.weight",
    "ln_f.weight": "transformer.ln_f.weight",
    "ln_f.bias": "transformer.ln_f.bias",
    "head.weight": "lm_head.weight",
}
_NORMS = {"ln1": "ln_1", "ln2": "ln_2"}
_MAPS = {"attn.proj": "attn.c_proj", "mlp.0": "mlp.c_fc", "mlp.2": "mlp.c_proj"}
_INTO_ATTENTION = ("query", "key", "value")


def load_published_generator(network: GPT2LMHeadModel, state: Mapping[str, Tensor]) -> None:
    """Fill a GPT-2 with the published network's weights, under their published names.

    The masks among them are not needed.

    Raises:
        SweettokError: they are of another network.
    """
    found = {ours: state[theirs] for theirs, ours in _OUTSIDE.items() if theirs in state}
    if "pos_emb" in state:
        found["transformer.wpe.weight"] = state["pos_emb"][0]
    try:
        for layer in range(network.config.n_layer):
            found |= _layer(state, f"blocks.{layer}.", f"transformer.h.{layer}.")
        network.load_state_dict(found)
    except (KeyError, RuntimeError) as error:
        why = str(error).strip().splitlines()[-1].strip().rstrip(".")
        raise SweettokError(
            f"The checkpoint holds no generator of {network.config.n_layer} layers ({why}); give that of a "
            "VideoGPT-style transformer."
        ) from error


def _layer(state: Mapping[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for kind in ("weight", "bias"):
        for name, called in _NORMS.items():
            found[f"{ours}{called}.{kind}"] = state[f"{theirs}{name}.{kind}"]
        for name, called in _MAPS.items():
            found[f"{ours}{called}.{kind}"] = state[f"{theirs}{name}.{kind}"].t()  # a vector stays as it is
        parts = [state[f"{theirs}attn.{name}.{kind}"] for name in _INTO_ATTENTION]
        found[f"{ours}attn.c_attn.{kind}"] = torch.cat(parts).t()
    return found
