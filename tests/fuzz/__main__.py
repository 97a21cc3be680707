"""Try damaged and hostile files of every kind: ``python -m tests.fuzz``, or ``make fuzz``.

Each case is made from the seed and its number alone, and runs commands of the command line in a forked
process with bounded memory and time. Right are what was asked for, or one sentence that names the file and
shows no control characters. Crashes, hangs, internal errors, memory that runs out and files that are left are
faults; each is printed with the line that tries its case again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # a forked process has no threads of OpenMP
os.environ["SWEETTOK_MAX_PIXELS"] = str(4 << 20)  # so that one case cannot take the time of thousands
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from . import media_files, model_folders, packed_files, pickles, shards, token_files
from .workers import Outcome, try_all


@dataclass(frozen=True)
class Kind:
    """A kind of files: how seeds are made in a folder, and how one case goes in an empty one."""

    make_seeds: Callable[[Path], Any]
    attempt: Callable[[Any, Random, Path], list[str]]


KINDS = {
    "tokens": Kind(token_files.make_seeds, token_files.attempt),
    "packed": Kind(packed_files.make_seeds, packed_files.attempt),
    "media": Kind(media_files.make_seeds, media_files.attempt),
    "models": Kind(model_folders.make_seeds, model_folders.attempt),
    "pickles": Kind(pickles.make_seeds, pickles.attempt),
    "shards": Kind(shards.make_seeds, shards.attempt),
}


_INTERRUPTED = 130


def main() -> int:
    """Parse the command line and try; the exit code is 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    for kind, most in (
        ("tokens", 10_000),
        ("packed", 5_000),
        ("media", 2_000),
        ("models", 900),
        ("pickles", 1_000),
        ("shards", 1_000),
    ):
        parser.add_argument(f"--{kind}", type=int, metavar="CASES", help=f"such as {most}", default=0)
    parser.add_argument("--seed", type=int, default=0, help="of all cases (default 0)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (default 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--case", metavar="KIND:SEED:NUMBER", help="try this one alone")
    options = parser.parse_args()
    if options.case:
        kind, seed, number = options.case.split(":")
        return _try(kind, int(seed), range(int(number), int(number) + 1), 1)
    wanted = {kind: getattr(options, kind) for kind in KINDS}
    codes = [0]
    for kind, cases in wanted.items():
        if cases and codes[-1] != _INTERRUPTED:
            numbers = range(options.first, options.first + cases)
            codes.append(_try(kind, options.seed, numbers, options.jobs))
    return max(codes)


def _try(kind: str, seed: int, numbers: range, jobs: int) -> int:
    begin, faults, slowest = time.monotonic(), Counter[str](), (0.0, -1)
    done = wrong = peak = 0
    interrupted = True
    # Ctrl-C ends it early, and what was found so far is said.
    with tempfile.TemporaryDirectory(prefix="fuzz-seeds-") as shelf, suppress(KeyboardInterrupt):
        seeds = KINDS[kind].make_seeds(Path(shelf))

        def attempt(number: int, folder: Path) -> list[str]:
            return KINDS[kind].attempt(seeds, Random(f"{kind}:{seed}:{number}"), folder)

        for outcome in try_all(attempt, numbers, min(jobs, len(numbers))):
            done += 1
            slowest, peak = max(slowest, (outcome.seconds, outcome.number)), max(peak, outcome.peak)
            wrong += bool(outcome.faults)
            faults.update(fault.split(":")[0] for fault in outcome.faults)
            _report(kind, seed, outcome)
        interrupted = False
    told = ", ".join(f"{count} {fault}" for fault, count in faults.most_common())
    print(
        f"{kind}: {done} cases in {time.monotonic() - begin:.0f} s, {wrong} wrong"
        f"{f' ({told})' if told else ''}; the slowest took {slowest[0]:.1f} s ({kind}:{seed}:{slowest[1]}), "
        f"the largest process {peak >> 20} MB",
        flush=True,
    )
    return _INTERRUPTED if interrupted else int(wrong > 0)


def _report(kind: str, seed: int, outcome: Outcome) -> None:
    for fault in outcome.faults:
        print(
            f"--- python -m tests.fuzz --case {kind}:{seed}:{outcome.number}\n{ascii_only(fault)}", flush=True
        )


def ascii_only(text: str) -> str:
    """A fault as it may be printed: it may quote what must not be shown."""
    return "\n".join(line.encode("unicode_escape").decode() for line in text.split("\n"))


if __name__ == "__main__":
    sys.exit(main())
