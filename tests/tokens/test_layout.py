"""Shapes, counts and costs of every layout, against figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sweettok_cli.tokens.layout import GridTokens, TiledTokens, TokenizerSpec

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


def test_levels_bound_what_a_clip_may_have() -> None:
    books = {**WORDS, "detail": WORDS["spatial"][-1:]}
    spec = TokenizerSpec("levels", codebooks=books, layout=TiledTokens(levels={"temporal": 1, "detail": 3}))
    dense = {"spatial": (256, 3), "temporal": (1024, 3)}
    assert spec.clip_shapes(256, 256) == {**dense, "detail": (5, 32, 32, 1)}
    assert spec.clip_shapes(64, 128, image=True)["detail"] == (1, 8, 16, 1)
    assert spec.tokens_per_clip(256, 256) == {"spatial": 256, "temporal": 1024, "detail": 3 * 5120}
    assert spec.tokens_per_clip(256, 256, least=True) == {"spatial": 256, "temporal": 0, "detail": 0}
    assert spec.indices_per_clip(256, 256, least=True) == 768
    most, none = math.log2(1025) + 3 * math.log2(5121), math.log2(1025) + math.log2(5121)
    assert spec.bits_per_clip(256, 256) == 256 * 32 + 3 * 5120 * 12 + 1024 * 19 + most
    assert spec.bits_per_clip(256, 256, least=True) == 256 * 32 + none
    assert spec.bits_per_clip(64, 64, image=True, least=True) == 16 * 32 + math.log2(65)
    assert spec.fixed.clip_shapes(256, 256) == dense and not spec.fixed.levels
    assert spec.fixed.codebooks == WORDS and spec.fixed.bits_per_clip(256, 256) == 256 * 32 + 1024 * 19


@pytest.mark.parametrize(
    ("overlap", "frame", "expected"),
    [
        *((0, 0, (0, 0)), (0, 1, (0, 1)), (0, 4, (0, 1)), (0, 5, (0, 2)), (0, 16, (0, 4)), (0, 17, (1, 0))),
        *((0, 35, (2, 1)), (5, 16, (0, 4)), (5, 17, (1, 2)), (5, 28, (1, 4)), (5, 29, (2, 2))),
    ],
)
def test_a_frame_lies_in_a_latent_frame_of_its_clip(
    overlap: int, frame: int, expected: tuple[int, int]
) -> None:
    assert TokenizerSpec("levels").cell_of(frame, overlap) == expected


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
