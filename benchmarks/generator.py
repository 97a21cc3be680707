"""How well a generator predicts held-out tokens, beside models that count, and how fast it draws.

    python benchmarks/generator.py RUN --train TOKENS --val TOKENS

RUN is a run of ``sweettok train`` or the folder of a generator, TOKENS are token files of the fixed layout,
or folders of them. Bits a token (of three symbols, for SweetTok) of the files of ``--val`` are those that a
code would need which knows the model. The models that count have what they count from ``--train`` alone:

    unigram      how often a code is of its list, with k added to each
    bigram       how often it follows the symbol before it, with the unigram k times added
    last clip    how often it follows the code that its place has in the clip before, likewise; the first
                 clip of a video is left to the unigram

Each k is that which serves the last fifth of the training files best, counted from the others. Drawing is
timed on the processor's clock, a clip of one video at a time, in quarters of the clip; a training step over
the lists that may come next, and over all symbols with a mask. Prints tables, writes
``benchmarks/results/generator.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from machine import RESULTS, describe
from rich.console import Console
from rich.table import Table

from sweettok_cli.errors import SweettokError
from sweettok_cli.generation.choices import FEW
from sweettok_cli.generation.folder import GeneratorCard, find_generator
from sweettok_cli.generation.generator import VideoGenerator
from sweettok_cli.generation.network import Generator
from sweettok_cli.generation.sampling import ClipSampler, Drawing
from sweettok_cli.generation.videos import SymbolVideo, SymbolVideos, read_videos
from sweettok_cli.generation.windows import Windows
from sweettok_cli.runtime import ignore_progress
from sweettok_cli.sequences.vocabulary import Vocabulary

STRENGTHS = 10.0 ** np.arange(-3, 4, 0.5)
BATCH = 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run, or the folder of a generator")
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="token files that are counted")
    parser.add_argument("--val", type=Path, nargs="+", required=True, help="token files that are predicted")
    parser.add_argument("--output", type=Path, default=RESULTS / "generator.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        generator = VideoGenerator(find_generator(options.run), "cpu")
        if generator.card.like.levels:
            raise SweettokError(f"{options.run} knows levels, where no place is that of the clip before.")
        train, val = (read(given, generator.card) for given in (options.train, options.val))
    except SweettokError as error:
        print(error, file=sys.stderr)
        return 1
    tokens = sum(video.tokens for video in val)
    bits = {"nominal": sum(video.bits for video in val) / tokens}
    bits |= {name: found / tokens for name, found in counted(train, val, generator.card.vocabulary).items()}
    bits["generator"] = predicted(generator, val) / tokens
    result = {
        "generator": {"name": generator.card.name, **vars(generator.card.config)},
        "parameters": generator.network.network.num_parameters(),
        "files": {"train": len(train), "val": len(val)},
        "bits_per_token": {name: round(value, 3) for name, value in bits.items()},
        "tokens_per_second": drawing_speed(generator),
        "seconds_per_step": step_times(generator, train),
        "machine": describe(),
    }
    show(result)
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def read(given: Sequence[Path], card: GeneratorCard) -> list[SymbolVideo]:
    videos = read_videos(given, False, ignore_progress)
    return SymbolVideos(videos, card.like, card.vocabulary.classes).videos


def predicted(generator: VideoGenerator, videos: list[SymbolVideo]) -> float:
    """Bits that the network needs for all clips, each with those before it in its window."""
    windows = Windows(generator.order, generator.card.clips)
    code, nats = generator.card.vocabulary, 0.0
    with torch.inference_mode():
        for batch in windows.covering(videos, BATCH):
            given = batch.symbols, batch.targets, batch.lists, batch.few
            unlikely = generator.network(*map(torch.from_numpy, given))[0].double().numpy()
            codes = ~np.isin(batch.targets, [code.special("clip"), code.special("end")])
            nats += float(unlikely[codes].sum())
    return nats / np.log(2)


class Counts:
    """Chances of symbols by how often they were met, alone or behind a context."""

    def __init__(self, videos: Sequence[SymbolVideo], vocabulary: Vocabulary) -> None:
        self._size = vocabulary.size
        symbols = np.concatenate([clip for video in videos for clip in video.clips])
        self._met = np.bincount(symbols, minlength=self._size)
        self._of_list = np.zeros((2, self._size))  # symbols met of each one's list, and how many that has
        for each in vocabulary.lists.values():
            self._of_list[:, each.start : each.end] = [[self._met[each.start : each.end].sum()], [each.size]]
        self._pairs: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        for name in ("bigram", "last clip"):
            pairs = np.concatenate([pairs_of(name, video) for video in videos])
            pairs = pairs[pairs[:, 0] >= 0]
            keys, counts = np.unique(pairs[:, 0] * self._size + pairs[:, 1], return_counts=True)
            self._pairs[name] = keys, counts, np.bincount(pairs[:, 0], minlength=self._size)

    def bits(self, name: str, videos: Sequence[SymbolVideo], k: float, unigram_k: float) -> float:
        """Bits of all symbols."""
        pairs = np.concatenate([pairs_of(name, video) for video in videos])
        before, symbols = pairs.T
        total, size = self._of_list[:, symbols]
        chance = (self._met[symbols] + unigram_k) / (total + unigram_k * size)
        if name != "unigram":
            keys, counts, met = self._pairs[name]
            wanted = before * self._size + symbols
            at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
            together = np.where((keys[at] == wanted) & (before >= 0), counts[at], 0)
            alone = np.where(before >= 0, met[before], 0)
            chance = (together + k * chance) / (alone + k)
        return float(-np.log2(chance).sum())


def pairs_of(name: str, video: SymbolVideo) -> np.ndarray:
    """Context and symbol, int64 [n, 2], of every symbol of a video; -1 is no context."""
    rows = []
    for number, clip in enumerate(video.clips):
        none = np.full(len(clip), -1)
        if name == "bigram":
            context = np.concatenate([[-1], clip[:-1]])
        else:
            context = video.clips[number - 1] if name == "last clip" and number else none
        rows.append(np.stack([context, clip], axis=1))
    return np.concatenate(rows).astype(np.int64)


def counted(train: list[SymbolVideo], val: list[SymbolVideo], vocabulary: Vocabulary) -> dict[str, float]:
    """Bits of ``val`` by each model that counts."""
    cut = max(1, len(train) - len(train) // 5)
    first, rest = Counts(train[:cut], vocabulary), train[cut:] or train
    whole, found, unigram_k = Counts(train, vocabulary), {}, 1.0
    for name in ("unigram", "bigram", "last clip"):
        k = min(STRENGTHS, key=lambda k: first.bits(name, rest, k, k if name == "unigram" else unigram_k))
        unigram_k = k if name == "unigram" else unigram_k
        found[name] = whole.bits(name, val, k, unigram_k)
    return found


class Clock:
    """Random numbers that tell when they were asked for."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._luck = np.random.default_rng(0)

    def random(self) -> float:
        self.times.append(time.process_time())
        return float(self._luck.random())


def drawing_speed(generator: VideoGenerator) -> dict[str, Any]:
    """Tokens a second in each quarter of a clip, one video at a time, with the cache; and their ratio."""
    code = generator.card.vocabulary
    before = np.array([[code.special("begin"), code.special("any")]])
    sampler = ClipSampler(generator.network, generator.order.clip, Drawing())
    clock = Clock()
    for _ in range(2):  # the first is to warm up
        clock = Clock()
        sampler.sample(before, before[:, :0], [clock])  # type: ignore[list-item]
    times = np.array(clock.times)
    columns = max(len(sizes) for sizes in code.codebooks.values())
    edges = np.linspace(0, len(times) - 1, 5).astype(int)
    speeds = np.diff(edges) / np.diff(times[edges]) / columns
    return {
        "symbols": len(times),
        "by_quarter": [round(float(speed), 1) for speed in speeds],
        "last_over_first": round(float(speeds[-1] / speeds[0]), 3),
    }


def step_times(generator: VideoGenerator, videos: list[SymbolVideo]) -> dict[str, float]:
    """Seconds of the processor for forward and backward of a batch, over lists and over all symbols."""
    windows = Windows(generator.order, 1)
    batch = next(windows.covering(videos, BATCH))
    given = [torch.from_numpy(a) for a in (batch.symbols, batch.targets, batch.lists, batch.few)]
    found = {}
    for name, loss in (("lists", over_lists), ("all_symbols", over_all)):
        for _ in range(2):
            start = time.process_time()
            loss(generator.network, given).backward()
            found[name] = round(time.process_time() - start, 3)
            generator.network.zero_grad()
    return {"windows": len(batch), **found}


def over_lists(network: Generator, given: list[torch.Tensor]) -> torch.Tensor:
    return network(*given)[1]


def over_all(network: Generator, given: list[torch.Tensor]) -> torch.Tensor:
    """The same loss, with a mask over what may not stand there."""
    symbols, targets, lists, few = given
    learned = targets >= 0
    logits = network.network(symbols, use_cache=False).logits[learned]
    may = torch.zeros_like(logits, dtype=torch.bool)
    may[:, :FEW] = few[learned]
    start = FEW
    for number, size in enumerate(network.sizes[1:-1]):
        may[:, start : start + size] = (lists[learned] == number)[:, None]
        start += size
    return F.cross_entropy(logits.masked_fill(~may, -torch.inf), targets[learned])


def show(result: dict[str, Any]) -> None:
    table = Table("model", "bits a token", "times fewer than nominal")
    nominal = result["bits_per_token"]["nominal"]
    for name, bits in result["bits_per_token"].items():
        table.add_row(name, f"{bits:.3f}", f"{nominal / bits:.3f}")
    Console().print(table)
    speed, step = result["tokens_per_second"], result["seconds_per_step"]
    quarters = ", ".join(f"{each:.1f}" for each in speed["by_quarter"])
    print(
        f"tokens a second in each quarter of a clip: {quarters}; last over first {speed['last_over_first']}"
    )
    print(f"forward and backward of {step['windows']} clips: {step['lists']} s over the lists that may come")
    print(f"next, {step['all_symbols']} s over all symbols with a mask")


if __name__ == "__main__":
    sys.exit(main())
