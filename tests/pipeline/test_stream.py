"""Videos as one stream: exact length, flat memory, any number under way at once."""

from __future__ import annotations

import dataclasses
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from reconstruction import reconstructed
from running_tokenizer import RunningTokenizer

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.tokenizer import decode_frames
from sweettok_cli.pipeline.decode import decode_video
from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.tokens import read_tokens, token_cost, write_tokens
from sweettok_cli.tokens.meta import Tokens
from sweettok_cli.video import VideoWriter, probe


def grey_video(frames: int, height: int = 20, width: int = 24) -> np.ndarray:
    """Every 8x8 block of one grey, which is constant over each cell of the grid (1 + 4 + 4 + ... frames)."""
    rng = np.random.default_rng(5)
    shape = 1 + -(-(frames - 1) // 4), -(-height // 8), -(-width // 8)
    cells = rng.integers(0, 256, shape)
    grey = np.repeat(cells, [1] + [4] * (len(cells) - 1), axis=0)[:frames]
    return np.kron(grey, np.ones((1, 8, 8)))[:, :height, :width, None].repeat(3, 3).astype(np.uint8)


@pytest.mark.parametrize("latents", [False, True])
@pytest.mark.parametrize(
    ("frames", "pieces"),
    [
        (1, [1]),
        (2, [1, 4]),
        (5, [1, 4]),
        (16, [1, 16]),
        (17, [1, 16]),
        (18, [1, 16, 4]),
        (33, [1, 16, 16]),
        (40, [1, 16, 16, 8]),
    ],
)
def test_any_length_comes_back_exactly(frames: int, pieces: list[int], latents: bool) -> None:
    tokenizer, video = RunningTokenizer(latents), grey_video(frames)
    tokens = tokenizer.encode(video)
    tokens.check()
    steps = 1 + -(-(frames - 1) // 4)
    (array,) = tokens.arrays.values()
    assert array.shape == ((1, 1, steps, 3, 3) if latents else (1, steps, 3, 3))
    assert (tokens.meta.clips, tokens.meta.frames, tokens.meta.clip_frames) == (
        1,
        frames,
        1 + 4 * (steps - 1),
    )
    assert tokenizer.pieces == pieces
    assert np.array_equal(tokenizer.decode(tokens), video)
    assert token_cost(tokens.meta).tokens == 9 * steps


def test_an_image_is_a_stream_of_one_frame() -> None:
    tokenizer, image = RunningTokenizer(), grey_video(1)[0]
    tokens = tokenizer.encode(image)
    assert tokens.meta.image and tokens.arrays["indices"].shape == (1, 1, 3, 3)
    assert np.array_equal(tokenizer.decode(tokens), image)


def test_files_go_through(tmp_path: Path) -> None:
    tokenizer, video = RunningTokenizer(), grey_video(41, 40, 48)
    with VideoWriter(tmp_path / "a.mp4", 48, 40, Fraction(25), crf=0) as writer:
        for frame in video:
            writer.write(frame)
    seen: list[tuple[int, int | None]] = []
    tokens = encode_video(
        tmp_path / "a.mp4", tokenizer, on_progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 41), (17, 41), (33, 41), (41, 41)]
    write_tokens(tmp_path / "a.npz", tokens)
    stored = read_tokens(tmp_path / "a.npz")
    decode_video(stored, tokenizer, tmp_path / "b.mp4")
    assert probe(tmp_path / "b.mp4").frames == 41
    decode_video(stored, tokenizer, tmp_path / "b.npy")
    exact = np.load(tmp_path / "b.npy")
    pairs = reconstructed(tmp_path / "a.mp4", tokenizer)
    assert np.array_equal(exact, np.stack([decoded for _, decoded in pairs]))
    assert np.abs(exact.astype(int) - video).max() <= 3  # what H.264's colours cost
    assert np.abs(np.stack([source for source, _ in pairs]).astype(int) - video).max() <= 3


def test_two_streams_at_once_do_not_meet() -> None:
    tokenizer = RunningTokenizer()
    one, two = grey_video(40), 255 - grey_video(40)
    first, second = (tokenizer.encode(video) for video in (one, two))
    mixed = list(zip(decode_frames(first, tokenizer), decode_frames(second, tokenizer), strict=True))
    assert np.array_equal([a for a, _ in mixed], one)
    assert np.array_equal([b for _, b in mixed], two)


def test_streams_do_not_overlap() -> None:
    with pytest.raises(SweettokError, match=r"reads The video as one stream, .*; leave the overlap out"):
        RunningTokenizer().encode(grey_video(40), overlap=2)


def test_a_stream_of_another_length_is_refused() -> None:
    tokenizer = RunningTokenizer()
    tokens = tokenizer.encode(grey_video(40))
    object.__setattr__(tokens.meta, "clip_frames", 45)
    with pytest.raises(SweettokError, match="not laid out as running lays out"):
        tokenizer.decode(tokens)


@pytest.mark.parametrize("overlap", [1, 16])
@pytest.mark.parametrize("image", [False, True])
def test_tokens_of_a_stream_that_claim_an_overlap_are_refused(overlap: int, image: bool) -> None:
    tokenizer, video = RunningTokenizer(), grey_video(40)
    tokens = tokenizer.encode(video[0] if image else video)
    claimed = Tokens(tokens.arrays, dataclasses.replace(tokens.meta, overlap=overlap))
    with pytest.raises(SweettokError, match=rf"overlap by {overlap} frames, but running .*; encode the sour"):
        tokenizer.decode(claimed)


def test_memory_does_not_grow_with_the_length() -> None:
    tokenizer = RunningTokenizer()

    def peak(frames: int) -> int:
        frame = np.zeros((256, 256, 3), np.uint8)
        tokens = tokenizer.encode(np.broadcast_to(frame, (frames, *frame.shape)))
        tracemalloc.start()
        for _ in decode_frames(tokens, tokenizer):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(300) < 1.1 * peak(50)
