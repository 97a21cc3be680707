"""Data sets whose videos fill batches together."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from encoded_dataset import Look
from torch import Tensor

from sweettok_cli.models.common.budget import Budget
from sweettok_cli.pipeline.batch import Result
from sweettok_cli.pipeline.dataset import Settings
from sweettok_cli.pipeline.encode_dataset import Sources, Workforce, encode_dataset
from sweettok_cli.pipeline.manifest import Manifest
from sweettok_cli.pipeline.row import Row
from sweettok_cli.pipeline.shared_model import Filling
from sweettok_cli.tokens import read_tokens
from sweettok_cli.tokens.layout import TiledTokens, TokenizerSpec
from sweettok_cli.video import write_image
from sweettok_cli.video.pixels import write_video
from sweettok_cli.zoo.load import load


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short videos of two padded sizes and three lengths, pictures, and a file that is no video."""
    folder = tmp_path_factory.mktemp("short")
    for number in range(12):
        luck = np.random.default_rng(number)
        side, length = (32, 30, 48)[number % 3], (17, 20, 36, 5)[number % 4]
        small = luck.integers(0, 256, (length, side // 6, 8, 3), dtype=np.uint8)
        write_video(folder / f"{number:02}.mp4", small.repeat(6, 1).repeat(6, 2), rate=24)
        write_image(folder / f"{number:02}.png", small[0].repeat(6, 0).repeat(6, 1))
    (folder / "05 none.mp4").write_bytes(b"text")
    return folder


def encoded(
    videos: Path, out: Path, tokenizer: BlockTokenizer, **options: Any
) -> tuple[list[Result], list[Row], dict[str, bytes]]:
    settings, workforce = Settings(tokenizer.spec, options), Workforce(lambda device: tokenizer)
    results = list(encode_dataset(Sources([videos], out), settings, workforce, Look(), pytest.fail))
    with Manifest(out) as manifest:
        rows = [replace(row, seconds=0.0, at=0.0) for row in manifest.rows()]
    return results, rows, {path.name: path.read_bytes() for path in out.glob("*.npz")}


def test_full_batches_change_neither_tokens_nor_rows_nor_order(videos: Path, tmp_path: Path) -> None:
    alone, together = BlockTokenizer(1), BlockTokenizer(1)
    results, rows, files = encoded(videos, tmp_path / "one", alone, batch_clips=1)
    again, rows_together, files_together = encoded(videos, tmp_path / "six", together, batch_clips=6)
    assert [(r.source, r.status) for r in again] == [(r.source, r.status) for r in results]
    assert [r.status for r in results].count("failed") == 1 and len(results) == 25
    assert rows_together == rows and files_together == files and len(files) == 24
    assert {shape[0] for shape in alone.batches} == {1}
    clips = sum(shape[0] for shape in together.batches)
    assert clips == len(alone.batches) and len(together.batches) < clips / 2
    assert max(shape[0] for shape in together.batches) == 6


class Failing(BlockTokenizer):
    """Runs out of memory with more than one clip."""

    def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
        if len(clips) > 1:
            self.batches.append(clips.shape)
            raise RuntimeError("out of memory")
        return super().encode_batch(clips)


def test_what_does_not_go_together_goes_one_by_one(videos: Path, tmp_path: Path) -> None:
    _, rows, files = encoded(videos, tmp_path / "one", BlockTokenizer(1), batch_clips=1)
    failing = Failing(1)
    _, rows_together, files_together = encoded(videos, tmp_path / "many", failing, batch_clips=16)
    assert rows_together == rows and files_together == files
    assert max(shape[0] for shape in failing.batches) > 1


class Interrupted(BlockTokenizer):
    """Sends Ctrl-C to whoever reads the results, when it is at its third batch."""

    def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
        if len(self.batches) == 2:
            interrupted.set()
        return super().encode_batch(clips)


interrupted = threading.Event()


def test_an_interruption_leaves_no_source_failed(videos: Path, tmp_path: Path) -> None:
    tokenizer = Interrupted(1)
    settings, workforce = Settings(tokenizer.spec, {"batch_clips": 2}), Workforce(lambda device: tokenizer)
    results = encode_dataset(Sources([videos], tmp_path / "out"), settings, workforce, Look(), pytest.fail)
    next(results)
    assert interrupted.wait(600)
    results.close()
    assert not [each for each in threading.enumerate() if each.name in ("crew", "batcher", "read-ahead")]
    assert not list((tmp_path / "out").glob(".*"))
    lines = (tmp_path / "out" / "manifest.jsonl").read_bytes().splitlines()
    ends = [row.status for line in lines if (row := Row.read(line))]
    assert 0 < ends.count("done") < ends.count("begun")  # some were given up
    assert ends.count("failed") <= 1  # what is no video
    _, rows, files = encoded(videos, tmp_path / "out", BlockTokenizer(1), batch_clips=2)
    _, wanted, wanted_files = encoded(videos, tmp_path / "one", BlockTokenizer(1), batch_clips=1)
    assert rows == wanted and files == wanted_files


def test_what_is_filled_and_how_much() -> None:
    codebooks = {"spatial": [256] * 3}
    plain = TokenizerSpec(name="a", codebooks=codebooks, weights_sha256="0" * 64)
    assert Filling.of(plain, {}, "cpu") is None
    assert Filling.of(plain, {"batch_clips": 1}, "cuda:1") is None
    assert Filling.of(plain, {}, "cuda:1") == Filling(32, 4, None)
    assert Filling.of(plain, {"batch_clips": 4}, "cpu") == Filling(8, 1, 4)
    assert Filling.of(plain, {"batch_clips": 64}, "cuda") == Filling(32, 4, 64)
    shares = replace(plain, layout=TiledTokens(levels={"detail": 6}))
    assert Filling.of(shares, {"batch_clips": 4}, "cuda") is None
    assert Filling.of(shares, {"batch_clips": 4, "budget": Budget(fixed=True)}, "cuda") is not None
    assert Filling.of(replace(plain, codebooks={}), {"batch_clips": 4}, "cuda") is None


@pytest.mark.gpu
def test_a_gpu_is_given_full_batches_and_gives_nearly_the_same(
    videos: Path, tmp_path: Path, model_folder: Path
) -> None:
    tokens = []
    for name, batch_clips in (("one", 1), ("by memory", None)):
        tokenizer = load(str(model_folder), "cuda", "float32")
        settings = Settings(tokenizer.spec, {"batch_clips": batch_clips})
        workforce = Workforce(lambda device, tokenizer=tokenizer: tokenizer, lambda: ["cuda"])
        results = encode_dataset(Sources([videos], tmp_path / name), settings, workforce, Look(), pytest.fail)
        assert [result.status for result in results].count("done") == 24
        files = sorted((tmp_path / name).glob("*.npz"))
        tokens.append(
            np.concatenate([a.ravel() for file in files for a in read_tokens(file).arrays.values()])
        )
    assert (tokens[0] == tokens[1]).mean() > 0.99
