"""Clips a second that the loader gives, against those that training eats, on this machine.

    python benchmarks/loader.py --data ../shared/data/train
    python benchmarks/loader.py --data ../shared/data/train --rounds 9 --workers 1 2 4

The recipe (by default that of ``sweettok train --stage 2``) takes steps from the shipped weights on batches
that lie ready; in between, each way to load makes the same batches with nothing else of ours at work: by
threads and by processes, out of the clips as they are and out of the same clips packed (``sweettok data
pack``). Training and all ways take turns, round by round, so that what else the machine does falls on all of
them; the ratio is that of the medians over rounds. A busy machine slows steps more than threads that wait for
nobody, so processor seconds a sample, which it does not stretch, stand beside them. A sample counts as one
clip. Prints a table and writes ``benchmarks/results/loader.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from machine import EXAMPLES, RESULTS, describe

from sweettok_cli.runtime import OnProgress, ignore_progress, let_waiting_threads_sleep

let_waiting_threads_sleep()  # as the command line does, before torch loads

import torch  # noqa: E402

from sweettok_cli.data.clips import find_entries  # noqa: E402
from sweettok_cli.data.loader import prefetched  # noqa: E402
from sweettok_cli.data.pack import Plan, pack  # noqa: E402
from sweettok_cli.data.sampler import Sampler  # noqa: E402
from sweettok_cli.errors import SweettokError  # noqa: E402
from sweettok_cli.models.registry import task_of  # noqa: E402
from sweettok_cli.training.ema import EMA  # noqa: E402
from sweettok_cli.training.log import Mute  # noqa: E402
from sweettok_cli.training.optimizer import make_optimizer  # noqa: E402
from sweettok_cli.training.processes import join  # noqa: E402
from sweettok_cli.training.recipe import Recipe  # noqa: E402
from sweettok_cli.training.recipe_file import load_recipe  # noqa: E402
from sweettok_cli.zoo.load import resolve_model  # noqa: E402

GOAL = 3.0
Numbers = Sequence[int]  # of consecutive batches
Round = Callable[[Numbers], tuple[int, float, float]]  # samples, their seconds, their processor seconds


def main() -> int:
    options = parse()
    torch.set_num_threads(options.threads)
    try:
        compare(options)
    except SweettokError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", default=[EXAMPLES])
    parser.add_argument("--config", default="sweettok-small-stage2")
    parser.add_argument("--init", default="sweettok-small", help="the model that learns")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="that torch may use for steps")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=5, help="of a round")
    parser.add_argument("--packed", type=Path, help="shards of these clips or some; packed now by default")
    parser.add_argument("--output", type=Path, default=RESULTS / "loader.json")
    return parser.parse_args()


def compare(options: argparse.Namespace) -> None:
    """Measure all ways, print and write what is found.

    Raises:
        SweettokError: no such clips, recipe or model.
    """
    recipe = load_recipe(None, options.config)

    with tempfile.TemporaryDirectory() as folder:
        shards = options.packed or Path(folder)
        if options.packed is None:
            pack(Plan(options.data, shards, workers=options.threads), unwatched, print)
        samplers = {"files": opened(options.data, recipe), "packed": opened([shards], recipe)}
        ways: dict[str, Round] = {"training": training(recipe, options.init, samplers["files"])}
        for name, sampler in samplers.items():
            for loader in ("threads", "processes"):
                for workers in sorted({recipe.workers, *options.workers}):
                    way = replace(recipe, loader=loader, workers=workers)
                    ways[f"{name}, {workers} {loader}"] = loading(sampler, way)
        found = take_turns(ways, options.rounds, options.batches)

    eaten = statistics.median(rate for rate, _ in found["training"])
    rows = {}
    for name, each in found.items():
        rates, costs = [rate for rate, _ in each], [cost for _, cost in each]
        rows[name] = {
            "samples_per_second": round(statistics.median(rates), 3),
            "range": [round(min(rates), 3), round(max(rates), 3)],
            "ratio": round(statistics.median(rates) / eaten, 3),
        }
        if "processes" not in name:  # what they take is theirs
            rows[name]["cpu_seconds_per_sample"] = round(statistics.median(costs), 4)
    usual = f"files, {recipe.workers} {recipe.loader}"
    result = {
        "recipe": options.config,
        "files": samplers["files"].describe(),
        "packed": samplers["packed"].describe(),
        "threads": options.threads,
        "rounds": options.rounds,
        "batches": options.batches,
        "goal": GOAL,
        "usual": usual,
        "rows": rows,
        "load": os.getloadavg()[0],
        "machine": describe(),
    }
    print(f"{'':<22} {'samples/s':>10} {'range':>16} {'of training':>12} {'CPU s/sample':>13}")
    for name, row in rows.items():
        span, cost = "{:.1f} .. {:.1f}".format(*row["range"]), row.get("cpu_seconds_per_sample", "")
        rate, ratio = row["samples_per_second"], row["ratio"]
        print(f"{name:<22} {rate:>10.2f} {span:>16} {ratio:>12.2f} {cost:>13}")
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


def take_turns(ways: dict[str, Round], rounds: int, batches: int) -> dict[str, list[tuple[float, float]]]:
    """Samples a second, and processor seconds a sample, of each way in each round: of the same batches."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(-1, rounds):  # once to warm up
        first = max(0, number) * batches
        for name, way in ways.items():
            samples, seconds, cpu = way(range(first, first + batches))
            if number >= 0:
                found[name].append((samples / seconds, cpu / samples))
    return found


def loading(sampler: Sampler, recipe: Recipe) -> Round:
    """Batches with nothing else to do, from when the first of them is there."""

    def load(numbers: Numbers) -> tuple[int, float, float]:
        how = recipe.workers, recipe.prefetch, recipe.loader
        # One more before them: what is begun when the clock starts makes up for what is when it stops.
        with prefetched(sampler, max(0, numbers[0] - 1), *how) as batches:
            next(batches)
            started, cpu = time.perf_counter(), time.process_time()
            samples = sum(len(batch.frames) for batch, _ in islice(batches, len(numbers)))
            return samples, time.perf_counter() - started, time.process_time() - cpu

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

    def train(numbers: Numbers) -> tuple[int, float, float]:
        batches = [sampler.batch(number) for number in numbers]
        started, cpu = time.perf_counter(), time.process_time()
        for number, batch in zip(numbers, batches, strict=True):
            terms = task.losses(trained, batch, number).losses["model"]
            accelerator.backward(torch.stack(list(terms.values())).sum())
            accelerator.clip_grad_norm_(learned, recipe.clip_norm).item()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            averaged.update(task.model, number)
        samples = sum(len(batch.frames) for batch in batches)
        return samples, time.perf_counter() - started, time.process_time() - cpu

    return train


if __name__ == "__main__":
    sys.exit(main())
