"""A training run that takes seconds: clips and a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from sweettok_cli.runtime import OnProgress
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


def tiny_values() -> dict[str, object]:
    """What :func:`tiny` is made of."""
    quiet = {"checkpoint_every": 0, "sample_every": 0, "validate_every": 0, "log_every": 2}
    data = {"crop": [[64, 2, 1.0], [64, 4, 0.5]], "init_samples": 0, "hold_out": 1, "prefetch": 2}
    return {"steps": 6, "lr": 1e-3, "warmup": 2, "precision": "fp32", "model": TINY_NETWORK, **quiet, **data}


class Heard:
    """The voice of a run, kept: what was said, what was warned of, and how far each thing came."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []
        self.done: dict[str, list[int]] = {}

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.warned.append(text)

    def record(self, record: Mapping[str, Any], sentence: str, new: bool) -> None:
        if new and record["kind"] == "warning":
            self.warned.append(record["event"])
        elif new:
            self.said.append(sentence)

    def watch(self, unit: str) -> AbstractContextManager[OnProgress]:
        return self.progress("training", unit)

    @contextmanager
    def progress(self, label: str, unit: str) -> Iterator[OnProgress]:
        yield lambda done, total: self.done.setdefault(label, []).append(done)
