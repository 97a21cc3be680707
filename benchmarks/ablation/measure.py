"""What a trained variant makes of the clips that were held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from sweettok_cli.metrics.codebook_use import CodeCounts, list_use
from sweettok_cli.models.sweettok.folder import words_for
from sweettok_cli.models.sweettok.meaning import NEIGHBOURS, nearest_others, shared_neighbours
from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.tokens import token_cost
from sweettok_cli.tokens.arrays import PARTS_OF_SPEECH
from sweettok_cli.training.samples import mean_psnr
from sweettok_cli.zoo.load import load


def measure(model: Path, clips: Mapping[str, np.ndarray], words: Path) -> dict[str, Any]:
    """PSNR of each clip in dB, bits a pixel, use of the codebooks, and neighbours that words keep.

    Clips are uint8 [t, h, w, 3]; each goes through the tokenizer as a video does.
    """
    tokenizer = load(str(model), "cpu", "float32")
    counts = CodeCounts(tokenizer.spec.codebooks)
    figures, bits = {}, 0.0
    for name, clip in clips.items():
        tokens = tokenizer.encode(clip)
        figures[name] = round(mean_psnr(clip, tokenizer.decode(tokens)), 4)
        counts.add(tokens.arrays)
        bits += token_cost(tokens.meta).bits
    pixels = sum(int(np.prod(clip.shape[:3])) for clip in clips.values())
    network = getattr(tokenizer, "network", None)
    return {
        "psnr_of_clips": figures,
        "bits_per_pixel": bits / pixels,
        "use": {part: asdict(list_use(count)) for part, count in counts.counts.items()},
        "kept": kept(network, words) if isinstance(network, SweetTok) else {},
    }


@torch.inference_mode()
def kept(network: SweetTok, words: Path) -> dict[str, float]:
    """Of a word's nearest by vector in the prior ``words``, those among its nearest by code; list by list."""
    prior, shares = words_for(network.config, words), {}
    halves = {"spatial": network.quantize_spatial, "temporal": network.quantize_temporal}
    for half, quantizer in halves.items():
        found = quantizer.codebook()
        vectors = F.normalize(torch.from_numpy(getattr(prior, half).vectors), dim=-1)
        codes = found.modifiers, found.heads
        owns = vectors.split([*map(len, codes)])
        for part, own, lie in zip(PARTS_OF_SPEECH[half], owns, codes, strict=True):
            shares[part] = shared_neighbours(lie, nearest_others(own, NEIGHBOURS))
    return shares
