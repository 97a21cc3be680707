"""Clips, words and a network small enough to train in a test."""

from __future__ import annotations

import io
import tarfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from small_network import word_prior

from sweettok_cli.codebook.prior import save_prior
from sweettok_cli.training.recipe import Recipe, recipe_from
from sweettok_cli.video.writer import VideoWriter

TINY_NETWORK = {
    "preset": "compact",
    "dim": 32,
    "heads": 2,
    "head_dim": 16,
    "tile": 8,
    "spatial_queries": 4,
    "encoder_spatial": "tt",
    "encoder_temporal": "t",
    "decoder_spatial": "tt",
    "temporal_every": 1,
    "code_dim": 16,
    "proxy_codes": 0,
    "scrambled": False,
}


def write_clip(path: Path, seed: int, frames: int = 24, width: int = 96, height: int = 80) -> None:
    """A noisy picture that slides to the right."""
    random = np.random.default_rng(seed)
    picture = np.kron(random.integers(0, 255, (10, 20, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    with VideoWriter(path, width, height, Fraction(25)) as writer:
        for t in range(frames):
            writer.write(np.ascontiguousarray(np.roll(picture, 2 * t, axis=1)[:height, :width]))


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three clips and a tar shard with three more, one of them shorter than a sample."""
    folder = tmp_path_factory.mktemp("clips")
    shelf = tmp_path_factory.mktemp("shelf")
    (folder / "inner").mkdir()
    for i in range(3):
        write_clip(folder / "inner" / f"loose{i}.mp4", i)
    with tarfile.open(folder / "shard.tar", "w") as shard:
        for i in range(3):
            write_clip(shelf / f"packed{i}.mp4", 10 + i, frames=9 if i == 2 else 30)
            data = (shelf / f"packed{i}.mp4").read_bytes()
            member = tarfile.TarInfo(f"packed{i}.mp4")
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))
    (folder / "notes.txt").write_text("no clip")
    return folder


@pytest.fixture(scope="session")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word prior of a few dozen words with random vectors."""
    folder = tmp_path_factory.mktemp("words") / "prior"
    save_prior(word_prior(), folder)
    return folder


@pytest.fixture
def tiny() -> Recipe:
    """Six steps of the tiny network on 64-pixel crops, in float32."""
    return recipe_from(tiny_values(), "test")


def tiny_values() -> dict[str, object]:
    """What :func:`tiny` is made of."""
    quiet = {"checkpoint_every": 0, "sample_every": 0, "validate_every": 0, "log_every": 2}
    data = {"crop": [[64, 2, 1.0], [64, 4, 0.5]], "init_samples": 0, "hold_out": 1, "prefetch": 2}
    return {"steps": 6, "lr": 1e-3, "warmup": 2, "precision": "fp32", "model": TINY_NETWORK, **quiet, **data}
