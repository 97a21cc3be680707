"""Sequences a second that shards of each format give to training, on this machine.

    python benchmarks/tokens_a_second.py
    python benchmarks/tokens_a_second.py --tokens tokens/ --output levels.json

By default of made-up tokens in the fixed layout of sweettok-small, videos of four clips of 17x256x256; how
fast they are read does not depend on what they say. Each format is read by one process and by two workers,
in windows of one clip and of four, whole and as crops of 2x2 tiles, all of it in batches of 16 and shuffled.
All ways take turns, round by round, each of one epoch; figures are medians. What else the machine does falls
on all of them; processor seconds, which it does not stretch, stand beside where no workers take them. Bytes
are those of all files of the shards. Prints a table and writes ``benchmarks/results/tokens_a_second.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from machine import RESULTS, describe

from sweettok_cli.runtime import let_waiting_threads_sleep

let_waiting_threads_sleep()  # as the command line does, before torch loads

import torch  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from sweettok_cli.errors import SweettokError  # noqa: E402
from sweettok_cli.files import folder_bytes  # noqa: E402
from sweettok_cli.pipeline.export_folder import export_folder  # noqa: E402
from sweettok_cli.runtime import ignore_progress  # noqa: E402
from sweettok_cli.sequences.dataset import TokenDataset  # noqa: E402
from sweettok_cli.sequences.shards import FORMATS  # noqa: E402
from sweettok_cli.tokens import TokenMeta, Tokens, write_tokens  # noqa: E402

WORDS = {"spatial": (5078, 5078, 5403), "temporal": (1872, 1872, 9267)}
SHAPES = {"spatial": (256, 3), "temporal": (1024, 3)}
BATCH, TILE, CLIPS = 16, 64, 4
WORKERS = (0, 2)


def main() -> int:
    options = parse()
    torch.set_num_threads(1)
    try:
        compare(options)
    except SweettokError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=Path, help="token files of one model; made up by default")
    parser.add_argument("--videos", type=int, default=500, help="made up, of four clips each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shard-mb", type=float, default=2, help="of symbols of a shard")
    parser.add_argument("--output", type=Path, default=RESULTS / "tokens_a_second.json")
    return parser.parse_args()


def compare(options: argparse.Namespace) -> None:
    """Measure all formats, print and write what is found.

    Raises:
        SweettokError: no such tokens, or they have no order.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tokens = options.tokens or make(folder / "tokens", options.videos)
        written = {kind: export(tokens, folder / kind, kind, options.shard_mb) for kind in FORMATS}
        rows: dict[str, dict[str, Any]] = {kind: {**facts, "read": {}} for kind, facts in written.items()}
        ways = ways_to_read(folder / "megatron")
        found: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
        symbols: dict[str, float] = {}
        for number in range(-1, options.rounds):  # once to warm up
            for name, how in ways.items():
                for workers in WORKERS:
                    for kind in FORMATS:
                        rate, by_processor, each = read(folder / kind, how, workers)
                        symbols[name] = each
                        if number >= 0:
                            found.setdefault((kind, name, workers), []).append((rate, by_processor))
    for (kind, name, workers), measured in found.items():
        rates, by_processor_each = zip(*measured, strict=True)
        figures: dict[str, Any] = {
            "sequences_per_second": round(statistics.median(rates), 1),
            "range": [round(min(rates), 1), round(max(rates), 1)],
            "symbols_per_sequence": round(symbols[name], 1),
        }
        if not workers:  # what they take is theirs
            figures["sequences_per_cpu_second"] = round(statistics.median(by_processor_each), 1)
        rows[kind]["read"].setdefault(name, {})[f"{workers} workers"] = figures
    result = {
        "tokens": "made up, fixed layout" if options.tokens is None else "given",
        "rounds": options.rounds,
        "batch": BATCH,
        "formats": rows,
        "load": os.getloadavg()[0],
        "machine": describe(),
    }
    show(rows)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {options.output}")


def make(folder: Path, videos: int) -> Path:
    """Token files of random words."""
    folder.mkdir()
    random = np.random.default_rng(0)
    meta = TokenMeta(
        family="sweettok", model="made-up", weights_sha256="0" * 64, codebooks=WORDS, shapes=SHAPES,
        source="", image=False, width=256, height=256, padded_width=256, padded_height=256,
        frames=17 * CLIPS, rate=Fraction(25), clip_frames=17,
    )  # fmt: skip
    for number in range(videos):
        arrays = {
            name: np.stack(
                [random.integers(0, size, (CLIPS, SHAPES[name][0])) for size in sizes], -1
            ).astype("<u2")
            for name, sizes in WORDS.items()
        }  # fmt: skip
        write_tokens(folder / f"{number}.npz", Tokens(arrays, meta))
    return folder


def export(tokens: Path, out: Path, kind: str, megabytes: float) -> dict[str, Any]:
    """Write shards, as the command does; how long that took, and how large they are."""
    started = time.perf_counter()
    done = export_folder(
        [tokens], out, kind, lambda *_: nullcontext(ignore_progress), shard_bytes=round(megabytes * 1e6)
    )
    seconds = time.perf_counter() - started
    if done.failed:
        raise SweettokError(f"{done.failed[0][0]} cannot be read; leave it out.")
    record = done.record
    return {
        "videos": record["videos"],
        "clips": record["clips"],
        "shards": len(record["shards"]),
        "export_clips_per_second": round(record["clips"] / seconds, 1),
        "bytes_per_symbol": round(folder_bytes(out) / record["symbols"], 3),
    }


def ways_to_read(folder: Path) -> dict[str, dict[str, Any]]:
    """By name; crops where these tokens can be cropped."""
    ways: dict[str, dict[str, Any]] = {"1 clip": {"clips": 1}, "4 clips": {"clips": 4}}
    crop: dict[str, Any] = {"clips": 1, "crop": (2, 2), "tile": TILE}
    try:
        next(iter(TokenDataset(folder, **crop)))
    except SweettokError:
        return ways
    return ways | {"1 clip, crop of 2x2 tiles": crop}


def read(folder: Path, how: dict[str, Any], workers: int) -> tuple[float, float, float]:
    """Sequences a second, and a processor second, of an epoch behind its first batch; symbols of one."""
    dataset = TokenDataset(folder, **how)
    loader = DataLoader(dataset, batch_size=BATCH, num_workers=workers, collate_fn=dataset.collate)
    batches = iter(loader)
    first = next(batches)  # workers have started, shards are open
    started, cpu = time.perf_counter(), time.process_time()
    sequences = symbols = 0
    for batch in batches:
        sequences += len(batch["ids"])
        symbols += int(batch["length"].sum())
    if not sequences:
        raise SweettokError(f"{folder} has only {len(first['ids'])} windows; give more tokens.")
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    return sequences / seconds, sequences / cpu_seconds, symbols / sequences


def show(rows: dict[str, dict[str, Any]]) -> None:
    print(f"{'':<12} {'sequences':<26} {'symbols':>8} {'workers':>8} ", end="")
    print(f"{'sequences/s':>12} {'range':>20} {'by CPU s':>9}")
    for kind, row in rows.items():
        for name, by_workers in row["read"].items():
            for workers, figures in by_workers.items():
                span = "{:.0f} .. {:.0f}".format(*figures["range"])
                rate, symbols = figures["sequences_per_second"], figures["symbols_per_sequence"]
                by_cpu = figures.get("sequences_per_cpu_second", "")
                print(f"{kind:<12} {name:<26} {symbols:>8.0f} {workers[:2]:>8} ", end="")
                print(f"{rate:>12.0f} {span:>20} {by_cpu:>9}")
        print(
            f"{kind:<12} {row['bytes_per_symbol']} bytes a symbol, "
            f"{row['export_clips_per_second']} clips a second exported"
        )


if __name__ == "__main__":
    sys.exit(main())
