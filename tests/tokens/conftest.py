from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from sweettok_cli.tokens import TokenMeta, Tokens
from sweettok_cli.tokens.arrays import ARRAYS
from sweettok_cli.tokens.ragged import counts_name, rows_by_level

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
LEVELS = {"temporal": 1, "detail": 4}
DETAIL = {
    "codebooks": {**SWEETTOK["codebooks"], "detail": SWEETTOK["codebooks"]["spatial"][-1:]},
    "shapes": {**SWEETTOK["shapes"], "detail": (5, 8, 16, 1)},
}
GRID = {"codebooks": {"indices": (8192,)}, "shapes": {"indices": (5, 8, 16)}}


def random_tokens(seed: int = 0, **changes: Any) -> Tokens:
    """Valid tokens with uniformly random indices; ``changes`` override the fields of the description.

    With ``levels``, there is detail, and positions have any number of tokens that may be: clips differ.
    """
    levels = changes.get("levels", {})
    none = {name: (0,) * most for name, most in levels.items()}
    meta = TokenMeta(**{**SWEETTOK, **(DETAIL if levels else {}), "rows": none, **changes})
    random = np.random.default_rng(seed)
    arrays = {
        counts_name(name): random.integers(
            ARRAYS[name].least or 0, most + 1, meta.array_shape(counts_name(name)), np.uint8
        )
        for name, most in levels.items()
    }
    if levels:
        rows = {name: rows_by_level(arrays[counts_name(name)], most) for name, most in levels.items()}
        meta = replace(meta, rows=rows)
    for name in meta.shapes:
        shape = meta.array_shape(name)
        sizes = np.array(meta.codebooks[name]) if name in meta.codebooks else None
        values = random.random(shape) if sizes is None else random.random(shape) * sizes
        arrays[name] = values.astype(meta.dtype(name))
    return Tokens(arrays, meta)


@pytest.fixture(scope="session")
def make_tokens() -> Callable[..., Tokens]:
    return random_tokens


_KINDS = ("video", "image", "varying", "overlap", "levels", "levels-image")


@pytest.fixture(params=[*_KINDS, "omnitokenizer", "vidtok-fsq", "vidtok-kl"])
def tokens(request: pytest.FixtureRequest) -> Tokens:
    """One valid example of everything the format can say."""
    image: dict[str, Any] = {
        "image": True,
        "frames": 1,
        "source": "Küche.png",
        "shapes": {"spatial": (32, 3), "temporal": (0, 3)},
    }
    changes: dict[str, dict[str, Any]] = {
        "video": {},
        "image": image,
        "levels": {"levels": LEVELS},
        "levels-image": {
            **image,
            "levels": LEVELS,
            "shapes": {**image["shapes"], "detail": (1, 8, 16, 1)},
        },
        "varying": {"frames": 3, "time_base": Fraction(1, 90000), "times": (0, 3003, 9009)},
        "overlap": {"overlap": 4},
        "omnitokenizer": {"family": "omnitokenizer", **GRID},
        "vidtok-fsq": {"family": "vidtok-fsq", **GRID, "codebooks": {"indices": (262144,)}},
        "vidtok-kl": {"family": "vidtok-kl", "codebooks": {}, "shapes": {"latents": (4, 5, 8, 16)}},
    }
    return random_tokens(**changes[request.param])
