from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from tokens.conftest import LEVELS, random_tokens, tokens

from sweettok_cli.packing.prior import PriorLearner, TokenPrior
from sweettok_cli.tokens import Tokens
from sweettok_cli.tokens.layout import TiledTokens, TokenizerSpec
from sweettok_cli.tokens.ragged import rows_in

__all__ = ["tokens"]  # one valid example of everything the format can say


def settled_tokens(seed: int = 0) -> Tokens:
    """Tokens as of a camera that stands still: few words, and most are those of the clip before."""
    tokens, random = random_tokens(seed), np.random.default_rng(seed)
    arrays = {}
    for name, array in tokens.arrays.items():
        few = np.minimum(random.geometric(0.05, array.shape), min(tokens.meta.codebooks[name])) - 1
        for clip in range(1, len(few)):
            few[clip] = np.where(random.random(few.shape[1:2])[:, None] < 0.8, few[clip - 1], few[clip])
        few[..., :2].sort(axis=-1)
        arrays[name] = few.astype(array.dtype)
    return Tokens(arrays, tokens.meta)


def settled_levels(seed: int = 0) -> Tokens:
    """As :func:`settled_tokens`, of a model with levels: its left is refined in the same words."""
    tokens, random = random_tokens(seed, levels=LEVELS), np.random.default_rng(seed)
    arrays = dict(settled_tokens(seed).arrays)
    present = random.random(arrays["temporal"].shape[:2]) < 0.3
    counts = tokens.arrays["detail_counts"] * (random.random((len(present), 5, 8, 16)) < 0.8).astype("u1")
    counts[..., 4:] = 0
    few = random.geometric(0.05, (int(counts.sum()), 1)) - 1
    arrays |= {
        "temporal": arrays["temporal"][present],
        "temporal_counts": present.astype("u1"),
        "detail": few.astype("<u2"),
        "detail_counts": counts,
    }
    return Tokens(arrays, replace(tokens.meta, rows=rows_in(arrays, LEVELS)))


def learned(tokens: Sequence[Tokens]) -> TokenPrior:
    """The prior of a model whose tokens these are."""
    meta = tokens[0].meta
    spec = TokenizerSpec(
        name=meta.model,
        codebooks={name: list(sizes) for name, sizes in meta.codebooks.items()},
        weights_sha256=meta.weights_sha256,
        layout=TiledTokens(levels=meta.levels),
    )
    learner = PriorLearner(spec)
    for each in tokens:
        learner.add(each, "tokens")
    return learner.prior()


@pytest.fixture
def settled() -> Tokens:
    return settled_tokens()


@pytest.fixture(scope="session")
def prior() -> TokenPrior:
    """Learned from tokens like :func:`settled_tokens`, but not from those of the seed 0."""
    return learned([settled_tokens(seed) for seed in (1, 2)])
