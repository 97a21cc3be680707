"""The training loop: load, train, look, save. Reads from top to bottom; knows tasks, and no family."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import torch
from accelerate.utils import gather_object, set_seed
from torch import Tensor, nn

from sweettok_cli.data.loader import prefetched
from sweettok_cli.errors import SweettokError
from sweettok_cli.files import WriteError
from sweettok_cli.training import collective
from sweettok_cli.training.descent import Descent, NotFiniteError
from sweettok_cli.training.folder import RunFolder, other_data
from sweettok_cli.training.log import Journal, Mute, Voice
from sweettok_cli.training.optimizer import MATRICES, learning_rate, run_progress, set_rate
from sweettok_cli.training.processes import asked_to_stop, join, shares_out
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.record import RunRecord
from sweettok_cli.training.state import State
from sweettok_cli.training.task import Task
from sweettok_cli.training.tracker import open_tracker

# Bytes a second that a disk is trusted to take, until a checkpoint has been timed.
_DISK_SPEED = 50e6


@dataclass(frozen=True)
class RunOptions:
    """What a run trains, by which recipe, and where it reads and writes."""

    task: Task
    recipe: Recipe
    record: RunRecord  # where the data lie
    out: Path
    resume: bool = False
    begun: float = field(default_factory=time.perf_counter)  # from when on its minutes count


class Run:
    """One run: everything that stays the same while it goes on."""

    def __init__(self, options: RunOptions, folder: RunFolder, voice: Voice):
        self.options, self.recipe, self.task = options, options.recipe, options.task
        self.folder = folder
        self.accelerator, precision = join(self.recipe.precision, self.task.unused_parameters)
        self.main = self.accelerator.is_main_process
        self.voice = voice if self.main else Mute()
        self.journal = Journal(folder.log, self.voice)
        if self.main:
            for change in folder.check(self.recipe, self.accelerator.num_processes):
                self.voice.say(change)
        ranks = self.accelerator.process_index, self.accelerator.num_processes
        record = options.record
        val = None if record.val is None else Path(record.val)
        self.batches = self.task.batches(list(map(Path, record.data)), val, *ranks, self.voice)
        self.cautions: list[str] = []  # of this process, for the log
        self.state = self._load()
        self.descent = Descent(self.task, self.recipe, self.state, self.accelerator)
        self.recipe = self.task.recipe  # with the network that it has in truth
        self.before = self.state.seconds  # of the run, when this process began
        self.seen = 0  # samples of this process since the last line of the log
        self.skipped: set[str] = set()  # unreadable clips that the log names
        self.saved = self.state.step if options.resume else -1  # step of the newest checkpoint
        self.drawn = -1  # at which step samples were
        self.validated: tuple[int, dict[str, Any] | None] = (-1, None)
        count = sum(p.numel() for learned in self.state.parameters.values() for p in learned)
        #: The longest that each part took of late, in seconds; a save writes weights, averages, moments.
        self.costs = {"save": 16 * count / _DISK_SPEED}
        #: Whether no step is left of a run that is resumed, and whether nothing else is either.
        self.spent, self.over = self._left_over() if options.resume else (False, False)
        if self.main:
            self._begin(f"{count:,} parameters", precision)

    def _left_over(self) -> tuple[bool, bool]:
        """Take up the last validation, if its checkpoint lacks it; whether no step, and nothing, is left."""
        step, best = self.state.step, self.state.best or {}
        if (known := self.journal.validation(step)) is not None:
            if known.pop("best", False) and best.get("step") != step:
                self.state.best = {"step": step, **dict([*known.items()][:1])}
            self.validated = step, known
        # A run may have been killed in its last validation.
        unseen = self.task.validation_steps > 0 and known is None
        progress = run_progress(self.recipe, step, self._seconds(), self._reserve())
        unseen, progress = collective.furthest(unseen, progress, self.accelerator.device)
        return progress >= 1, progress >= 1 and not unseen

    def _begin(self, what: str, precision: str) -> None:
        """Open the folder and its log, with all that there is to say before the first step."""
        record = replace(self.options.record, processes=self.accelerator.num_processes)
        self.folder.open(None if self.spent else self.recipe, record)
        if self.over:
            return
        step = self.state.step if self.options.resume else -1
        logged = self.journal.rewind(step)
        if (tracker := open_tracker(self.recipe, self.folder.path, step, logged)) is not None:
            self.journal.track(tracker)
            self.voice.say(f"tracked: {tracker.where}")
        devices = f"{self.accelerator.num_processes} x {self.accelerator.device.type} in {precision}"
        how = f"{what} learn from {self.batches.describe()} on {devices}"
        self.journal.write("event", self.state.step, event=f"{self.task.title}: {how}")
        for caution in self.cautions:
            self.journal.write("warning", self.state.step, event=caution)
        if self.options.resume and (moved := other_data(self.state.position, self._position())):
            self.journal.write("warning", self.state.step, event=moved)
        self._name_skipped()
        self.voice.say(f"figures every {self.recipe.log_every} steps; Ctrl-C saves and stops")

    def _name_skipped(self) -> None:
        """Write into the log what has turned out to be unreadable."""
        for name, why in sorted(self.task.unreadable.items()):
            if name not in self.skipped:
                self.skipped.add(name)
                self.journal.write("warning", self.state.step, event=f"skipping {name}: {why}", clip=name)

    def _load(self) -> State:
        """Build what is trained and all that trains it: new, or as a checkpoint left it."""
        task, recipe, accelerator, options = self.task, self.recipe, self.accelerator, self.options
        sharded = shares_out(accelerator)
        set_seed(recipe.seed)
        with collective.alone():  # all build the same
            if options.resume:
                device = torch.device("cpu") if sharded else accelerator.device
                kept, self.cautions = self.folder.checkpoints.load(device)
                task.resume(accelerator.device, self.folder.model, kept["model"])
            else:
                # A start may take half of the minutes, so that there is a run after it.
                until = options.begun + 30 * recipe.minutes if recipe.minutes else math.inf
                task.build(accelerator.device, self.voice, until)
                self.cautions = task.cautions()
        state = State.assemble(task, recipe, accelerator, sharded)
        if options.resume:
            if len(set(gather_object([kept["step"]]))) > 1:
                raise SweettokError(
                    f"Not all processes can read the same checkpoint of {options.out}; look at its disk, "
                    "then --resume again."
                )
            state.load_state_dict(kept)
        return state

    def train(self) -> dict[str, Any]:
        """Train until steps or minutes are used up, or a signal asks to stop; returns a summary.

        Raises:
            SweettokError: too many clips are unreadable, or the folder cannot be written; what has been
                learned before is saved if it can be. A loss or gradient is not finite; then the weights right
                before are not trusted, and saved only if there is no checkpoint.
        """
        state = self.state
        begun = state.step
        processes = self.accelerator.num_processes
        try:
            with asked_to_stop(self.voice.say, processes) as asked:
                stop = not self.over and self._steps(asked)
            # A stop at a checkpoint's own step has nothing to add to it.
            if self.saved != state.step:
                self._save()
            figures = self.validated[1] if self.over else None if stop else self._look()
        except SweettokError as error:
            blown = isinstance(error, NotFiniteError)
            # All processes meet what is not finite, and only there they can save together. The weights right
            # before it may be what is wrong: they must not push out a checkpoint of sound ones.
            save = self.saved < 0 if blown else processes == 1
            if save and state.step > max(self.saved, 0):
                with suppress(SweettokError, OSError):
                    self._save()
            if isinstance(error, NotFiniteError):
                raise error.told(self.saved) from error
            raise
        finally:
            with suppress(OSError):  # the log has it all
                self.journal.close()
        leading = next(iter(figures or {"psnr": None}))
        best = None if state.best is None else {**state.best, "model": str(self.folder.best)}
        if state.best is not None:
            step, (name, figure) = state.best["step"], [*state.best.items()][-1]
            self.voice.say(
                f"the best validation was that of step {step}, {name} {figure:.2f}: {self.folder.best}"
            )
        return {
            "begun": begun,
            "step": state.step,
            "minutes": round((self.before if self.over else self._seconds()) / 60, 2),
            "interrupted": stop,
            f"validation_{leading}": (figures or {}).get(leading),
            "unreadable_clips": sorted(self.task.unreadable),
            "model": str(self.folder.model),
            "best": best,
        }

    def _steps(self, asked: Event) -> bool:
        """All steps that there is time for; returns whether a signal ended them."""
        state, recipe = self.state, self.recipe
        stepping = waited = 0.0
        begun, clock = state.step, self._seconds()
        pinned = self.accelerator.device.type == "cuda"
        how = recipe.workers, recipe.prefetch, recipe.loader, pinned
        ahead = prefetched(self.batches, begun * recipe.accumulate, *how)
        unit = "s" if recipe.minutes else "steps"
        with ahead as decoded, self.voice.watch(unit) as on_progress:
            batches = self._counting(decoded)
            while True:
                state.seconds = self._seconds()
                progress = run_progress(recipe, state.step, state.seconds, self._reserve())
                stop, progress = collective.furthest(asked.is_set(), progress, self.accelerator.device)
                if stop or progress >= 1:
                    return stop
                if recipe.minutes:  # of those that were left before this process' first step, as of steps
                    on_progress(round(state.seconds - clock), round(60 * recipe.minutes - clock))
                else:
                    on_progress(state.step - begun, recipe.steps - begun)
                rates = self._set_rates(progress)
                started = time.perf_counter()
                with self._timed("step"):
                    norm, wait = self.descent.step(batches)
                stepping, waited = stepping + time.perf_counter() - started, waited + wait
                if _due(state.step, recipe.log_every):
                    pace = self.seen * self.accelerator.num_processes / stepping
                    self._log(rates[0], norm, stepping / state.counted, waited / state.counted, pace)
                    stepping, waited, self.seen = 0.0, 0.0, 0
                if _due(state.step, recipe.sample_every) or (state.step == 1 and recipe.sample_every):
                    self._draw()
                if _due(state.step, recipe.validate_every):
                    self._validate()
                if _due(state.step, recipe.checkpoint_every):
                    state.seconds = self._seconds()
                    self._save()

    def _counting(self, batches: Iterator[tuple[Any, float]]) -> Iterator[tuple[Any, float]]:
        for batch, waited in batches:
            self.seen += len(batch)
            yield batch, waited

    def _look(self) -> dict[str, Any] | None:
        """The last sample sheet and the last figures, as far as a run by the clock has time for them."""
        self._draw()
        recipe = self.recipe
        if recipe.minutes and recipe.validate_every and "validate" not in self.costs:
            left, needed = 60 * recipe.minutes - self._seconds(), self._unseen()
            late = "step" not in self.costs or left < needed / 2
            device = self.accelerator.device
            if self.state.step < recipe.steps and collective.furthest(late, 0.0, device)[0]:
                how = self.task.measured_by(self.folder.model, self.options.record.val)
                self.voice.say(f"no time was left to validate; {how}")
                return None
        return self._validate()

    def _reserve(self) -> float:
        """Seconds that one more step and all that follows the last one take."""
        return sum(self.costs.values()) + (0.0 if "validate" in self.costs else self._unseen())

    def _unseen(self) -> float:
        """Seconds that a validation takes, as far as the steps before the first one tell."""
        return self.task.validation_steps * self.costs.get("step", 0.0)

    def _position(self) -> dict[str, Any]:
        """Where in the data the next step begins."""
        return self.batches.position(self.state.step * self.recipe.accumulate)

    def _seconds(self) -> float:
        """Of the run so far, with what was slow before its first step."""
        return self.before + time.perf_counter() - self.options.begun

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        # What a part took once and never again, as a first step does, is forgotten by and by.
        self.costs[part] = max(0.9 * self.costs.get(part, 0.0), time.perf_counter() - started)

    def _set_rates(self, progress: float) -> list[float]:
        """Give every optimizer the learning rate of this step; returns them."""
        step, rates = self.state.step, []
        for name, optimizer in self.state.optimizers.items():
            group = name.removesuffix(MATRICES)
            when = self.task.begin(group), self.task.warmup(group)
            rates.append(learning_rate(self.recipe, step, progress, *when))
            set_rate(optimizer, rates[-1])
        return rates

    def _log(self, lr: float, norm: Tensor, seconds: float, waited: float, pace: float) -> None:
        """Write the means since the last line, of all processes."""
        state = self.state
        sums = state.total_sums()
        if self.main:
            self._name_skipped()
            means = {name: (total / count).item() for name, (total, count) in sums.items()}
            loss, figures = means.pop("loss"), self.task.figures(means)
            tables = {name: value for name, value in figures.items() if isinstance(value, dict)}
            self.journal.write(
                "train",
                state.step,
                loss=loss,
                losses=means,
                **{name: value for name, value in figures.items() if name not in tables},
                lr=lr,
                grad_norm=norm.item(),
                **tables,
                seconds_per_step=round(seconds, 4),
                data_wait=round(waited, 4),
                clips_per_second=round(pace, 3),
                minutes=round(state.seconds / 60, 2),
                unreadable=len(self.task.unreadable),
            )
        state.sums, state.counted = {}, 0

    @torch.no_grad()
    def _draw(self) -> None:
        if not self.recipe.sample_every or self.drawn == self.state.step:
            return
        self.drawn = self.state.step
        with self._timed("draw"), self.state.shown() as weights, self._looking():
            if self.main and weights is not None:
                self.folder.check_there()
                path = self.folder.samples / f"{self.state.step:08d}"
                self.journal.show(self.state.step, self.task.samples(weights, path, self.state.step))

    @torch.no_grad()
    def _validate(self) -> dict[str, Any] | None:
        step, figures = self.validated
        if step == self.state.step:
            return figures
        with self._timed("validate"), self.state.shown() as weights, self._looking():
            figures = self.task.validate(weights) if self.main and weights is not None else None
            self.validated = (self.state.step, figures)
            if figures is not None and weights is not None:
                best = self._keep_best(weights, *next(iter(figures.items())))
                self.journal.write("validate", self.state.step, **figures, best=best)
        return figures

    def _keep_best(self, weights: nn.Module, name: str, figure: float) -> bool:
        """Export the averaged weights apart from the last ones if their leading figure is the best."""
        before = self.state.best if self.folder.best.is_dir() else None
        if not figure > (before or {}).get(name, -math.inf):  # nor is what is no number
            return False
        with self.folder.written(), self.folder.best_replaced() as made:
            self.task.export(made, weights, self.folder.path.name)
        self.state.best = {"step": self.state.step, name: figure}
        return True

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Around what one process does with the averaged weights."""
        with collective.alone(), self.accelerator.autocast():
            yield

    def _save(self) -> None:
        """Export the averaged weights, then write the checkpoint: where there is one, there is a model."""
        state, folder = self.state, self.folder
        state.position = self._position()
        with self._timed("save"):
            with state.shown() as weights:
                if self.main and weights is not None:
                    with folder.written():
                        folder.check_there()
                        self.task.export(folder.model, weights, folder.path.name)
            kept = state.state_dict()
            if self.main:
                with folder.written():
                    folder.checkpoints.save(state.step, kept)
            self.accelerator.wait_for_everyone()
        self.saved = state.step


def train(options: RunOptions, voice: Voice) -> dict[str, Any] | None:
    """Run a training to its end, telling ``voice`` of it; the first process is given its summary.

    Raises:
        SweettokError: it cannot begin, and then nothing is left of it, or cannot go on.
    """
    folder = RunFolder(options.out, options.resume, options.recipe.keep_checkpoints)
    run: Run | None = None
    try:
        run = Run(options, folder, voice)
        summary = run.train()
    except BaseException as error:
        if run is None or not run.state.step:
            folder.discard()
        if isinstance(error, OSError | WriteError):  # whatever of the run could not be written
            raise folder.unwritten(error) from error
        raise
    finally:
        folder.release()
    return summary if run.main else None


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
