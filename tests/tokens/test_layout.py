"""Shapes, counts and costs of every layout, against figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sweettok_cli.tokens.layout import GridTokens, TokenizerSpec

WORDS = {"spatial": [1024, 1024, 4096], "temporal": [256, 256, 8]}


def frames(count: int) -> list[np.ndarray]:
    return [np.full((1, 1, 3), value, np.uint8) for value in range(count)]


def test_tiled_tokens_grow_with_the_area() -> None:
    spec = TokenizerSpec("small", codebooks=WORDS)
    assert spec.clip_shapes(256, 256) == {"spatial": (256, 3), "temporal": (1024, 3)}
    assert spec.tokens_per_clip(64, 128) == {"spatial": 32, "temporal": 128}
    assert spec.clip_shapes(64, 64, image=True) == {"spatial": (16, 3), "temporal": (0, 3)}
    assert spec.indices_per_clip(256, 256) == 3840
    assert spec.bits_per_clip(256, 256) == 256 * 32 + 1024 * 19


@pytest.mark.parametrize(
    ("length", "image", "shape"),
    [(None, False, (5, 32, 32)), (9, False, (3, 32, 32)), (None, True, (1, 32, 32))],
)
def test_a_grid_has_the_first_frame_alone(length: int | None, image: bool, shape: tuple[int, ...]) -> None:
    spec = TokenizerSpec("omni", codebooks={"indices": [8192]}, layout=GridTokens(4, 8))
    assert spec.clip_shapes(256, 256, image, length) == {"indices": shape}
    if length is None:
        assert spec.tokens_per_clip(256, 256, image) == {"indices": math.prod(shape)}
        assert spec.bits_per_clip(256, 256, image) == 13 * math.prod(shape)


def test_latents_are_numbers_not_indices() -> None:
    layout = GridTokens(4, 16, first_alone=False, channels=16)
    spec = TokenizerSpec("kl", clip_frames=16, layout=layout)
    assert spec.clip_shapes(256, 128) == {"latents": (16, 4, 16, 8)}
    assert spec.tokens_per_clip(256, 128) == {"latents": 512}
    assert spec.indices_per_clip(256, 128) == 0
    assert spec.bits_per_clip(256, 128) == 16 * 16 * 512


def test_sizes_off_the_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="100x64 is not a multiple of 64"):
        TokenizerSpec("small", codebooks=WORDS).clip_shapes(64, 100)


@pytest.mark.parametrize(
    ("overlap", "expected"), [(0, [0, 5, 10, 15]), (2, [0, 5, 8, 11, 14, 17]), (4, [0, *range(5, 18)])]
)
def test_a_clip_begins_with_its_first_frame_that_is_new(overlap: int, expected: list[int]) -> None:
    spec = TokenizerSpec("short", clip_frames=5)
    assert [frame for frame in range(18) if spec.begins_clip(frame, overlap)] == expected
