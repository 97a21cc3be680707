"""All jobs that sections need, a few at once."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench import Bench, model_names
from evaluations import evaluate, evaluations, roundtrip
from inputs import make_inputs
from listings import build_codebooks, helps, listings
from models import measure_model
from refusals import bad_inputs
from training import train_small, train_stage

AT_ONCE = 2  # processes


def measure(bench: Bench, after_each: Callable[[], None]) -> None:
    """All jobs that the wanted sections need, a few at once."""
    make_inputs(bench)
    jobs: list[tuple[str, Callable[[], None]]] = []

    def add(name: str, sections: Iterable[str], work: Callable[..., None], *arguments: Any) -> None:
        if set(sections) & set(bench.wanted):
            jobs.append((name, lambda: work(bench, *arguments)))

    # The longest first.
    for stage in (2, 1, 3):
        add(f"training {stage}", ["training"], train_stage, stage)
    add("training small", ["training"], train_small)
    for number, (name, arguments) in enumerate(evaluations(bench)):
        add(f"eval {name}", ["eval", "report"], evaluate, number, name, arguments)
    for name in model_names(bench.models):
        add(f"model {name}", ["tokens", "decoded", "info"], measure_model, name)
    for name in ("sweettok", "vidtok-fsq-causal-v1.1"):
        add(f"roundtrip {name}", ["roundtrip"], roundtrip, name)
    add("listings", ["info"], listings)
    add("codebook", ["info"], build_codebooks)
    add("errors", ["errors"], bad_inputs)
    add("help", ["help"], helps)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [(name, pool.submit(timed, work)) for name, work in jobs]
        for name, job in running:
            print(f"{name}: {job.result():.0f} s", file=sys.stderr, flush=True)
            after_each()


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
