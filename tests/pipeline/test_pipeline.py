from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from reconstruction import reconstructed
from torch import Tensor

from sweettok_cli.errors import SweettokError
from sweettok_cli.pipeline.decode import decode_video
from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.pipeline.reconstruct import reconstruct_frames
from sweettok_cli.tokens import read_tokens, write_tokens
from sweettok_cli.tokens.description import check_match
from sweettok_cli.video import VideoReader, VideoWriter, probe, write_image

CLIP = "intel-iot-devkit+sample-videos__001.mp4"


def film(
    path: Path, frames: int, width: int = 90, height: int = 70, times: list[Fraction] | None = None
) -> Path:
    """A video of a grey that brightens by 2 each frame, with a bright square that moves."""
    with VideoWriter(path, width, height, Fraction(30000, 1001), times=times, crf=5) as writer:
        for index in range(frames):
            rgb = np.full((height, width, 3), 40 + 2 * (index % 60), np.uint8)
            rgb[8:24, 4 * (index % 15) : 4 * (index % 15) + 16] = 200
            writer.write(rgb)
    return path


def frames_of(path: Path) -> np.ndarray:
    with VideoReader(path) as reader:
        return np.stack([frame.rgb for frame in reader])


@pytest.mark.parametrize(("frames", "clips"), [(1, 1), (17, 1), (18, 2), (40, 3)])
def test_same_count_size_and_rate_come_back(tmp_path: Path, frames: int, clips: int) -> None:
    tokenizer = BlockTokenizer()
    tokens = encode_video(film(tmp_path / "a.mp4", frames), tokenizer)
    assert tokens.meta.clips == clips
    assert tokens.arrays["spatial"].shape == (clips, 16 * 4, 3)
    assert tokens.arrays["temporal"].shape == (clips, 64 * 4, 3)
    write_tokens(tmp_path / "a.npz", tokens)
    decode_video(read_tokens(tmp_path / "a.npz"), tokenizer, tmp_path / "b.mp4")
    info = probe(tmp_path / "b.mp4")
    assert (info.width, info.height, info.rate, info.frames) == (90, 70, Fraction(30000, 1001), frames)


def test_the_real_clip_comes_back_as_the_model_decodes_it(tmp_path: Path, examples: Path) -> None:
    tokenizer = BlockTokenizer()
    decode_video(encode_video(examples / CLIP, tokenizer), tokenizer, tmp_path / "b.mp4", crf=0)
    source, decoded = frames_of(examples / CLIP), frames_of(tmp_path / "b.mp4")
    assert source.shape == decoded.shape
    expected = np.stack([decoded for _, decoded in reconstructed(examples / CLIP, tokenizer)])
    assert np.abs(decoded.astype(int) - expected).mean() < 2
    # The blocks are coarse, but they are of this clip.
    assert np.abs(decoded.astype(int) - source).mean() < 20


def test_clips_go_through_the_model_in_batches(tmp_path: Path) -> None:
    tokenizer = BlockTokenizer()
    source = film(tmp_path / "a.mp4", 17 * 5)
    seen: list[tuple[int, int | None]] = []
    one = encode_video(
        source, tokenizer, batch_clips=3, on_progress=lambda done, total: seen.append((done, total))
    )
    assert [shape[0] for shape in tokenizer.batches] == [3, 2]
    assert seen == [(51, 85), (85, 85)]
    two = encode_video(source, tokenizer, batch_clips=1)
    for name in one.arrays:
        np.testing.assert_array_equal(one.arrays[name], two.arrays[name])


def test_overlapping_clips_cross_fade(tmp_path: Path) -> None:
    tokenizer = BlockTokenizer()
    source = film(tmp_path / "a.mp4", 43)
    tokens = encode_video(source, tokenizer, overlap=4)
    assert (tokens.meta.clips, tokens.meta.overlap) == (3, 4)
    decode_video(tokens, tokenizer, tmp_path / "b.mp4", crf=0)
    decoded = frames_of(tmp_path / "b.mp4")
    assert len(decoded) == 43
    pairs = reconstructed(source, tokenizer, overlap=4)
    assert len(pairs) == 43
    np.testing.assert_array_equal(np.stack([before for before, _ in pairs]), frames_of(source))
    assert np.abs(decoded.astype(int) - np.stack([after for _, after in pairs])).mean() < 2
    # Frames 13 to 16 are in two clips: the grey of the first, constant by then, fades into the second's.
    grey = np.stack([after for _, after in pairs])[:, 60, 80, 0].astype(int)
    assert grey[12] < grey[14] < grey[16]
    hard = np.stack([after for _, after in reconstructed(source, tokenizer)])[:, 60, 80, 0]
    assert hard[12] == hard[14] == hard[16]


def test_an_overlap_as_long_as_a_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match="pass overlap=16 or less"):
        encode_video(film(tmp_path / "a.mp4", 2), BlockTokenizer(), overlap=17)


def test_reconstruction_pairs_every_frame(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", 20)
    counted: list[int] = []
    pairs = reconstructed(
        source, BlockTokenizer(1), on_arrays=lambda arrays: counted.append(arrays["spatial"].shape[1])
    )
    assert counted == [64, 64]
    np.testing.assert_array_equal(np.stack([before for before, _ in pairs]), frames_of(source))


def test_an_image_goes_through_the_spatial_half(tmp_path: Path) -> None:
    rgb = np.zeros((50, 100, 3), np.uint8)
    rgb[:, 32:] = (200, 100, 50)
    write_image(tmp_path / "a.png", rgb)
    tokenizer = BlockTokenizer()
    tokens = encode_video(tmp_path / "a.png", tokenizer, overlap=5)
    assert tokenizer.batches == [(1, 1, 64, 128, 3)]
    assert tokens.meta.image
    assert tokens.arrays["temporal"].shape == (1, 0, 3)
    write_tokens(tmp_path / "a.npz", tokens)
    decode_video(read_tokens(tmp_path / "a.npz"), tokenizer, tmp_path / "b.png")
    np.testing.assert_array_equal(frames_of(tmp_path / "b.png")[0], rgb)
    ((_, decoded),) = reconstructed(tmp_path / "a.png", tokenizer)
    np.testing.assert_array_equal(decoded, rgb)


def test_times_of_a_varying_rate_come_back(tmp_path: Path) -> None:
    times = [Fraction(0), Fraction(1, 25), Fraction(1, 5), Fraction(1, 4), Fraction(3, 5), Fraction(1)]
    tokens = encode_video(film(tmp_path / "a.mp4", 6, times=times), BlockTokenizer())
    assert tokens.meta.frame_times() == times
    write_tokens(tmp_path / "a.npz", tokens)
    decode_video(read_tokens(tmp_path / "a.npz"), BlockTokenizer(), tmp_path / "b.mp4")
    with VideoReader(tmp_path / "b.mp4") as reader:
        assert [frame.time for frame in reader] == times


def test_other_weights_and_other_layouts_are_refused(tmp_path: Path) -> None:
    tokens = encode_video(film(tmp_path / "a.mp4", 2), BlockTokenizer())
    with pytest.raises(SweettokError, match="decode it with the model that encoded it"):
        decode_video(tokens, BlockTokenizer(weights_sha256="0" * 64), tmp_path / "b.mp4")
    other = BlockTokenizer()
    other.spec.codebooks["temporal"][2] = 7  # type: ignore[index]
    with pytest.raises(SweettokError, match=r"a\.npz is not laid out"):
        check_match(tokens.meta, other.spec, "a.npz")
    assert not (tmp_path / "b.mp4").exists()


class Failing(BlockTokenizer):
    """Breaks on the second batch."""

    def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
        if self.batches:
            raise RuntimeError("device lost")
        return super().encode_batch(clips)

    def decode_batch(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Tensor:
        if self.batches:
            raise RuntimeError("device lost")
        self.batches.append(())
        return super().decode_batch(tokens, height, width)


def test_errors_leave_no_file_and_no_thread(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", 17 * 8)
    with pytest.raises(RuntimeError, match="device lost"):
        encode_video(source, Failing(1))
    with pytest.raises(RuntimeError, match="device lost"):
        reconstructed(source, Failing(1))
    with pytest.raises(RuntimeError, match="device lost"):
        decode_video(encode_video(source, BlockTokenizer()), Failing(1), tmp_path / "b.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert {thread.name for thread in threading.enumerate()} & {"read-ahead", "write-behind"} == set()


def test_a_reconstruction_may_be_left_early(tmp_path: Path) -> None:
    with VideoReader(film(tmp_path / "a.mp4", 17 * 6)) as reader:
        pairs = reconstruct_frames((frame.rgb for frame in reader), reader.info, BlockTokenizer(1))
        next(pairs)
        pairs.close()
    assert "read-ahead" not in {thread.name for thread in threading.enumerate()}


def test_a_cut_file_fails_after_all_that_was_read(tmp_path: Path, examples: Path) -> None:
    data = (examples / CLIP).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(SweettokError, match=r"cut\.mp4"):
        encode_video(tmp_path / "cut.mp4", BlockTokenizer())


def test_memory_is_flat_in_the_length(tmp_path: Path) -> None:
    def peak(frames: int) -> int:
        source = film(tmp_path / f"{frames}.mp4", frames)
        tracemalloc.start()
        try:
            tokens = encode_video(source, BlockTokenizer(1))
            decode_video(tokens, BlockTokenizer(1), tmp_path / f"{frames}.out.mp4")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(17)  # what is loaded on first use
    # The tokens and time stamps are kept, and threads read ahead by more or fewer frames. All 340 frames more
    # would be 6 MB.
    assert peak(17 * 24) < peak(17 * 4) + 340 * 90 * 70 * 3 / 4
