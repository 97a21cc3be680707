"""Clips a second that the loader gives, against those that training eats, on this machine.

    python benchmarks/loader.py --data ../shared/data/train
    python benchmarks/loader.py --data ../shared/data/train --rounds 9 --workers 1 2 4

The recipe (by default that of ``sweettok train --stage 2``) takes steps from the shipped weights on batches that lie
ready; in between, each way to load makes the same batches with nothing else of ours at work: by threads and by
processes, out of the clips as they are and out of the same clips packed (``sweettok data pack``). Training and all
ways take turns, round by round, so that what else the machine does falls on all of them; the ratio is that of the
medians over rounds. A sample counts as one clip. Prints a table and writes ``benchmarks/results/loader.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from machine import EXAMPLES, RESULTS, describe

from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.loader import prefetched
from sweettok_cli.data.pack import Plan, pack
from sweettok_cli.data.sampler import Sampler
from sweettok_cli.models.registry import task_of
from sweettok_cli.runtime import OnProgress, ignore_progress
from sweettok_cli.training.ema import EMA
from sweettok_cli.training.log import Mute
from sweettok_cli.training.optimizer import make_optimizer
from sweettok_cli.training.processes import join
from sweettok_cli.training.recipe import Recipe, load_recipe
from sweettok_cli.zoo.load import resolve_model

GOAL = 3.0
Numbers = Sequence[int]  # of consecutive batches
Round = Callable[[Numbers], float]  # samples a second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", default=[EXAMPLES])
    parser.add_argument("--config", default="sweettok-small-stage2")
    parser.add_argument("--init", default="sweettok-small", help="the model that learns")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="that torch may use for steps")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=5, help="of a round")
    parser.add_argument("--packed", type=Path, help="shards of the same clips; packed now by default")
    parser.add_argument("--output", type=Path, default=RESULTS / "loader.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    recipe = load_recipe(None, options.config)

    with tempfile.TemporaryDirectory() as folder:
        shards = options.packed or Path(folder)
        if options.packed is None:
            pack(Plan(options.data, shards, workers=options.threads), unwatched, print)
        samplers = {
            name: opened(data, recipe) for name, data in zip(("files", "packed"), (options.data, [shards]))
        }
        ways: dict[str, Round] = {"training": training(recipe, options.init, samplers["files"])}
        for name, sampler in samplers.items():
            for loader in ("threads", "processes"):
                for workers in options.workers:
                    way = replace(recipe, loader=loader, workers=workers)
                    ways[f"{name}, {workers} {loader}"] = loading(sampler, way)
        rates = take_turns(ways, options.rounds, options.batches)

    eaten = statistics.median(rates["training"])
    rows = {
        name: {
            "median": round(statistics.median(each), 3),
            "range": [round(min(each), 3), round(max(each), 3)],
            "ratio": round(statistics.median(each) / eaten, 3),
        }
        for name, each in rates.items()
    }
    usual = f"files, {recipe.workers} {recipe.loader}"
    result = {
        "recipe": options.config,
        "clips": samplers["files"].describe(),
        "threads": options.threads,
        "rounds": options.rounds,
        "batches": options.batches,
        "goal": GOAL,
        "usual": usual,
        "samples_per_second": rows,
        "load": os.getloadavg()[0],
        "machine": describe(),
    }
    print(f"{'':<22} {'samples/s':>10} {'range':>16} {'of training':>12}")
    for name, row in rows.items():
        span = "{:.1f} .. {:.1f}".format(*row["range"])
        print(f"{name:<22} {row['median']:>10.2f} {span:>16} {row['ratio']:>12.2f}")
    print(
        f"as the recipe has it ({usual}): {rows[usual]['ratio']:.2f} times what training eats; goal {GOAL:g}"
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {options.output}")


@contextmanager
def unwatched(label: str, unit: str) -> Iterator[OnProgress]:
    yield ignore_progress


def opened(data: Sequence[Path], recipe: Recipe) -> Sampler:
    """All clips opened once, as training does before its first step."""
    sampler = Sampler(find_entries(data), recipe.sampling)
    sampler.check(ignore_progress)
    return sampler


def take_turns(ways: dict[str, Round], rounds: int, batches: int) -> dict[str, list[float]]:
    """Samples a second of each way in each round: of the same batches, one way after the other."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-1, rounds):  # once to warm up
        for name, way in ways.items():
            rate = way(range(max(0, number) * batches, (max(0, number) + 1) * batches))
            if number >= 0:
                rates[name].append(rate)
    return rates


def loading(sampler: Sampler, recipe: Recipe) -> Round:
    """Batches with nothing else to do, from when the first of them is there."""

    def load(numbers: Numbers) -> float:
        how = recipe.workers, recipe.prefetch, recipe.loader
        # One more before them: what is begun when the clock starts makes up for what is when it stops.
        with prefetched(sampler, max(0, numbers[0] - 1), *how) as batches:
            next(batches)
            started = time.perf_counter()
            samples = sum(len(batch.frames) for batch, _ in islice(batches, len(numbers)))
            return samples / (time.perf_counter() - started)

    return load


def training(recipe: Recipe, init: str, sampler: Sampler) -> Round:
    """Steps as the loop takes them, on batches that lie ready."""
    task = task_of(recipe, resolve_model(init), None, None)
    accelerator, _ = join(recipe.precision, task.unused_parameters)
    task.build(accelerator.device, Mute())
    named = list(task.parameter_groups()["model"])
    averaged = EMA(task.model, recipe.ema)
    trained, optimizer = accelerator.prepare(task.model, make_optimizer(named, recipe))
    learned = [parameter for _, parameter in named]

    def train(numbers: Numbers) -> float:
        batches = [sampler.batch(number) for number in numbers]
        started = time.perf_counter()
        for number, batch in zip(numbers, batches, strict=True):
            terms = task.losses(trained, batch, number).losses["model"]
            accelerator.backward(torch.stack(list(terms.values())).sum())
            accelerator.clip_grad_norm_(learned, recipe.clip_norm).item()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            averaged.update(task.model, number)
        return sum(len(batch.frames) for batch in batches) / (time.perf_counter() - started)

    return train


if __name__ == "__main__":
    main()
