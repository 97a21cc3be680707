from __future__ import annotations

import numpy as np
import pytest
from tokens.conftest import random_tokens, tokens

from sweettok_cli.packing.prior import PriorLearner, TokenPrior
from sweettok_cli.tokens import Tokens
from sweettok_cli.tokens.layout import TiledTokens, TokenizerSpec

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


@pytest.fixture
def settled() -> Tokens:
    return settled_tokens()


@pytest.fixture(scope="session")
def prior() -> TokenPrior:
    """Learned from tokens like :func:`settled_tokens`, but not from those of the seed 0."""
    tokens = [settled_tokens(seed) for seed in (1, 2)]
    meta = tokens[0].meta
    spec = TokenizerSpec(
        name=meta.model,
        codebooks={name: list(sizes) for name, sizes in meta.codebooks.items()},
        weights_sha256=meta.weights_sha256,
        layout=TiledTokens(),
    )
    learner = PriorLearner(spec)
    for each in tokens:
        learner.add(each, "tokens")
    return learner.prior()
