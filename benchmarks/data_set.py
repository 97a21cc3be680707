"""What a data set costs beside its model: many small sources, the manifest, going on.

    python benchmarks/data_set.py
    python benchmarks/data_set.py --sources 1000 --rows 1000 --clips examples/ --output set.json

Pictures of 8x8 pixels go through a model that gives the same tokens whatever it is shown; how much memory the
process has is noted after the first tenth and at the end. Then the same command is run again. Lines of a
manifest are made up, read, and made a table. Clips are encoded by a model in the fixed layout, with one and
two threads, one clip at once and several: how many of all indices differ. At last short videos of several
sizes, cut from the clips, are encoded as a data set, and the same frames in memory, with as many threads: how
many times as fast the whole is as the model alone. Prints a table and writes
``benchmarks/results/data_set.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from machine import EXAMPLES, RESULTS, describe

from sweettok_cli.runtime import let_waiting_threads_sleep, resident_bytes, use_one_heap

let_waiting_threads_sleep()  # as the command line does, before torch loads
use_one_heap()

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from sweettok_cli.errors import SweettokError  # noqa: E402
from sweettok_cli.models.common.budget import Budget  # noqa: E402
from sweettok_cli.models.common.tokenizer import Tokenizer  # noqa: E402
from sweettok_cli.pipeline.batch import Result  # noqa: E402
from sweettok_cli.pipeline.dataset import Settings  # noqa: E402
from sweettok_cli.pipeline.encode import encode_video  # noqa: E402
from sweettok_cli.pipeline.encode_dataset import Sources, Workforce, encode_dataset  # noqa: E402
from sweettok_cli.pipeline.manifest import Manifest  # noqa: E402
from sweettok_cli.pipeline.manifest_table import write_table  # noqa: E402
from sweettok_cli.pipeline.plan import Job  # noqa: E402
from sweettok_cli.pipeline.row import Row  # noqa: E402
from sweettok_cli.tokens.layout import TokenizerSpec  # noqa: E402
from sweettok_cli.video.images import write_image  # noqa: E402
from sweettok_cli.video.pixels import write_video  # noqa: E402
from sweettok_cli.video.reader import VideoReader  # noqa: E402
from sweettok_cli.video.source import VIDEOS, find_files  # noqa: E402
from sweettok_cli.zoo.load import load  # noqa: E402

MIB = 1 << 20
SIDES = 128, 160, 192, 256  # pixels of the short videos' frames
WAYS = ((2, 1), (1, 2), (1, 4))  # threads and clips at once, beside one of each


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=200_000, help="of a manifest")
    parser.add_argument("--clips", type=Path, default=EXAMPLES)
    parser.add_argument("--short", type=int, default=200, help="short videos")
    parser.add_argument("--threads", type=int, default=2, help="of the model, for these")
    parser.add_argument("--model", default="sweettok-small")
    parser.add_argument("--output", type=Path, default=RESULTS / "data_set.json")
    options = parser.parse_args()
    try:
        clips = find_files(options.clips, VIDEOS)
        if not clips:
            raise SweettokError(f"{options.clips} holds no clips; name a folder that does.")
        with tempfile.TemporaryDirectory() as place:
            found = {
                **many(Path(place), options.sources),
                **manifest(Path(place, "rows"), options.rows),
                **ways(clips, options.model),
                **beside_model(Path(place, "short"), clips, options.short, options.model, options.threads),
            }
    except SweettokError as error:
        print(error, file=sys.stderr)
        return 1
    for name, value in found.items():
        print(f"{name:24} {value}")
    options.output.write_text(json.dumps({**describe(), **found}, indent=1) + "\n")
    return 0


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


def ways(clips: list[Path], model: str) -> dict[str, Any]:
    """Indices that differ where threads and batches do."""
    tokenizer = load(model, "cpu", "float32")

    def indices(threads: int, at_once: int) -> np.ndarray:
        torch.set_num_threads(threads)
        budget = Budget(fixed=bool(tokenizer.spec.levels))
        tokens = [encode_video(clip, tokenizer, batch_clips=at_once, budget=budget) for clip in clips]
        return np.concatenate([each.arrays[name].ravel() for each in tokens for name in sorted(each.arrays)])

    one = indices(1, 1)
    differ = {f"{t} threads, {n} at once": int((indices(t, n) != one).sum()) for t, n in WAYS}
    return {"model": tokenizer.spec.name, "indices": int(one.size), "indices_that_differ": differ}


def beside_model(folder: Path, clips: list[Path], count: int, model: str, threads: int) -> dict[str, Any]:
    """Clips a second of a data set of short videos, over those of the model with the frames in memory."""
    luck, videos = np.random.default_rng(0), []
    pictures = [read_video(clip) for clip in clips]
    (folder / "in").mkdir(parents=True)
    for number in range(count):
        source = pictures[number % len(pictures)]
        length, side = int(luck.integers(17, 52)), SIDES[number % len(SIDES)]
        start = int(luck.integers(max(1, len(source) - length)))
        videos.append(np.ascontiguousarray(source[start : start + length, :side, :side]))
        write_video(folder / "in" / f"{number:04}.mp4", videos[-1], rate=24)
    tokenizer, budget = load(model, "cpu", "float32"), Budget(fixed=True)
    torch.set_num_threads(threads)
    tokenizer.encode(videos[0], budget=budget)  # the first time is to warm up
    files = sorted((folder / "in").iterdir())
    held = [read_video(path) for path in files]
    start = time.perf_counter()
    encoded = sum(tokenizer.encode(frames, budget=budget).meta.clips for frames in held)
    alone = time.perf_counter() - start
    settings = Settings(tokenizer.spec, {"budget": budget})
    start, found = time.perf_counter(), 0
    for result in encode_dataset(
        Sources([folder / "in"], folder / "out"), settings, Workforce(lambda device: tokenizer), Look(), print
    ):
        if result.error is not None:
            raise result.error
        found += result.meta.clips if result.meta else 0
    whole = time.perf_counter() - start
    assert found == encoded
    return {
        "short_videos": count,
        "short_clips": encoded,
        "threads": threads,
        "clips_per_second": round(encoded / whole, 2),
        "clips_per_second_of_the_model": round(encoded / alone, 2),
        "of_the_model": round(alone / whole, 3),
        "milliseconds_a_file_beside_the_model": round(1000 * (whole - alone) / count, 1),
    }


def read_video(path: Path) -> np.ndarray:
    with VideoReader(path) as reader:
        return np.stack([frame.rgb for frame in reader])


if __name__ == "__main__":
    sys.exit(main())
