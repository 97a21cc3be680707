"""A network of the shipped layout small enough for a test, made-up words, and clips that are easy to code."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sweettok_cli.codebook.prior import WordGraph, WordPrior
from sweettok_cli.models.sweettok.config import SMALL, SweetTokConfig
from sweettok_cli.models.sweettok.network import SweetTok


def word_prior(modifiers: int = 20, heads: int = 30, width: int = 12) -> WordPrior:
    """``modifiers`` adjectives and ``heads`` nouns; 12 adverbs and 18 verbs for every 20 and 30 of them."""
    random = np.random.default_rng(7)

    def graph(modifiers: int, heads: int, tag: str) -> WordGraph:
        edges = np.stack([random.integers(modifiers, size=60), modifiers + random.integers(heads, size=60)])
        return WordGraph(
            [f"{tag}-modifier-{i}" for i in range(modifiers)],
            [f"{tag}-head-{i}" for i in range(heads)],
            random.normal(size=(modifiers + heads, width)).astype(np.float32),
            edges,
        )

    return WordPrior(
        graph(modifiers, heads, "space"),
        graph(modifiers * 3 // 5, heads * 3 // 5, "motion"),
        {"from": "dice"},
    )


def small_config(**changes: Any) -> SweetTokConfig:
    """The shipped network, thinner: tiles and windows of 8x8 patches, anchored tokens."""
    thin = {"dim": 32, "heads": 2, "head_dim": 16, "code_dim": 16}
    return dataclasses.replace(SMALL, **{**thin, "spatial_code": (4, 3), "temporal_code": (4, 3), **changes})


def small_network(words: WordPrior | None = None, **changes: Any) -> SweetTok:
    """The network with random weights, always the same ones, in evaluation mode."""
    torch.manual_seed(0)
    return SweetTok(small_config(**changes), words or word_prior()).eval()


def smooth_clips(count: int, frames: int = 17, height: int = 64, width: int = 64) -> Tensor:
    """Soft blobs of colour that fade into others: [count, 3, frames, height, width] in [-0.5, 0.5]."""
    seeds = torch.randn(count, 3, 3 if frames > 1 else 1, 4, 4)
    return F.interpolate(seeds, (frames, height, width), mode="trilinear").mul(0.2).clamp(-0.5, 0.5)
