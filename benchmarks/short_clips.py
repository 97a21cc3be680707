"""Short videos of several sizes through one model: how busy a data set keeps it, and what a million cost.

    python benchmarks/short_clips.py
    python benchmarks/short_clips.py --device cuda --dtype bfloat16 --compile --output gpu.json

Short videos, cut from the clips, are encoded in the fixed layout: by the model with all frames in memory, one
video after the other and as full batches; as a data set, one video after the other; and as a data set whose
videos fill batches together, of ``--at-once`` clips each, on a GPU of as many as its memory holds. How many
times as fast a data set is as the model alone, asked in the same way.
Beside it, the seconds that reading, hashing and writing take by themselves, with one thread; with
``--compile`` the model alone with its blocks compiled by torch.compile, too; and how many hours a million
videos of ten seconds and of these sizes take at the best of them. Clips are encoded with one and two threads
and several at once as well: how many of all indices differ. Prints a table and writes
``benchmarks/results/short_clips.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from machine import EXAMPLES, RESULTS, describe

from sweettok_cli.runtime import let_waiting_threads_sleep, use_one_heap

let_waiting_threads_sleep()  # as the command line does, before torch loads
use_one_heap()

import torch  # noqa: E402

from sweettok_cli.errors import SweettokError  # noqa: E402
from sweettok_cli.models.common.batcher import Arrival  # noqa: E402
from sweettok_cli.models.common.budget import Budget  # noqa: E402
from sweettok_cli.models.common.network_tokenizer import NetworkTokenizer  # noqa: E402
from sweettok_cli.models.common.room import Room  # noqa: E402
from sweettok_cli.models.common.streams import WaitingClips  # noqa: E402
from sweettok_cli.models.common.tokenizer import Tokenizer  # noqa: E402
from sweettok_cli.pipeline.batch import Result  # noqa: E402
from sweettok_cli.pipeline.dataset import Settings  # noqa: E402
from sweettok_cli.pipeline.encode import encode_video  # noqa: E402
from sweettok_cli.pipeline.encode_dataset import Sources, Workforce, encode_dataset  # noqa: E402
from sweettok_cli.pipeline.member import content_of  # noqa: E402
from sweettok_cli.pipeline.plan import Job  # noqa: E402
from sweettok_cli.tokens.meta import Tokens  # noqa: E402
from sweettok_cli.training.blocks import compile_blocks  # noqa: E402
from sweettok_cli.video.fit import Fit  # noqa: E402
from sweettok_cli.video.pixels import write_video  # noqa: E402
from sweettok_cli.video.reader import VideoReader  # noqa: E402
from sweettok_cli.video.source import VIDEOS, find_files  # noqa: E402
from sweettok_cli.zoo.load import load  # noqa: E402
from sweettok_cli.zoo.token_files import write_tokens  # noqa: E402

SIDES = 128, 160, 192, 256  # pixels of the short videos' frames
LENGTHS = 17, 52  # frames, from and to
RATE = 24  # frames a second
LONG = 10  # seconds of the videos of which there are a million
HOW = "", ", batches filled"
WAYS = ((2, 1), (1, 2), (1, 4))  # threads and clips at once, beside one of each


class Nobody:
    """Looks on, and says nothing."""

    def begin(self, jobs: int, size: int) -> None: ...

    def part(self, job: Job, done: float, total: int | None) -> None: ...

    def over(self, result: Result, size: int) -> None: ...

    def tick(self) -> None: ...


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, default=EXAMPLES)
    parser.add_argument("--short", type=int, default=200, help="short videos")
    parser.add_argument("--model", default="sweettok-small")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--threads", type=int, default=2, help="of the model, on a processor")
    parser.add_argument("--at-once", type=int, help="clips of several videos; by memory on a GPU, else 4")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--output", type=Path, default=RESULTS / "short_clips.json")
    options = parser.parse_args()
    try:
        clips = find_files(options.clips, VIDEOS)
        if not clips:
            raise SweettokError(f"{options.clips} holds no clips; name a folder that does.")
        fresh = partial(load, options.model, options.device, options.dtype)
        at_once = options.at_once or (4 if options.device == "cpu" else None)
        with tempfile.TemporaryDirectory() as place:
            found = measure(Path(place), clips, options.short, fresh, options.threads, at_once)
        if options.compile:
            found["seconds"]["model, compiled"] = compiled(clips, options.short, fresh)
        if options.device == "cpu":
            found["indices"], found["indices_that_differ"] = ways(clips, fresh())
    except SweettokError as error:
        print(error, file=sys.stderr)
        return 1
    for name, value in found.items():
        print(f"{name:24} {value}")
    told = {"model": options.model, "device": options.device, "dtype": options.dtype, **found}
    options.output.write_text(json.dumps({**describe(), **told}, indent=1) + "\n")
    return 0


def short_videos(clips: list[Path], count: int) -> Iterator[np.ndarray]:
    """So many videos, uint8 RGB [t, h, w, 3], of which each is square and a piece of a clip."""
    luck = np.random.default_rng(0)
    pictures = [read(clip) for clip in clips]
    for number in range(count):
        source, side = pictures[number % len(pictures)], SIDES[number % len(SIDES)]
        length = int(luck.integers(*LENGTHS))
        start = int(luck.integers(max(1, len(source) - length)))
        yield np.ascontiguousarray(source[start : start + length, :side, :side])


def measure(
    folder: Path,
    clips: list[Path],
    count: int,
    fresh: Callable[[], Tokenizer],
    threads: int,
    at_once: int | None,
) -> dict[str, Any]:
    """Seconds of all ways to encode, and of all that is beside the model."""
    (folder / "in").mkdir()
    for number, video in enumerate(short_videos(clips, count)):
        write_video(folder / "in" / f"{number:04}.mp4", video, rate=RATE)
    files = sorted((folder / "in").iterdir())
    tokenizer, budget, seconds = fresh(), Budget(fixed=True), dict[str, float]()
    torch.set_num_threads(threads)
    with timed(seconds, "reading"):
        held = [read(path) for path in files]
    with timed(seconds, "hashing"):
        for path in files:
            content_of(path)
    tokens = encoded(tokenizer, held, seconds, "model")
    with timed(seconds, "model, batches filled"):
        pooled(tokenizer, held, at_once)
    (folder / "alone").mkdir()
    with timed(seconds, "writing"):
        for path, each in zip(files, tokens, strict=True):
            write_tokens(folder / "alone" / f"{path.stem}.npz", each)
    found, devices = sum(each.meta.clips for each in tokens), [str(tokenizer.device)]
    for how, batch_clips in zip(HOW, (1, at_once), strict=True):
        name = f"data set{how}"
        options = {"budget": budget, "batch_clips": batch_clips}
        sources = Sources([folder / "in"], folder / name)
        settings = Settings(tokenizer.spec, options)
        workforce = Workforce(lambda device: tokenizer, partial(list, devices))
        with timed(seconds, name):
            for result in encode_dataset(sources, settings, workforce, Nobody(), print):
                if result.error is not None:
                    raise result.error
    names = [f"data set{how}" for how in HOW]
    differ = {name: differences(folder / name, tokens, files) for name in names}
    best = found / min(seconds[name] for name in names)
    length = tokenizer.spec.clip_frames
    return {
        "short_videos": count,
        "short_clips": found,
        "threads": threads,
        "at_once": at_once,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "clips_per_second": {name: round(found / value, 2) for name, value in seconds.items()},
        "of_the_model": {
            f"data set{how}": round(seconds[f"model{how}"] / seconds[f"data set{how}"], 3) for how in HOW
        },
        "indices_of_short_clips": sum(array.size for each in tokens for array in each.arrays.values()),
        "indices_unlike_the_models": differ,
        "hours_of_a_million_long": round(1e6 * -(-LONG * RATE // length) / best / 3600, 1),
    }


def encoded(
    tokenizer: Tokenizer, videos: list[np.ndarray], seconds: dict[str, float], name: str
) -> list[Tokens]:
    """Tokens of videos in memory, after a first one of each size to warm up."""
    budget = Budget(fixed=True)
    for video in videos[: len(SIDES)]:
        tokenizer.encode(video, budget=budget)
    with timed(seconds, name):
        return [tokenizer.encode(video, budget=budget) for video in videos]


def pooled(tokenizer: Tokenizer, videos: list[np.ndarray], at_once: int | None) -> None:
    """Encode the clips of all videos in batches that are full, but for the last of each size."""
    length, multiple = tokenizer.spec.clip_frames, tokenizer.spec.multiple
    waiting: dict[tuple[int, ...], list[WaitingClips]] = {}
    for video in videos:
        fit = Fit.to_multiple(video.shape[2], video.shape[1], multiple)
        frames = [*video, *[video[-1]] * (-len(video) % length)]
        for start in range(0, len(frames), length):
            clip = WaitingClips([frames[start : start + length]], [fit])
            waiting.setdefault(clip.shape[1:], []).append(clip)
    room = Room(tokenizer.encode_waiting, tokenizer.device)
    for shape, clips in waiting.items():
        most = at_once or room(shape)
        for start in range(0, len(clips), most):
            Arrival.of(tokenizer.encode_waiting(WaitingClips.joined(clips[start : start + most]))).wait()


def compiled(clips: list[Path], count: int, fresh: Callable[[], Tokenizer]) -> float:
    """Seconds of the model alone, its blocks compiled."""
    tokenizer, seconds = fresh(), dict[str, float]()
    assert isinstance(tokenizer, NetworkTokenizer)
    compile_blocks(tokenizer.network)
    encoded(tokenizer, list(short_videos(clips, count)), seconds, "all")
    return round(seconds["all"], 2)


def differences(folder: Path, tokens: list[Tokens], files: list[Path]) -> int:
    """How many indices in token files are not those that the model gave alone."""
    count = 0
    for path, each in zip(files, tokens, strict=True):
        with np.load(folder / f"{path.stem}.npz") as arrays:
            count += sum(int((arrays[name] != array).sum()) for name, array in each.arrays.items())
    return count


def ways(clips: list[Path], tokenizer: Tokenizer) -> tuple[int, dict[str, int]]:
    """All indices of whole clips, and how many differ where threads and batches do."""

    def indices(threads: int, at_once: int) -> np.ndarray:
        torch.set_num_threads(threads)
        budget = Budget(fixed=bool(tokenizer.spec.levels))
        tokens = [encode_video(clip, tokenizer, batch_clips=at_once, budget=budget) for clip in clips]
        return np.concatenate([each.arrays[name].ravel() for each in tokens for name in sorted(each.arrays)])

    one = indices(1, 1)
    return int(one.size), {f"{t} threads, {n} at once": int((indices(t, n) != one).sum()) for t, n in WAYS}


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Note how long a block took."""
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start


def read(path: Path) -> np.ndarray:
    with VideoReader(path) as reader:
        return np.stack([frame.rgb for frame in reader])


if __name__ == "__main__":
    sys.exit(main())
