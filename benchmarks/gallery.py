"""Pictures of what a generator draws: a moving one and a grid of frames.

    python benchmarks/gallery.py RUN [--prompts examples]

Two rows of new videos, one after the other seed, and below them how videos of ``--prompts`` go on: their
first clip as its tokens have it, then what the generator lets follow. The temperature and the rest are those
of ``sweettok generate``. Writes ``generated.gif`` (all of them, side by side) and ``generated.png``
(a video a row, every fifth frame) into ``docs``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from machine import EXAMPLES
from PIL import Image

from sweettok_cli.data.clips import find_entries
from sweettok_cli.errors import SweettokError
from sweettok_cli.generation.folder import find_generator
from sweettok_cli.generation.generator import VideoGenerator
from sweettok_cli.generation.prompt import read_prompt
from sweettok_cli.generation.sampling import Drawing
from sweettok_cli.generation.wish import Wish
from sweettok_cli.zoo.load import load

DOCS = EXAMPLES.parent / "docs"
COLUMNS, GAP, STEP = 6, 2, 5
EVERY, COLOURS = 2, 96  # frames and colours of the moving picture, which is to be small


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run, or the folder of a generator")
    parser.add_argument("--prompts", type=Path, default=EXAMPLES, help="folder of videos that may be shown")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--top-k", type=int, default=0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--output", type=Path, default=DOCS)
    options = parser.parse_args()
    try:
        generator = VideoGenerator(find_generator(options.run), "cpu")
        tokenizer = load(generator.card.vocabulary.model, "cpu", "float32")
        drawing = Drawing(options.temperature, options.top_k, options.top_p)
        length = 2 * generator.card.like.clip_frames
        new = Wish(frames=length, seed=options.seed, drawing=drawing)
        videos = [tokenizer.decode(found) for found in generator.generate(2 * COLUMNS, new)]
        for entry in find_entries([options.prompts])[:COLUMNS]:
            given = read_prompt(Path(str(entry.path)), generator.card.like, tokenizer)
            wish = Wish(prompt=given, prompt_clips=1, frames=length, seed=options.seed, drawing=drawing)
            videos += [tokenizer.decode(found) for found in generator.generate(1, wish)]
    except SweettokError as error:
        print(error, file=sys.stderr)
        return 1
    rate = float(generator.card.like.rate)
    shown = [beside([video[t] for video in videos]) for t in range(0, length, EVERY)]
    moving = [Image.fromarray(picture).quantize(COLOURS) for picture in shown]
    moving[0].save(
        options.output / "generated.gif",
        save_all=True,
        append_images=moving[1:],
        duration=round(1000 * EVERY / rate),
        loop=0,
        optimize=True,
    )
    rows = [np.concatenate([framed(frame) for frame in video[::STEP]], axis=1) for video in videos]
    Image.fromarray(np.concatenate(rows)).save(options.output / "generated.png", optimize=True)
    return 0


def framed(frame: np.ndarray) -> np.ndarray:
    return np.pad(frame, ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=255)


def beside(frames: list[np.ndarray]) -> np.ndarray:
    """Frames in rows of :data:`COLUMNS`."""
    frames = frames + [np.full_like(frames[0], 255)] * (-len(frames) % COLUMNS)
    rows = [frames[at : at + COLUMNS] for at in range(0, len(frames), COLUMNS)]
    return np.concatenate([np.concatenate([framed(f) for f in row], axis=1) for row in rows])


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
