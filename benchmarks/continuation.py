"""Whether what a generator lets follow a clip is nearer to what did follow than the last frame, repeated.

    python benchmarks/continuation.py RUN VIDEOS

RUN is a run of ``sweettok train`` or the folder of a generator, VIDEOS a folder of videos that it was not
trained on, of the size that it has learned. Behind every whole clip that another one follows, the first four
frames that the generator makes are held against those of the source: PSNR in dB of 8-bit RGB, the mean of
the frames' decibels, of clips, of videos.

    repeated      the source's own last frame before them, again and again
    repeated, decoded    the same frame as the tokens have it: what a generator can know of it
    generated     temperature 0, so one video: the likeliest symbol each time
    drawn         temperature 1, mean of three; and the mean picture of these three
    tokens        those of the source itself, decoded: no generator can be expected to be better

Prints a table, also by how far the picture moves, and writes ``benchmarks/results/continuation.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import RESULTS, describe
from rich.console import Console
from rich.table import Table

from sweettok_cli.data.clips import find_entries
from sweettok_cli.errors import SweettokError
from sweettok_cli.generation.folder import find_generator
from sweettok_cli.generation.generator import VideoGenerator
from sweettok_cli.generation.prompt import read_prompt
from sweettok_cli.generation.sampling import Drawing
from sweettok_cli.generation.wish import Wish
from sweettok_cli.metrics.psnr import psnr
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.tokens.meta import Tokens
from sweettok_cli.video.reader import VideoReader
from sweettok_cli.zoo.load import load

NEW, DRAWS = 4, 3
GREEDY = Drawing(temperature=0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run, or the folder of a generator")
    parser.add_argument("videos", type=Path, help="folder of videos")
    parser.add_argument("--clips", type=int, default=3, help="places of a video at most")
    parser.add_argument("--tokenizer", help="name or folder of the tokenizer")
    parser.add_argument("--output", type=Path, default=RESULTS / "continuation.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        generator = VideoGenerator(find_generator(options.run), "cpu")
        tokenizer = load(options.tokenizer or generator.card.vocabulary.model, "cpu", "float32")
        rows = []
        for entry in find_entries([options.videos]):
            rows += list(places_of(Path(str(entry.path)), generator, tokenizer, options.clips))
            print(f"{entry.name}: {len(rows)} places", file=sys.stderr)
        if not rows:
            raise SweettokError(f"No video of {options.videos} is two clips long; give longer ones.")
    except SweettokError as error:
        print(error, file=sys.stderr)
        return 1
    result = {
        "generator": {"name": generator.card.name, **vars(generator.card.config)},
        "tokenizer": tokenizer.spec.weights_sha256,
        "places": len(rows),
        "psnr": means(rows),
        "by_motion": {name: {"places": len(some), **means(some)} for name, some in by_motion(rows)},
        "rows": rows,
        "machine": describe(),
    }
    show(result)
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def places_of(
    path: Path, generator: VideoGenerator, tokenizer: Tokenizer, most: int
) -> Iterator[dict[str, Any]]:
    """A row of PSNR for each place of a video where a clip ends and another follows."""
    tokens = read_prompt(path, generator.card.like, tokenizer)
    with VideoReader(path) as reader:
        frames = np.stack([frame.rgb for frame in reader])
    length = generator.card.like.clip_frames
    decoded = tokenizer.decode(tokens)
    if frames.shape != decoded.shape:
        raise SweettokError(f"{path} is not of {decoded.shape[2]}x{decoded.shape[1]}; give videos of that.")
    for clips in range(1, min(most, len(frames) // length - 1) + 1):
        cut = slice(clips * length, clips * length + NEW)
        truth, last = frames[cut], cut.start - 1
        drawn = [made(generator, tokenizer, tokens, clips, Drawing(), seed) for seed in range(DRAWS)]
        mean = np.rint(np.mean(drawn, axis=0)).astype(np.uint8)
        found = {
            "repeated": compare(truth, np.repeat(frames[last : last + 1], NEW, axis=0)),
            "repeated, decoded": compare(truth, np.repeat(decoded[last : last + 1], NEW, axis=0)),
            "generated": compare(truth, made(generator, tokenizer, tokens, clips, GREEDY, 0)),
            "drawn": float(np.mean([compare(truth, one) for one in drawn])),
            "drawn, mean picture": compare(truth, mean),
            "tokens": compare(truth, decoded[cut]),
        }
        yield {"video": path.name, "clips": clips, **{name: round(value, 3) for name, value in found.items()}}


def made(
    generator: VideoGenerator, tokenizer: Tokenizer, tokens: Tokens, clips: int, drawing: Drawing, seed: int
) -> np.ndarray:
    """The first new frames behind so many clips."""
    start = clips * generator.card.like.clip_frames
    wish = Wish(prompt=tokens, prompt_clips=clips, frames=start + NEW, seed=seed, drawing=drawing)
    (found,) = generator.generate(1, wish)
    return tokenizer.decode(found)[start:]


def compare(truth: np.ndarray, frames: np.ndarray) -> float:
    return float(np.mean([psnr(a, b) for a, b in zip(truth, frames, strict=True)]))


def by_motion(rows: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Places in three parts of one size: those by how little a repeated frame is like what follows."""
    ordered = sorted(rows, key=lambda row: row["repeated"])
    edges = np.linspace(0, len(ordered), 4).astype(int)
    names = "most motion", "some motion", "least motion"
    return [(name, ordered[a:b]) for name, a, b in zip(names, edges, edges[1:], strict=False) if b > a]


def means(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Mean of videos, each the mean of its places."""
    names = [name for name in rows[0] if name not in ("video", "clips")]
    videos = {row["video"] for row in rows}
    of = {video: [row for row in rows if row["video"] == video] for video in videos}
    return {
        name: round(float(np.mean([np.mean([row[name] for row in some]) for some in of.values()])), 3)
        for name in names
    }


def show(result: dict[str, Any]) -> None:
    parts = {"all": result["psnr"], **result["by_motion"]}
    table = Table("dB of the first four new frames", *parts)
    for name in result["psnr"]:
        table.add_row(name, *(f"{part[name]:.2f}" for part in parts.values()))
    Console().print(table)
    print(f"{result['places']} places")


if __name__ == "__main__":
    sys.exit(main())
