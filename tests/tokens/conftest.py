from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from sweettok_cli.tokens import TokenMeta, Tokens

SWEETTOK: dict[str, Any] = {
    "family": "sweettok",
    "model": "sweettok-small",
    "weights_sha256": "0123456789abcdef" * 4,
    "codebooks": {"spatial": (5078, 5078, 5403), "temporal": (1872, 1872, 9267)},
    "shapes": {"spatial": (32, 3), "temporal": (128, 3)},
    "source": "clip.mp4",
    "image": False,
    "width": 120,
    "height": 50,
    "padded_width": 128,
    "padded_height": 64,
    "frames": 40,
    "rate": Fraction(30000, 1001),
    "clip_frames": 17,
    "writer": "sweettok 0.1.0",
}
GRID = {"codebooks": {"indices": (8192,)}, "shapes": {"indices": (5, 8, 16)}}


def random_tokens(seed: int = 0, **changes: Any) -> Tokens:
    """Valid tokens with uniformly random indices; ``changes`` override the fields of the description."""
    meta = TokenMeta(**{**SWEETTOK, **changes})
    random = np.random.default_rng(seed)
    arrays = {}
    for name in meta.shapes:
        shape = meta.array_shape(name)
        sizes = np.array(meta.codebooks[name]) if name in meta.codebooks else None
        values = random.random(shape) if sizes is None else random.random(shape) * sizes
        arrays[name] = values.astype(meta.dtype(name))
    return Tokens(arrays, meta)


@pytest.fixture(scope="session")
def make_tokens() -> Callable[..., Tokens]:
    return random_tokens


@pytest.fixture(params=["video", "image", "varying", "overlap", "omnitokenizer", "vidtok-fsq", "vidtok-kl"])
def tokens(request: pytest.FixtureRequest) -> Tokens:
    """One valid example of everything the format can say."""
    changes: dict[str, dict[str, Any]] = {
        "video": {},
        "image": {
            "image": True,
            "frames": 1,
            "source": "Küche.png",
            "shapes": {"spatial": (32, 3), "temporal": (0, 3)},
        },
        "varying": {"frames": 3, "time_base": Fraction(1, 90000), "times": (0, 3003, 9009)},
        "overlap": {"overlap": 4},
        "omnitokenizer": {"family": "omnitokenizer", **GRID},
        "vidtok-fsq": {"family": "vidtok-fsq", **GRID, "codebooks": {"indices": (262144,)}},
        "vidtok-kl": {"family": "vidtok-kl", "codebooks": {}, "shapes": {"latents": (4, 5, 8, 16)}},
    }
    return random_tokens(**changes[request.param])
