"""An OmniTokenizer of a few thousand weights, and clips for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sweettok_cli.models.omnitokenizer.config import OmniConfig
from sweettok_cli.models.omnitokenizer.network import OmniTokenizer

TINY: dict[str, Any] = {
    "encoder_spatial": "tw",
    "encoder_temporal": "t",
    "decoder_spatial": "t",
    "decoder_temporal": "t",
    "window": 4,
    "dim": 32,
    "heads": 2,
    "head_dim": 16,
    "codes": 50,
}


def network(**changes: Any) -> OmniTokenizer:
    torch.manual_seed(0)
    return OmniTokenizer(OmniConfig(**{**TINY, **changes})).eval()


def clip(batch: int, frames: int, height: int, width: int) -> Tensor:
    return torch.rand(batch, 3, frames, height, width) - 0.5
