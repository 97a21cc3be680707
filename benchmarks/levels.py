"""What tokens buy where they count: a model with levels, at several budgets and in the fixed layout.

    python benchmarks/levels.py VAL MODEL
    python benchmarks/levels.py VAL MODEL --budgets 640,1280,2560 --than sweettok-small

The middle 256x256 of the first 17 frames of each clip, and the first frame of each as an image, through
`encode` and `decode` of the Python API in float32. PSNR in dB of 8-bit RGB, the mean of the frames' decibels;
tokens and true bits, those of the counts too, are means of a clip. ``--than`` names a model without levels to
compare with. Prints a table, writes ``benchmarks/results/levels.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from crops import psnr_of, read
from machine import RESULTS, describe
from rich.console import Console
from rich.table import Table

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.budget import Budget
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.tokens.layout import token_cost
from sweettok_cli.zoo.load import load


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of clips")
    parser.add_argument("model", help="with levels: a name or a folder")
    parser.add_argument("--budgets", default="640,960,1280,1920,2560", help="tokens of a clip")
    parser.add_argument("--pictures", default="256,512,1024", help="tokens of an image")
    parser.add_argument("--than", help="a model without levels, by name or folder")
    parser.add_argument("--output", type=Path, default=RESULTS / "levels.json")
    options = parser.parse_args()
    try:
        clips = dict(read(options.clips))
        rows = [] if options.than is None else measure(options.than, clips, [], [])
        budgets = [[float(n) for n in given.split(",")] for given in (options.budgets, options.pictures)]
        rows += measure(options.model, clips, *budgets)
    except SweettokError as error:
        print(error, file=sys.stderr)
        return 1
    show(rows)
    result = {"clips": list(clips), "rows": rows, "machine": describe()}
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def measure(
    model: str, clips: dict[str, np.ndarray], budgets: list[float], pictures: list[float]
) -> list[dict[str, Any]]:
    """The rows of a model: the fixed layout, then every budget."""
    tokenizer = load(model, "cpu", "float32")
    facts = {"model": Path(model).name, "weights_sha256": tokenizer.spec.weights_sha256}
    images = {name: clip[0] for name, clip in clips.items()}
    rows = []
    for kind, videos, numbers in (("clips", clips, budgets), ("pictures", images, pictures)):
        for budget in (Budget(fixed=True), *(Budget(tokens=number) for number in numbers)):
            found = {name: coded(tokenizer, video, budget) for name, video in videos.items()}
            means = np.mean([[row[key] for key in ("psnr", "tokens", "bits")] for row in found.values()], 0)
            named = {**facts, "of": kind, "budget": str(budget)}
            rows.append(
                {**named, **dict(zip(("psnr", "tokens", "bits"), means.round(3), strict=True)), "each": found}
            )
    return rows


def coded(tokenizer: Tokenizer, video: np.ndarray, budget: Budget) -> dict[str, float]:
    """PSNR, tokens and bits of one."""
    tokens = tokenizer.encode(video, budget=budget)
    cost = token_cost(tokens.meta)
    psnr = psnr_of(video, tokenizer.decode(tokens))
    return {"psnr": psnr, "tokens": cost.tokens, "bits": round(cost.bits)}


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="means of a clip, of a picture")
    for name in ("model", "of", "budget", "tokens", "kbit", "PSNR, dB"):
        table.add_column(name)
    for row in rows:
        figures = f"{row['tokens']:.0f}", f"{row['bits'] / 1000:.2f}", f"{row['psnr']:.2f}"
        table.add_row(row["model"], row["of"], row["budget"], *figures)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
