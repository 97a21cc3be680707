"""Train a variant as `sweettok train` does: for so many steps or so much processor time, resumable."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ablation.variants import BASES, VARIANTS
from sweettok_cli.codebook.prior import WordGraph, WordPrior, save_prior
from sweettok_cli.codebook.vectors import Pooling, embed_words, reduce_vectors
from sweettok_cli.data.runs import RECIPE_FILE
from sweettok_cli.files import sha256_file
from sweettok_cli.models.registry import task_of
from sweettok_cli.models.sweettok.folder import read_words_of
from sweettok_cli.runtime import OnProgress
from sweettok_cli.training.checkpoint import CheckpointStore
from sweettok_cli.training.log import Mute
from sweettok_cli.training.loop import RunOptions, train
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.recipe_file import load_recipe
from sweettok_cli.training.record import RunRecord

_TRIAL = 8  # steps that show what one takes


class Interrupted(Exception):
    """A variant was asked to stop; it goes on from its checkpoint the next time."""


@dataclass(frozen=True)
class Budget:
    """What each variant is given: so many steps, or so many minutes of processor time."""

    steps: int | None
    minutes: float | None

    def halved(self) -> Budget:
        """For each of two stages."""
        steps = None if self.steps is None else max(1, self.steps // 2)
        return Budget(steps, None if self.minutes is None else self.minutes / 2)


@dataclass(frozen=True)
class Plan:
    """What all variants are trained on, and how long."""

    train: Path  # list of clips
    digest: str  # of their names
    work: Path
    budget: Budget
    changes: dict[str, list[str]]  # lines for all variants of a base
    prior: Path  # words: a folder, and the name it was given by
    prior_name: str
    other_prior: Path | None = None  # the same words with other vectors

    def words_of(self, name: str) -> Path:
        """The folder whose words a variant takes."""
        if not VARIANTS[name].other_vectors:
            return self.prior
        assert self.other_prior is not None
        return self.other_prior

    def key(self, name: str) -> str:
        """Tells whether what was trained once is what would be trained now."""
        variant, base = VARIANTS[name], BASES[VARIANTS[name].base]
        words = [sha256_file(file) for file in sorted(self.words_of(name).glob("*.safetensors"))]
        said = [base.recipe, base.lines, self.changes[variant.base], variant.lines, variant.staged]
        said += [self.budget.steps, self.budget.minutes, words if base.words else [], self.digest]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]

    def folder(self, name: str) -> Path:
        """Where a variant is trained."""
        return self.work / f"{name}-{self.key(name)}"


@dataclass
class Trained:
    """The model of a variant, and what it took."""

    model: Path | None = None
    steps: list[int] = field(default_factory=list)  # of each stage
    seconds: list[float] = field(default_factory=list)  # of processor time a step, of each stage
    parameters: int = 0
    commands: list[str] = field(default_factory=list)


class Meter(Mute):
    """The voice of a run that is measured: warnings are passed on, and processor time a step is noted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.times: list[float] = []

    def warn(self, text: str) -> None:
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)

    @contextmanager
    def watch(self, unit: str) -> Iterator[OnProgress]:
        yield lambda done, total: self.times.append(time.process_time())

    def record(self, record: Mapping[str, Any], sentence: str, new: bool) -> None:
        if record["kind"] == "warning" and new:
            self.warn(sentence)

    @property
    def seconds(self) -> float:
        """The median of a step but the first ones, which prepare; 0 where there was none."""
        apart = np.diff(self.times)
        return float(statistics.median(apart[2:] if len(apart) > 4 else apart)) if len(apart) else 0.0


@dataclass(frozen=True)
class Job:
    """One run: a variant, or a stage of it."""

    name: str
    config: str
    lines: list[str]
    record: RunRecord
    out: Path

    def train(self, budget: Budget, found: Trained) -> None:
        """To its end, or on from its checkpoint; ``found`` notes what it took."""
        resume = bool(CheckpointStore(self.out / "checkpoints", keep=1).steps())
        if resume:
            recipe = load_recipe(None, str(self.out / RECIPE_FILE))
        else:
            steps = budget.steps or self.steps_in(budget)
            recipe = load_recipe(None, self.config, [*self.lines, f"steps={steps}"])
        meter = Meter(self.name)
        task = self._run(recipe, self.out, resume, meter)
        note = self.out / "seconds.json"  # of a run that has nothing left to do
        if meter.seconds:
            note.write_text(json.dumps(meter.seconds))
        found.model = self.out / "model"
        found.steps.append(recipe.steps)
        found.seconds.append(round(json.loads(note.read_text()), 4) if note.exists() else 0.0)
        found.parameters = sum(p.numel() for p in task.model.parameters())

    def steps_in(self, budget: Budget) -> int:
        """How many steps fit into the minutes of processor time, by what some took."""
        assert budget.minutes is not None
        meter, out = Meter(self.name), self.out.parent / "trial"
        # The clips that a network starts from are none of its steps.
        brief = [*self.lines, f"steps={_TRIAL}", "init_samples=0", "checkpoint_every=0"]
        shutil.rmtree(out, ignore_errors=True)
        self._run(load_recipe(None, self.config, brief), out, False, meter)
        shutil.rmtree(out)
        return max(1, round(60 * budget.minutes / meter.seconds))

    def _run(self, recipe: Recipe, out: Path, resume: bool, meter: Meter) -> Any:
        """Train, and return the task."""
        begins = (None, None) if resume else (self.record.init, self.record.prior)
        start, words = (None if path is None else Path(path) for path in begins)
        task = task_of(recipe, start, words, None)
        summary = train(RunOptions(task, recipe, self.record, out, resume), meter)
        if summary is None or summary["interrupted"]:
            raise Interrupted
        return task


def train_variant(name: str, plan: Plan) -> Trained:
    """Train one variant, or what is left of it.

    Raises:
        Interrupted: asked to stop.
        SweettokError: it cannot be trained.
    """
    variant, base = VARIANTS[name], BASES[VARIANTS[name].base]
    budget = plan.budget.halved() if variant.staged else plan.budget
    found = Trained()
    for stage in (1, 2) if variant.staged else (2,):
        lines = [*base.lines, *plan.changes[variant.base], *variant.lines]
        lines += base.pictures if variant.staged and stage == 1 else ()
        if found.model is not None:  # it brings its network
            lines = [line for line in lines if not line.startswith("model.")]
        words = plan.words_of(name) if base.words and found.model is None else None
        record = RunRecord.of([plan.train], None, found.model, words)
        job = Job(name, base.recipe.format(stage=stage), lines, record, plan.folder(name) / f"stage{stage}")
        where = ["--init", "stage1"] if found.model is not None else []
        where += ["--prior", plan.prior_name if words == plan.prior else words.name] if words else []
        job.train(budget, found)
        sets = [part for line in (*lines, f"steps={found.steps[-1]}") for part in ("--set", line)]
        command = ["sweettok", "train", "--config", job.config, "--data", plan.train.name, *where]
        found.commands.append(shlex.join([*command, "--out", job.out.name, *sets]))
    return found


def with_other_vectors(prior: Path, llm: str, pooling: Pooling, folder: Path) -> Path:
    """A word prior of the same words and edges, with the vectors of a language model, as many numbers each.

    Raises:
        SweettokError: the model cannot be loaded, or gives fewer numbers.
    """
    if folder.exists():
        return folder
    words = read_words_of(prior)
    graphs = {}
    for half in ("spatial", "temporal"):
        graph: WordGraph = getattr(words, half)
        vectors = embed_words([*graph.modifiers, *graph.heads], llm, pooling)
        reduced, _ = reduce_vectors(vectors, graph.vectors.shape[1])
        graphs[half] = WordGraph(graph.modifiers, graph.heads, reduced, graph.edges)
    about = {**words.about, "llm": Path(llm).name, "pooling": pooling}
    save_prior(WordPrior(**graphs, about=about), folder)
    return folder
