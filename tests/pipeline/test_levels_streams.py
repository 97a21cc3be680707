"""Tokens of a model with levels, as many a position as it needs: through streams, files and back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from ragged_tokenizer import RaggedTokenizer
from reconstruction import reconstructed

from sweettok_cli.errors import SweettokError
from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.tokens import Tokens, read_tokens, token_cost, write_tokens
from sweettok_cli.tokens.layout import CostCounter, TiledTokens
from sweettok_cli.video import write_image

CLIP = "intel-iot-devkit+sample-videos__001.mp4"


def moving(frames: int = 60) -> np.ndarray:
    """Uint8 [t, 60, 100, 3]: grey and still for 17 frames, then a square moves and half of it changes."""
    video = np.full((frames, 60, 100, 3), 96, np.uint8)
    for index in range(17, frames):
        video[index, :, 50:] += np.uint8(4 * index)
        video[index, 8:24, index : index + 16] = (200, 40, 90)
    return video


@pytest.mark.parametrize("overlap", [0, 5])
def test_any_batch_gives_the_same_tokens_and_frames(overlap: int) -> None:
    video = moving()
    expected = BlockTokenizer().decode(BlockTokenizer().encode(video, overlap=overlap))
    first = RaggedTokenizer(1).encode(video, overlap=overlap)
    first.check()
    for batch in (2, 3, 9):
        tokens = RaggedTokenizer(batch).encode(video, overlap=overlap)
        assert tokens.meta == first.meta
        for name, array in first.arrays.items():
            assert np.array_equal(tokens.arrays[name], array) and tokens.arrays[name].dtype == array.dtype
        assert np.array_equal(RaggedTokenizer(batch).decode(first), expected)


def test_a_tokenizer_says_what_a_second_may_cost() -> None:
    least = 256 * 15 + np.log2(1025) + np.log2(5121)
    most = 256 * 15 + 2 * 5120 * 9 + 1024 * 12 + np.log2(1025) + 2 * np.log2(5121)
    rates = " to ".join(f"{bits * 24 / 17 / 1000:.1f}" for bits in (least, most))
    assert f"{rates} kbit/s at 256x256" in repr(RaggedTokenizer())


def test_clips_have_the_tokens_that_they_need() -> None:
    tokens = RaggedTokenizer().encode(moving())
    meta, temporal, detail = (
        tokens.meta,
        tokens.arrays["temporal_counts"],
        tokens.arrays["detail_counts"],
    )
    assert dict(meta.levels) == {"temporal": 1, "detail": 2} and meta.shapes["temporal"] == (128, 3)
    assert not temporal[0].any() and {0, 1} == set(temporal[1].tolist())
    assert meta.rows["temporal"] == (temporal.sum(),) == (len(tokens.arrays["temporal"]),)
    assert meta.shapes["detail"] == (5, 8, 16, 1) and detail.shape == (4, 5, 8, 16)
    assert meta.rows["detail"] == ((detail > 0).sum(), (detail > 1).sum())
    assert not detail[0, 1].any() and detail[1, 0].any() and detail[1, 1].any()
    assert set(np.unique(detail)) == {0, 1, 2}


def test_a_file_holds_them_and_states_their_price(tmp_path: Path, examples: Path) -> None:
    tokenizer = RaggedTokenizer()
    tokens = encode_video(examples / CLIP, tokenizer, batch_clips=2)
    write_tokens(tmp_path / "a.npz", tokens)
    stored = read_tokens(tmp_path / "a.npz")
    assert stored.meta == tokens.meta and stored.meta.version == 2
    decoded = RaggedTokenizer().decode(tmp_path / "a.npz")
    counter = CostCounter(tokenizer.spec)
    pairs = reconstructed(examples / CLIP, tokenizer, batch_clips=1, on_arrays=counter.add)
    assert np.array_equal(decoded, np.stack([after for _, after in pairs]))
    cost = token_cost(stored.meta)
    assert (counter.clips, counter.tokens) == (stored.meta.clips, cost.tokens)
    assert counter.bits == pytest.approx(cost.bits)


def test_images_have_no_temporal_positions(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", rgb)
    write_tokens(tmp_path / "a.npz", encode_video(tmp_path / "a.png", RaggedTokenizer()))
    tokens = read_tokens(tmp_path / "a.npz")
    assert tokens.arrays["temporal_counts"].shape == (1, 0) and tokens.meta.rows["temporal"] == (0,)
    assert tokens.arrays["detail_counts"].shape == (1, 1, 8, 16) and sum(tokens.meta.rows["detail"]) > 0
    expected = BlockTokenizer().decode(BlockTokenizer().encode(rgb))
    assert np.array_equal(RaggedTokenizer().decode(tokens), expected)


def test_other_levels_are_another_model() -> None:
    tokenizer = RaggedTokenizer()
    tokens = tokenizer.encode(moving(20))
    for levels in ({"temporal": 1, "detail": 3}, {}):
        tokenizer.spec = dataclasses.replace(tokenizer.spec, layout=TiledTokens(levels=levels))
        with pytest.raises(SweettokError, match="not laid out as stairs lays out its tokens"):
            tokenizer.decode(tokens)


def test_a_model_with_levels_may_write_one_token_everywhere(tmp_path: Path) -> None:
    class Dense(RaggedTokenizer):
        _encoded, _decoded = BlockTokenizer._encoded, BlockTokenizer._decoded

    tokenizer = Dense()
    books = BlockTokenizer().spec.codebooks
    tokenizer.spec = dataclasses.replace(tokenizer.spec, codebooks={**books, "detail": books["spatial"][-1:]})
    tokens = tokenizer.encode(moving(20))
    assert (
        tokens.meta.version == 1 and not tokens.meta.levels and set(tokens.arrays) == {"spatial", "temporal"}
    )
    write_tokens(tmp_path / "a.npz", tokens)
    expected = BlockTokenizer().decode(BlockTokenizer().encode(moving(20)))
    assert np.array_equal(tokenizer.decode(tmp_path / "a.npz"), expected)
    clips = tokenizer.encode_clips(np.zeros((2, 17, 64, 64, 3), np.uint8))
    assert tokenizer.decode_clips(clips, 64, 64).shape == (2, 17, 64, 64, 3)


def test_batches_of_clips_are_rows_and_counts() -> None:
    tokenizer, clips = RaggedTokenizer(), moving(51).reshape(3, 17, 60, 100, 3)
    clips = np.pad(clips, ((0, 0), (0, 0), (0, 4), (0, 28), (0, 0)))
    arrays = tokenizer.encode_clips(clips)
    assert arrays["detail_counts"].shape == (3, 5, 8, 16) and arrays["detail_counts"].dtype == np.uint8
    assert arrays["spatial"].shape == (3, 32, 3)
    for name, columns in (("temporal", 3), ("detail", 1)):
        assert arrays[name].shape == (arrays[f"{name}_counts"].sum(), columns)
    expected = BlockTokenizer().decode_clips(BlockTokenizer().encode_clips(clips), 64, 128)
    assert np.array_equal(tokenizer.decode_clips(arrays, 64, 128), expected)
    with pytest.raises(ValueError, match=r"temporal \[rows, 3\], .*detail_counts \[b, 5, 8, 16\], not "):
        tokenizer.decode_clips({"detail_counts": arrays["detail_counts"]}, 64, 128)
    with pytest.raises(ValueError, match=r"detail_counts counts \d+ tokens, and detail has \d+ rows"):
        tokenizer.decode_clips({**arrays, "detail": arrays["detail"][1:]}, 64, 128)
    with pytest.raises(ValueError, match=r"are spatial \[b, 32, 3\]"):
        BlockTokenizer().decode_clips(arrays, 64, 128)


def test_rows_that_are_not_what_is_counted_are_refused() -> None:
    tokens = RaggedTokenizer().encode(moving(20))
    wrong = Tokens({**tokens.arrays, "temporal_counts": 1 - tokens.arrays["temporal_counts"]}, tokens.meta)
    with pytest.raises(
        SweettokError, match=r"counts \d+ temporal tokens of level 1 in 'temporal_counts', and says it has"
    ):
        RaggedTokenizer().decode(wrong)
