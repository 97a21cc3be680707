"""A data set that tests encode, and what became of it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from block_tokenizer import BlockTokenizer

from sweettok_cli.pipeline.batch import Result
from sweettok_cli.pipeline.dataset import Settings
from sweettok_cli.pipeline.encode_dataset import Sources, Workforce, encode_dataset
from sweettok_cli.pipeline.manifest import Manifest
from sweettok_cli.pipeline.plan import Job
from sweettok_cli.pipeline.row import Row
from sweettok_cli.pipeline.share import Share
from sweettok_cli.video import write_image

WEIGHTS = "b10c" * 16


class Look:
    """Who looks on, and keeps what is told."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, int]] = []
        self.ended: list[tuple[str, int]] = []

    def begin(self, jobs: int, size: int) -> None:
        self.begun.append((jobs, size))

    def part(self, job: Job, done: float, total: int | None) -> None:
        assert done

    def over(self, result: Result, size: int) -> None:
        self.ended.append((result.source.name, size))

    def tick(self) -> None: ...


def picture(path: Path, grey: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.full((16, 32, 3), grey, np.uint8), force=True)
    return path


class Encoded:
    """A data set in ``out`` beside what is encoded, and the tokenizers that were loaded for it."""

    def __init__(self, out: Path) -> None:
        self.out, self.loaded, self.look = out, [], Look()
        self.kind: Callable[..., BlockTokenizer] = BlockTokenizer
        self.said: list[str] = []

    def __call__(
        self, *inputs: Path, weights: str = WEIGHTS, share: Share | None = None, **how: Any
    ) -> list[Result]:
        def load(device: str) -> BlockTokenizer:
            assert device == "cpu"
            self.loaded.append(self.kind(weights_sha256=weights))
            return self.loaded[-1]

        options = {
            name: how.pop(name) for name in ("overlap", "budget", "strict", "keep_going") if name in how
        }
        spec = BlockTokenizer(weights_sha256=weights).spec
        return list(
            encode_dataset(
                Sources(inputs, self.out, **{name: how.pop(name) for name in ("frames",) if name in how}),
                Settings(spec, options, **how),
                Workforce(load, share=share or Share()),
                self.look,
                self.said.append,
            )
        )

    def heard(self) -> list[str]:
        """What was said since the last call."""
        said, self.said = self.said, []
        return said

    def rows(self) -> list[Row]:
        with Manifest(self.out) as manifest:
            return list(manifest.rows())

    def batches(self) -> int:
        return sum(len(tokenizer.batches) for tokenizer in self.loaded)


def statuses(results: list[Result]) -> dict[str, str]:
    return {result.source.name: result.status for result in results}


def pack(tar: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(tar, "w") as archive:
        for name, data in members:
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return tar
