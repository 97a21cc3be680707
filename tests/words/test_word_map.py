from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from sweettok_cli.tokens import TokenMeta, Tokens
from sweettok_cli.tokens.ragged import places
from sweettok_cli.words.counts import WordCounts
from sweettok_cli.words.overlay import WordMap, clip_of

CODEBOOKS = {"spatial": (6, 6, 6), "temporal": (3, 3, 4)}
LISTS = {
    "adjectives": [f"adjective{index}" for index in range(6)],
    "nouns": [f"noun{index}" for index in range(6)],
    "adverbs": [f"adverb{index}" for index in range(3)],
    "verbs": [f"verb{index}" for index in range(4)],
}


def make_tokens(width: int = 150, height: int = 100, clips: int = 2, image: bool = False) -> Tokens:
    """Frames of 192x128 when padded: three tiles of 64 pixels by two. All indices are 0."""
    counts = {"spatial": 96, "temporal": 0 if image else 384}
    meta = TokenMeta(
        family="sweettok",
        model="made-up",
        weights_sha256="ab" * 32,
        codebooks=CODEBOOKS,
        shapes={name: (count, 3) for name, count in counts.items()},
        source="clip.png" if image else "clip.mp4",
        image=image,
        width=width,
        height=height,
        padded_width=192,
        padded_height=128,
        frames=1 if image else 17 * clips,
        rate=Fraction(25),
        clip_frames=17,
    )
    arrays = {name: np.zeros((1 if image else clips, count, 3), np.uint16) for name, count in counts.items()}
    return Tokens(arrays, meta)


def word_map(tokens: Tokens, region: int = 64) -> WordMap:
    counts = WordCounts(CODEBOOKS, LISTS)
    counts.add(tokens.arrays)
    return WordMap(tokens, counts, region)


def grid(tokens: Tokens, half: str, clip: int) -> np.ndarray:
    """A view of one clip's tokens as rows and columns."""
    side = 16 if half == "spatial" else 8
    return tokens.arrays[half][clip].reshape(128 // side, 192 // side, 3)


def test_every_tile_has_the_words_of_its_own_tokens() -> None:
    tokens = make_tokens()
    for row in range(2):
        for column in range(3):
            number = 3 * row + column
            grid(tokens, "spatial", 1)[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = number
            grid(tokens, "temporal", 1)[8 * row : 8 * row + 8, 8 * column : 8 * column + 8, :2] = number % 3
    regions = word_map(tokens).regions(1)
    assert [region.words["nouns"] for region in regions] == [f"noun{number}" for number in range(6)]
    assert [region.words["adjectives"] for region in regions] == [f"adjective{n}" for n in range(6)]
    assert [region.words["adverbs"] for region in regions] == [f"adverb{n % 3}" for n in range(6)]
    assert {region.words["nouns"] for region in word_map(tokens).regions(0)} == {"noun0"}
    boxes = [(region.left, region.top, region.width, region.height) for region in regions]
    assert boxes[0] == (0, 0, 64, 64) and boxes[-1] == (128, 64, 22, 36)


def test_of_equally_frequent_words_the_rarer_one_leads() -> None:
    tokens = make_tokens()
    tile = grid(tokens, "spatial", 0)[:4, :4]
    tile[:2, :, 2], tile[2:, :, 2] = 3, 5
    grid(tokens, "spatial", 0)[4:, :, 2] = 3
    regions = word_map(tokens).regions(0)
    assert [region.words["nouns"] for region in regions[:2]] == ["noun5", "noun0"]
    tile[3, 3, 2] = 3
    assert word_map(tokens).regions(0)[0].words["nouns"] == "noun3"


def test_regions_outside_the_frame_are_left_out_and_one_may_hold_it_all() -> None:
    regions = word_map(make_tokens(width=64, height=64)).regions(0)
    assert len(regions) == 1
    whole = word_map(make_tokens(), 256).regions(0)
    assert [(region.width, region.height) for region in whole] == [(150, 100)]


def test_a_picture_has_no_words_of_motion() -> None:
    regions = word_map(make_tokens(image=True)).regions(0)
    assert set(regions[0].words) == {"adjectives", "nouns"}


@pytest.mark.parametrize(
    ("overlap", "frame", "clip"),
    [(0, 0, 0), (0, 16, 0), (0, 17, 1), (0, 34, 2), (5, 16, 0), (5, 17, 1), (5, 28, 1), (5, 29, 2)],
)
def test_a_frame_belongs_to_the_first_clip_that_holds_it(overlap: int, frame: int, clip: int) -> None:
    meta = make_tokens(clips=9).meta
    changed = TokenMeta(**{**vars(meta), "overlap": overlap})
    assert clip_of(changed, frame) == clip


def test_a_position_without_a_token_says_nothing_and_detail_does_not_speak() -> None:
    dense = make_tokens()
    grid(dense, "spatial", 1)[:4, :4, 2] = 3
    grid(dense, "temporal", 1)[:8, 8:16] = [1, 1, 2]
    moving = np.zeros((2, 384), np.uint8)
    moving[0, :5] = 1
    moving[1].reshape(16, 24)[:8, 8:16] = 1
    moving[1].reshape(16, 24)[12, 3] = 1
    clip, _, position = places(moving)
    arrays = {
        "spatial": dense.arrays["spatial"],
        "temporal": dense.arrays["temporal"][clip, position],
        "temporal_counts": moving,
        "detail": np.full((2 * 5 * 16 * 24, 1), 2, np.uint16),
        "detail_counts": np.ones((2, 5, 16, 24), np.uint8),
    }
    meta = replace(
        dense.meta,
        codebooks={**CODEBOOKS, "detail": CODEBOOKS["spatial"][-1:]},
        shapes={**dense.meta.shapes, "detail": (5, 16, 24, 1)},
        levels={"temporal": 1, "detail": 1},
        rows={"temporal": (len(clip),), "detail": (len(arrays["detail"]),)},
    )
    tokens = Tokens(arrays, meta)
    tokens.check()
    counts = WordCounts(meta.codebooks, LISTS)
    counts.add(arrays)
    words = WordMap(tokens, counts, 64)
    regions = words.regions(1)
    assert [region.words["nouns"] for region in regions] == ["noun3", *["noun0"] * 5]
    assert [region.words.get("verbs") for region in regions] == [None, "verb2", None, "verb0", None, None]
    assert words.regions(0)[0].words["verbs"] == "verb0"
