"""What figures over whole clips do not show: centre crops, single pictures, flat fields.

    python benchmarks/crops.py VAL
    python benchmarks/crops.py VAL sweettok-small MODEL ...

crops     the middle 256x256 of the first 17 frames of each clip, as `sweettok train --val` takes it
pictures  the first frame of each of these, as an image of its own
flat      one colour, 128x128, as a clip of 17 frames and as an image: the lowest of twelve, and the mean

PSNR in dB of 8-bit RGB, the mean of the frames' decibels; float32. Each goes through `encode` and
`decode` of the Python API. Prints a table, writes ``benchmarks/results/crops.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from machine import RESULTS, describe
from rich.console import Console
from rich.table import Table

from sweettok_cli.data.clips import find_entries
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.training.samples import centre_clip, mean_psnr
from sweettok_cli.zoo.load import load

SIDE, FRAMES, FIELD = 256, 17, 128
COLOURS = {
    **{"green": (0, 255, 0), "red": (255, 0, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0)},
    **{"cyan": (0, 255, 255), "magenta": (255, 0, 255), "white": (255, 255, 255), "black": (0, 0, 0)},
    **{"grey": (128, 128, 128), "orange": (255, 128, 0), "violet": (128, 0, 255), "lime": (128, 255, 0)},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of clips")
    parser.add_argument("models", nargs="*", default=["sweettok-small"], help="names or folders")
    parser.add_argument("--output", type=Path, default=RESULTS / "crops.json")
    options = parser.parse_args()
    try:
        clips = dict(read(options.clips))
        rows = [measure(model, clips) for model in options.models]
    except SweettokError as error:
        print(error, file=sys.stderr)
        return 1
    show(rows)
    result = {"clips": list(clips), "side": SIDE, "frames": FRAMES, "rows": rows, "machine": describe()}
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def read(folder: Path) -> Iterable[tuple[str, np.ndarray]]:
    """Centre crops by name, uint8 [17, 256, 256, 3]."""
    for entry in find_entries([folder]):
        yield entry.name, centre_clip(entry, FRAMES, SIDE)


def measure(model: str, clips: dict[str, np.ndarray]) -> dict[str, Any]:
    """The row of a model."""
    tokenizer = load(model, "cpu", "float32")
    row: dict[str, Any] = {"model": model, "weights_sha256": tokenizer.spec.weights_sha256}
    row["crops"] = {name: psnr(tokenizer, clip) for name, clip in clips.items()}
    row["pictures"] = {name: psnr(tokenizer, clip[0]) for name, clip in clips.items()}
    for kind, frames in (("flat clips", (FRAMES,)), ("flat pictures", ())):
        row[kind] = {
            name: psnr(tokenizer, np.full((*frames, FIELD, FIELD, 3), colour, np.uint8))
            for name, colour in COLOURS.items()
        }
    return row


def psnr(tokenizer: Tokenizer, video: np.ndarray) -> float:
    """Of uint8 [t, h, w, 3], or of an image [h, w, 3], there and back, in dB."""
    return psnr_of(video, tokenizer.decode(tokenizer.encode(video)))


def psnr_of(video: np.ndarray, made: np.ndarray) -> float:
    """Of uint8 [t, h, w, 3], or of an image [h, w, 3], against what was made of it, in dB."""
    frames = video.reshape(-1, *video.shape[-3:])
    return round(mean_psnr(frames, made.reshape(frames.shape)), 3)


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="PSNR, dB")
    for name in ("model", "crops", "pictures", "flat clips", "flat pictures"):
        table.add_column(name)
    for row in rows:
        means = [f"{np.mean(list(row[kind].values())):.2f}" for kind in ("crops", "pictures")]
        flat = [[*row[kind].values()] for kind in ("flat clips", "flat pictures")]
        table.add_row(row["model"], *means, *(f"{min(found):.1f} ({np.mean(found):.1f})" for found in flat))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
