"""A folder of real files, measured with a tokenizer that needs no weights."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.code_counts import CodeCounts
from sweettok_cli.evaluation.folder import clip_record, find_files, measure_file, measure_folder
from sweettok_cli.evaluation.metrics.psnr import psnr
from sweettok_cli.evaluation.metrics.ssim import ssim
from sweettok_cli.tokenizers.pipeline import decode_frames, encode_video
from sweettok_cli.tokens.bits import token_cost
from sweettok_cli.video import VideoReader, VideoWriter, write_image

BITS_PER_TILE = 16 * 3 * 8 + 64 * 3 * math.log2(511)


def film(path: Path, frames: int, width: int, height: int, seed: int = 0) -> Path:
    generator = np.random.default_rng(seed)
    ground = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    with VideoWriter(path, width, height, Fraction(25), crf=20) as writer:
        for number in range(frames):
            writer.write(np.roll(ground, 2 * number, axis=1))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "below").mkdir()
    film(tmp_path / "b.mp4", 20, 70, 50)
    film(tmp_path / "below" / "a.MOV", 3, 64, 64, seed=1)
    write_image(tmp_path / "c.png", np.random.default_rng(2).integers(0, 256, (30, 90, 3), dtype=np.uint8))
    (tmp_path / "notes.txt").write_text("not a video")
    (tmp_path / ".hidden.mp4").write_text("not a video")
    (tmp_path / ".trash").mkdir()
    (tmp_path / ".trash" / "a.mp4").write_text("not a video")
    return tmp_path


def test_files_are_found_by_ending_below_the_folder_too(folder: Path) -> None:
    assert [path.relative_to(folder).as_posix() for path in find_files(folder)] == [
        "b.mp4",
        "below/a.MOV",
        "c.png",
    ]
    assert find_files(folder / "notes.txt") == [folder / "notes.txt"]


def test_nothing_to_measure_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match="download ucf101 and give the folder"):
        find_files(tmp_path / "ucf101")
    with pytest.raises(SweettokError, match="holds no video or picture"):
        find_files(tmp_path)


def test_every_frame_is_scored_at_its_own_size(folder: Path) -> None:
    tokenizer = BlockTokenizer()
    tokens = encode_video(folder / "b.mp4", tokenizer)
    with VideoReader(folder / "b.mp4") as reader:
        pairs = [
            (frame.rgb, after) for frame, after in zip(reader, decode_frames(tokens, tokenizer), strict=True)
        ]
    score = measure_file(folder / "b.mp4", "b.mp4", tokenizer)
    assert (score.width, score.height, score.comparison.frames) == (70, 50, 20)
    assert score.comparison.psnr == [psnr(*pair) for pair in pairs]
    assert score.comparison.ssim == [ssim(*pair) for pair in pairs]
    assert score.comparison.borders == [17]
    cost = token_cost(tokens.meta)
    assert (score.price.clips, score.price.tokens, score.price.indices) == (2, cost.tokens, cost.indices)
    assert score.price.bits == pytest.approx(cost.bits)
    assert score.record()["bits_per_pixel"] == pytest.approx(cost.bits_per_pixel)


def test_overlapping_clips_cost_more(folder: Path) -> None:
    score = measure_file(folder / "b.mp4", "b.mp4", BlockTokenizer(), overlap=8)
    assert score.comparison.borders == [17]
    assert score.price.clips == 2
    more = measure_file(folder / "b.mp4", "b.mp4", BlockTokenizer(), overlap=15)
    assert more.comparison.borders == [17, 19]
    assert (more.price.clips, more.comparison.frames) == (3, 20)


def test_the_folder_is_the_mean_of_all_frames(folder: Path) -> None:
    record = measure_folder(folder, BlockTokenizer()).record()
    rows = record["per_file"]
    assert [row["file"] for row in rows] == ["b.mp4", "below/a.MOV", "c.png"]
    assert [row["frames"] for row in rows] == [20, 3, 1]
    assert record["frames"] == 24
    weights = np.array([20, 3, 1]) / 24
    assert record["psnr"] == pytest.approx(weights @ [row["psnr"] for row in rows])
    assert record["ssim"] == pytest.approx(weights @ [row["ssim"] for row in rows])
    assert record["psnr_mean_of_files"] == pytest.approx(np.mean([row["psnr"] for row in rows]))
    tiles_of_clips, tiles_of_pictures = 2 * 2 + 1, 2
    bits = tiles_of_clips * BITS_PER_TILE + tiles_of_pictures * 16 * 24
    assert record["bits"] == pytest.approx(bits)
    assert record["bits_per_pixel"] == pytest.approx(bits / (20 * 70 * 50 + 3 * 64 * 64 + 30 * 90))
    assert rows[0]["seam_flicker"] is not None
    assert record["seam_flicker"] != rows[0]["seam_flicker"]  # the short clip's inside counts as well
    assert rows[2]["seam_flicker"] is None
    json.dumps(record, allow_nan=False)


def test_codebook_use_is_counted_over_the_whole_folder(folder: Path) -> None:
    tokenizer = BlockTokenizer()
    words = CodeCounts(tokenizer.spec.codebooks)
    for path in find_files(folder):
        words.add(encode_video(path, tokenizer).arrays)
    assert measure_folder(folder, tokenizer).use() == words.use()


def test_a_failed_file_is_listed_and_the_others_are_measured(folder: Path) -> None:
    (folder / "a.mp4").write_text("text with a false ending")
    (folder / "d.mp4").write_bytes((folder / "b.mp4").read_bytes()[:3000])
    score = measure_folder(folder, BlockTokenizer())
    assert [name for name, _ in score.failed] == ["a.mp4", "d.mp4"]
    assert all("/" in reason or "." in reason for _, reason in score.failed)
    assert [file.file for file in score.files] == ["b.mp4", "below/a.MOV", "c.png"]
    assert score.record()["failed"][0]["file"] == "a.mp4"


def test_an_unforeseen_error_ends_everything_unless_it_is_explained(folder: Path) -> None:
    class Failing(BlockTokenizer):
        def decode_clips(self, arrays: Mapping[str, np.ndarray], height: int, width: int) -> np.ndarray:
            if width == 64:
                raise MemoryError
            return super().decode_clips(arrays, height, width)

    with pytest.raises(MemoryError):
        measure_folder(folder, Failing())
    score = measure_folder(folder, Failing(), explain=lambda error: f"no memory ({error!r})")
    assert score.failed == [("below/a.MOV", "no memory (MemoryError())")]
    assert len(score.files) == 2
    words = CodeCounts(Failing().spec.codebooks)
    for name in ("b.mp4", "c.png"):
        words.add(encode_video(folder / name, BlockTokenizer()).arrays)
    assert score.use() == words.use()  # the failed file was encoded, and does not count


def test_a_folder_of_failures_has_no_means(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    record = measure_folder(tmp_path, BlockTokenizer()).record()
    assert record["psnr"] is record["ssim"] is record["bits_per_pixel"] is record["seam_flicker"] is None
    assert record["codebooks"]["nouns"]["used"] == 0


def test_limit_and_progress(folder: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    frames: list[tuple[int, int | None]] = []

    @contextmanager
    def watch(place: int, count: int, name: str) -> Iterator[Callable[[int, int | None], None]]:
        seen.append((place, count, name))
        yield lambda done, total: frames.append((done, total))

    score = measure_folder(folder, BlockTokenizer(), limit=2, watch=watch)
    assert len(score.files) == 2
    assert seen == [(0, 2, "b.mp4"), (1, 2, "below/a.MOV")]
    assert frames[19] == (20, 20)


def test_the_price_of_a_paper_sized_clip() -> None:
    record = clip_record(BlockTokenizer().spec)
    assert record["tokens"] == {"spatial": 256, "temporal": 1024}
    assert record["indices"] == 3840
    assert record["kbit"] == pytest.approx(16 * BITS_PER_TILE / 1000)
