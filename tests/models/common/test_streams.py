"""Frames pushed in any portions become the same clips and pieces, and come back joined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from block_tokenizer import BlockTokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from ragged_tokenizer import RaggedTokenizer
from running_tokenizer import RunningTokenizer
from torch import Tensor

from sweettok_cli.models.common.streams import (
    ClipDecoder,
    ClipEncoder,
    PieceEncoder,
    WaitingClips,
)
from sweettok_cli.models.common.token_buffer import TokenBuffer
from sweettok_cli.tokens.layout import GridTokens, TokenizerSpec
from sweettok_cli.tokens.meta import clip_count
from sweettok_cli.video.fit import Fit

FIT = Fit(3, 2, 4, 4)


def numbered(total: int) -> np.ndarray:
    return np.stack([np.full((2, 3, 3), i * 4, np.uint8) for i in range(total)])


def kept(clips: WaitingClips) -> dict[str, Tensor]:
    """A model that keeps what it is given, in two bands."""
    return {"clips": torch.cat([clips.rows(0, 1), clips.rows(1, 4)], dim=2)}


def given_back(tokens: dict[str, Tensor]) -> Sequence[Tensor]:
    """What :func:`kept` kept, in two bands."""
    return tokens["clips"].split([3, 1], dim=2)


def through(
    frames: np.ndarray, length: int, overlap: int, batch: int, portions: list[int]
) -> list[np.ndarray]:
    """Frames cut into clips and joined again, pushed in such portions."""
    encoder = ClipEncoder(kept, FIT, length, overlap, batch)
    decoder = ClipDecoder(given_back, FIT, len(frames), batch, overlap, False)
    out: list[np.ndarray] = []
    start = 0
    for portion in [*portions, len(frames)]:
        tokens = encoder.push(frames[start : start + portion])
        start = min(len(frames), start + portion)
        if tokens:
            assert tokens["clips"].shape[1:] == (length, 4, 4, 3)
            out += decoder.push(tokens)
    if tokens := encoder.finish():
        out += decoder.push(tokens)
    assert encoder.frames == len(frames)
    return out + decoder.finish()


@pytest.mark.parametrize("overlap", range(9))
def test_decoding_undoes_encoding_for_every_length(overlap: int) -> None:
    for total in range(1, 61):
        frames = numbered(total)
        assert np.array_equal(through(frames, 17, overlap, 1 + total % 3, [1] * total), frames)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_portions_do_not_matter(data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 20))
    overlap = data.draw(st.integers(0, length - 1))
    total = data.draw(st.integers(1, 40))
    portions = data.draw(st.lists(st.integers(0, 9), max_size=12))
    frames = np.random.default_rng(total).integers(0, 256, (total, 2, 3, 3), dtype=np.uint8)
    assert np.array_equal(through(frames, length, overlap, data.draw(st.integers(1, 4)), portions), frames)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 100), st.integers(1, 20), st.data())
def test_clips_are_counted_as_they_are_cut(frames: int, length: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, length - 1))
    encoder = ClipEncoder(kept, FIT, length, overlap, 1000)
    encoder.push(numbered(frames % 60 + 1))
    assert len(encoder.finish()["clips"]) == clip_count(frames % 60 + 1, length, overlap)


@pytest.mark.parametrize(
    ("overlap", "expected"), [(0, [0, 5, 10, 15]), (2, [0, 5, 8, 11, 14, 17]), (4, [0, *range(5, 18)])]
)
def test_tokens_come_when_a_clip_is_full(overlap: int, expected: list[int]) -> None:
    encoder, spec = ClipEncoder(kept, FIT, 5, overlap, 1), TokenizerSpec("short", clip_frames=5)
    begun = [0]
    for frame in numbered(18):
        if encoder.push(frame[None]):
            begun.append(encoder.frames)
    assert [frame for frame in begun if frame < 18] == expected
    assert [frame for frame in range(18) if spec.begins_clip(frame, overlap)] == expected


def test_last_clip_repeats_its_last_frame() -> None:
    encoder = ClipEncoder(kept, FIT, 17, 0, 1)
    encoder.push(numbered(20))
    last = encoder.finish()["clips"]
    assert (last[0, 3:] == 19 * 4).all()
    assert ClipEncoder(kept, FIT, 17, 0, 1).finish() == {}


@pytest.mark.parametrize(("count", "padded"), [(1, 1), (2, 5), (5, 5), (9, 9), (10, 13), (17, 17), (18, 21)])
def test_pieces_of_a_stream_are_whole_steps(count: int, padded: int) -> None:
    spec = TokenizerSpec("v1.1", layout=GridTokens(4, 8), stream_frames=8)
    pieces: list[np.ndarray] = []

    def keep(clips: WaitingClips) -> dict[str, Tensor]:
        pieces.append(clips.whole()[0].numpy())
        return {"indices": torch.zeros(1, -(-clips.shape[1] // 4), 1, 1)}

    encoder = PieceEncoder(keep, FIT, GridTokens(4, 8), 8)
    encoder.push(numbered(count))
    encoder.finish()
    assert sum(len(piece) for piece in pieces) == padded == spec.stream_length(count)
    assert [len(piece) for piece in pieces[:2]] == [1, min(8, padded - 1)][: len(pieces)]
    shown = np.concatenate(pieces)[:, 0, 0, 0] // 4
    assert shown.tolist() == [*range(count), *[count - 1] * (padded - count)]
    assert [frame for frame in range(count) if spec.begins_clip(frame)] == [0, *range(1, count, 8)]


@pytest.mark.parametrize(
    "tokenizer",
    [BlockTokenizer(), RaggedTokenizer(), RaggedTokenizer(1), RunningTokenizer()],
    ids=["clips", "levels", "levels-one", "stream"],
)
def test_live_input_gives_what_the_whole_video_gives(tokenizer: BlockTokenizer | RunningTokenizer) -> None:
    video = np.random.default_rng(0).integers(0, 256, (40, 60, 72, 3), dtype=np.uint8)
    whole = tokenizer.encode(video)
    fit = Fit.to_multiple(72, 60, tokenizer.spec.multiple)
    encoder, decoder = tokenizer.encoder(fit), tokenizer.decoder(fit, frames=40)
    found: dict[str, list[np.ndarray]] = {}
    frames: list[np.ndarray] = []
    for tokens in (*(encoder.push(video[i : i + 7]) for i in range(0, 40, 7)), encoder.finish()):
        if tokens:
            for name, array in tokenizer.stored(tokens).items():
                found.setdefault(name, []).append(array)
            frames += decoder.push(tokens)
    for name, parts in found.items():
        assert np.array_equal(np.concatenate(parts, encoder.axis(name)), whole.arrays[name])
    assert np.array_equal(frames + decoder.finish(), tokenizer.decode(whole))


@pytest.mark.parametrize("tokenizer", [BlockTokenizer(1), RunningTokenizer()], ids=["clips", "stream"])
def test_the_callers_array_may_be_used_again(tokenizer: BlockTokenizer | RunningTokenizer) -> None:
    video = np.random.default_rng(1).integers(0, 256, (18, 60, 72, 3), dtype=np.uint8)
    encoder, buffer = (
        tokenizer.encoder(Fit.to_multiple(72, 60, tokenizer.spec.multiple)),
        np.empty_like(video[:1]),
    )
    found: dict[str, list[np.ndarray]] = {}
    for frame in [*video, None]:
        if frame is not None:
            buffer[0] = frame
        for name, tensor in (encoder.finish() if frame is None else encoder.push(buffer)).items():
            found.setdefault(name, []).append(tensor.numpy())
    for name, array in tokenizer.encode(video).arrays.items():
        assert np.array_equal(np.concatenate(found[name], encoder.axis(name)), array)


def test_clips_are_padded_as_their_rows_are_asked_for() -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3), dtype=np.uint8))
    fit = Fit(7, 5, 8, 12)
    clips = WaitingClips([frames, frames[::-1]], [fit, fit])
    padded = fit.pad(np.stack([np.stack(frames), np.stack(frames[::-1])]))
    assert clips.shape == padded.shape[:4]
    assert np.array_equal(clips.whole(), padded)
    for start, end in ((0, 4), (4, 8), (3, 6), (8, 12)):
        assert np.array_equal(clips.rows(start, end), padded[:, :, start:end])


def test_parts_of_a_clip_are_told() -> None:
    encoder, decoder = ClipEncoder(kept, FIT, 8, 0, 1), ClipDecoder(given_back, FIT, 10, 1, 0, False)
    encoded: list[float] = []
    decoded: list[float] = []
    encoder.on_frames, decoder.on_frames = encoded.append, decoded.append
    for tokens in (encoder.push(numbered(10)), encoder.finish()):
        decoder.push(tokens)
    assert encoded == [2.0, 8, 8.5, 10]
    assert decoded == [6.0, 8, 10, 10]
    assert [type(number) for number in (encoded[1], decoded[1])] == [int, int]


WRONG = {
    "float": np.zeros((1, 2, 3, 3), np.float32),
    "one frame": np.zeros((2, 3, 3), np.uint8),
    "grey": np.zeros((1, 2, 3, 1), np.uint8),
    "another size": np.zeros((1, 3, 3, 3), np.uint8),
}


@pytest.mark.parametrize("frames", WRONG.values(), ids=WRONG)
def test_other_frames_are_refused_and_leave_no_trace(frames: np.ndarray) -> None:
    encoder = ClipEncoder(kept, FIT, 17, 0, 1)
    encoder.push(numbered(5))
    with pytest.raises(ValueError, match=r"frames of this video are uint8 \[t, 2, 3, 3\], not "):
        encoder.push(frames)
    assert encoder.push(numbered(12))["clips"].shape[1] == 17
    with pytest.raises(ValueError, match="cannot overlap by 17"):
        ClipEncoder(kept, FIT, 17, 17, 1)


@pytest.mark.parametrize("tokenizer", [BlockTokenizer(), RunningTokenizer()], ids=["clips", "stream"])
def test_a_finished_stream_stays_finished(tokenizer: BlockTokenizer | RunningTokenizer) -> None:
    fit, video = Fit.to_multiple(72, 60, tokenizer.spec.multiple), np.zeros((5, 60, 72, 3), np.uint8)
    encoder, decoder = tokenizer.encoder(fit), tokenizer.decoder(fit)
    frames = decoder.push(encoder.push(video[:0])) + decoder.push(encoder.push(video))
    frames += decoder.push(encoder.finish()) + decoder.finish()
    assert len(frames) >= 5 and encoder.finish() == {} and decoder.finish() == []
    for stream, wrong in ((encoder, video), (decoder, {})):
        with pytest.raises(ValueError, match="finished"):
            stream.push(wrong)  # type: ignore[arg-type]
    assert tokenizer.decoder(fit).finish() == []


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("expected", [None, 1, 7, 10**12])
def test_pieces_are_joined(expected: int | None, axis: int) -> None:
    random = np.random.default_rng(0)
    pieces = [
        {
            "spatial": np.moveaxis(random.integers(0, 9, (size, 1, 3)).astype(np.uint16), 0, axis),
            "temporal": np.moveaxis(np.zeros((size, 0, 3), np.uint16), 0, axis),
        }
        for size in (3, 1, 4, 1)
    ]
    buffer = TokenBuffer(lambda name: axis, expected)
    for piece in pieces:
        buffer.add(piece)
    arrays = buffer.arrays()
    for name in arrays:
        assert np.array_equal(arrays[name], np.concatenate([piece[name] for piece in pieces], axis))
    assert arrays["spatial"].dtype == np.uint16
    assert buffer.nbytes == 9 * 3 * 2


@pytest.mark.parametrize("expected", [None, 1, 7, 10**12])
def test_pieces_of_rows_are_joined(expected: int | None) -> None:
    random = np.random.default_rng(0)
    pieces = []
    for clips in (3, 1, 4, 1):
        counts = random.integers(1, 5, (clips, 6), np.uint8) * (clips > 1)  # none in some pieces
        rows = random.integers(0, 9, (int(counts.sum()), 3)).astype(np.uint16)
        pieces.append({"temporal": rows, "temporal_counts": counts})
    buffer = TokenBuffer(lambda name: 0, expected)
    for piece in (pieces[1], *pieces):
        buffer.add(piece)
    arrays = buffer.arrays()
    for name in arrays:
        assert np.array_equal(arrays[name], np.concatenate([piece[name] for piece in pieces[1:2] + pieces]))
    assert buffer.nbytes == sum(array.nbytes for array in arrays.values())
