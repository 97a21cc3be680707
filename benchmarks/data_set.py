"""What a data set costs beside its model: many small sources, the manifest, going on.

    python benchmarks/data_set.py
    python benchmarks/data_set.py --sources 1000 --rows 1000 --output set.json

Pictures of 8x8 pixels go through a model that gives the same tokens whatever it is shown; how much memory the
process has is noted after the first tenth and at the end. Then the same command is run again. Lines of a
manifest are made up, read, and made a table. Prints a table and writes
``benchmarks/results/data_set.json``. ``benchmarks/short_clips.py`` has a real model beside a data set.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from machine import RESULTS, describe

from sweettok_cli.runtime import let_waiting_threads_sleep, resident_bytes, use_one_heap

let_waiting_threads_sleep()  # as the command line does, before torch loads
use_one_heap()

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from sweettok_cli.models.common.tokenizer import Tokenizer  # noqa: E402
from sweettok_cli.pipeline.batch import Result  # noqa: E402
from sweettok_cli.pipeline.dataset import Settings  # noqa: E402
from sweettok_cli.pipeline.encode_dataset import Sources, Workforce, encode_dataset  # noqa: E402
from sweettok_cli.pipeline.manifest import Manifest  # noqa: E402
from sweettok_cli.pipeline.manifest_table import write_table  # noqa: E402
from sweettok_cli.pipeline.plan import Job  # noqa: E402
from sweettok_cli.pipeline.row import Row  # noqa: E402
from sweettok_cli.tokens.layout import TokenizerSpec  # noqa: E402
from sweettok_cli.video.images import write_image  # noqa: E402

MIB = 1 << 20


class Zeros(Tokenizer):
    """A model that takes no time."""

    def __init__(self) -> None:
        self.spec = TokenizerSpec(
            name="zeros",
            codebooks={"spatial": [256] * 3, "temporal": [256] * 3},
            weights_sha256="0" * 64,
        )

    def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
        count, frames, height, width, _ = clips.shape
        squares = height * width // 256
        return {
            "spatial": torch.zeros(count, squares, 3, dtype=torch.int64),
            "temporal": torch.zeros(count, squares * 4 * (frames > 1), 3, dtype=torch.int64),
        }

    def decode_batch(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Tensor:
        raise NotImplementedError


class Look:
    """Notes memory after the first tenth."""

    def __init__(self) -> None:
        self.jobs = self.place = self.early = 0

    def begin(self, jobs: int, size: int) -> None:
        self.jobs = jobs

    def part(self, job: Job, done: float, total: int | None) -> None: ...

    def over(self, result: Result, size: int) -> None:
        self.place += 1
        if self.place == self.jobs // 10:
            self.early = resident_bytes()

    def tick(self) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=200_000, help="of a manifest")
    parser.add_argument("--output", type=Path, default=RESULTS / "data_set.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found = {
            **many(Path(place), options.sources),
            **manifest(Path(place, "rows"), options.rows),
        }
    for name, value in found.items():
        print(f"{name:24} {value}")
    options.output.write_text(json.dumps({**describe(), **found}, indent=1) + "\n")


def many(folder: Path, count: int) -> dict[str, Any]:
    """Encode so many pictures, and run the same again."""
    for number in range(count):
        path = folder / "in" / f"{number // 1000}" / f"{number:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, np.full((8, 8, 3), number % 256, np.uint8))
        with open(path, "ab") as stream:  # behind its end, so that no two hold the same
            stream.write(number.to_bytes(4, "big"))
    seconds, early, late = [], 0, 0
    for _ in range(2):
        look, start = Look(), time.perf_counter()
        results = encode_dataset(
            Sources([folder / "in"], folder / "out"),
            Settings(Zeros().spec),
            Workforce(lambda device: Zeros()),
            look,
            print,
        )
        for result in results:
            if result.error is not None:
                raise result.error
            if look.jobs and look.place == look.jobs:
                early, late, look.jobs = look.early, resident_bytes(), 0
        seconds.append(time.perf_counter() - start)
    return {
        "sources": count,
        "sources_per_second": round(count / seconds[0], 1),
        "again_seconds": round(seconds[1], 2),
        "mib_after_a_tenth": early // MIB,
        "mib_at_the_end": late // MIB,
    }


def manifest(folder: Path, rows: int) -> dict[str, Any]:
    """Read made-up lines, two a row, and make them a table."""
    folder.mkdir()
    with open(folder / "manifest.jsonl", "wb") as stream:
        for number in range(rows):
            name, key = f"{number // 1000:04}/clip {number:07}", f"{number:064x}"
            begun = Row(f"videos/{name}.mp4", f"{name}.npz", "begun", key, key, at=1e9 + number)
            done = Row(
                *(f"videos/{name}.mp4", f"{name}.npz", "done", key, key, 250, 256, 256, 25.0, 15, 18000),
                *(670000.5, 60000, "sweettok-small", key),
                seconds=1.234, source_bytes=123456, mtime_ns=1 << 60, inode=1 << 30, at=1e9 + number,
            )  # fmt: skip
            stream.write(begun.line() + done.line())
    size, before = (folder / "manifest.jsonl").stat().st_size, resident_bytes()
    start = time.perf_counter()
    with Manifest(folder) as found:
        read, held = time.perf_counter() - start, resident_bytes() - before
        start = time.perf_counter()
        table = write_table(found)
        written = time.perf_counter() - start
    return {
        "rows": rows,
        "lines_mb": round(size / 1e6, 1),
        "read_seconds": round(read, 2),
        "bytes_held_per_row": held // rows,
        "table_seconds": round(written, 2),
        "table_mb": round(table.stat().st_size / 1e6, 1),
    }


if __name__ == "__main__":
    main()
