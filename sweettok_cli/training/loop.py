"""The training loop: load, train, look, save. Reads from top to bottom; knows tasks, and no family."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.state import PartialState
from accelerate.utils import DistributedDataParallelKwargs, gather_object, parse_flag_from_env, set_seed
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from torch import Tensor

from sweettok_cli.data.sampler import prefetched
from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output
from sweettok_cli.runtime import resolve_precision
from sweettok_cli.training.checkpoint import CheckpointStore, State, random_state, set_random_state
from sweettok_cli.training.ema import EMA
from sweettok_cli.training.log import Journal
from sweettok_cli.training.optimizer import learning_rate, make_optimizer, run_progress
from sweettok_cli.training.recipe import RECIPE_FILE, Recipe, resumed_with
from sweettok_cli.training.record import RunRecord
from sweettok_cli.training.task import Task


@contextmanager
def asked_to_stop(say: Callable[[str], None]) -> Iterator[Event]:
    """In the block, the first Ctrl-C or SIGTERM sets the event; a second one acts as it always did."""
    asked = Event()

    def note(number: int, frame: FrameType | None) -> None:
        asked.set()
        restore()
        say("Stopping after this step, to save it; once more stops at once.")

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        restore()


@dataclass(frozen=True)
class RunOptions:
    """What a run trains, by which recipe, and where it reads and writes."""

    task: Task
    recipe: Recipe
    record: RunRecord  # where the data lie
    out: Path
    resume: bool = False


class Run:
    """One run: everything that stays the same while it goes on."""

    def __init__(self, options: RunOptions, say: Callable[[str], None]):
        self.options, self.recipe, self.task = options, options.recipe, options.task
        self.begun = time.perf_counter()
        self.lock = FileLock(options.out / ".lock")
        # Told so, Accelerate also joins many processes on a machine without an accelerator.
        cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
        precision = resolve_precision(self.recipe.precision, PartialState(cpu=cpu).device)
        unused = DistributedDataParallelKwargs(find_unused_parameters=self.task.unused_parameters)
        mixed = "bf16" if precision == "bf16" else "no"
        self.accelerator = Accelerator(cpu=cpu, mixed_precision=mixed, kwargs_handlers=[unused])
        self.main = self.accelerator.is_main_process
        self.say = say if self.main else lambda _: None
        self.journal = Journal(options.out / "log.jsonl", self.say)
        self.checkpoints = CheckpointStore(options.out / "checkpoints", self.recipe.keep_checkpoints)
        if self.main:
            self._check_folder()
        ranks = self.accelerator.process_index, self.accelerator.num_processes
        record = options.record
        val = None if record.val is None else Path(record.val)
        self.batches = self.task.batches(list(map(Path, record.data)), val, *ranks)
        self.state = self._load()
        self.recipe = self.task.recipe  # with the network that it has in truth
        if self.main:
            self._write_folder(precision)
        self.validated: tuple[int, dict[str, Any] | None] = (-1, None)

    def _check_folder(self) -> None:
        """Find out before anything slow whether the run may write its folder; nothing is changed yet."""
        out, resume = self.options.out, self.options.resume
        if resume and not self.checkpoints.steps():
            raise SweettokError(f"{out} holds no checkpoint to resume from; start without --resume.")
        if self.checkpoints.steps() and not resume:
            raise SweettokError(f"{out} holds a run already; pass --resume to continue it or another --out.")
        if out.exists() and not out.is_dir():
            raise SweettokError(f"{out} is a file; name a folder for the run with --out.")
        there = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            raise SweettokError(f"Cannot write into {there} (Permission denied); choose another --out.")
        if out.is_dir():
            self._lock_folder()
        if resume:
            for change in resumed_with(out, self.recipe):
                self.say(change)

    def _lock_folder(self) -> None:
        """Hold the run's folder as long as this process lives."""
        try:
            self.lock.acquire(blocking=False)
        except Timeout:
            raise SweettokError(
                f"Another training writes to {self.options.out}; wait for it, or choose another --out."
            ) from None

    def _write_folder(self, precision: str) -> None:
        """Make the run's folder, once everything that it goes on from has been read."""
        out = self.options.out
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._lock_folder()
            self.checkpoints.clean()
            self.journal.rewind(self.state.step if self.options.resume else -1)
            with atomic_output(out / RECIPE_FILE, force=True) as part:
                part.write_text(self.recipe.as_toml(), encoding="utf-8")
            self.options.record.write(out)
        except OSError as error:
            raise SweettokError(f"Cannot write {out} ({error.strerror}); choose another --out.") from error
        count = sum(p.numel() for learned in self.state.parameters.values() for p in learned)
        devices = f"{self.accelerator.num_processes} x {self.accelerator.device.type} in {precision}"
        what = f"{count:,} parameters learn from {self.batches.describe()} on {devices}"
        self.journal.write("event", self.state.step, event=f"{self.task.title}: {what}")

    def _load(self) -> State:
        """Build what is trained and all that trains it: new, or as a checkpoint left it."""
        task, recipe, accelerator, options = self.task, self.recipe, self.accelerator, self.options
        set_seed(recipe.seed)
        if options.resume:
            shared, rng = self.checkpoints.load(accelerator.device, accelerator.process_index)
            task.resume(accelerator.device, options.out / "model", shared["model"])
        else:
            task.build(accelerator.device, self.say)
        groups = {name: list(learned) for name, learned in task.parameter_groups().items()}
        optimizers = {name: make_optimizer(learned, recipe, task.model) for name, learned in groups.items()}
        averaged = EMA(task.model, recipe.ema)
        if recipe.compile:
            task.model.compile()
        trained, *prepared = accelerator.prepare(task.model, *optimizers.values())
        parameters = {name: [p for _, p in learned] for name, learned in groups.items()}
        state = State(task, trained, dict(zip(optimizers, prepared, strict=True)), parameters, averaged)
        set_seed(recipe.seed, device_specific=True)  # dropout differs between ranks
        if options.resume:
            state.load_state_dict(shared)
            set_random_state(rng)
        return state

    def train(self) -> dict[str, Any]:
        """Train until steps or minutes are used up, or a signal asks to stop; returns a summary.

        Raises:
            SweettokError: a loss or gradient is not finite, or too many clips are unreadable.
        """
        state, recipe = self.state, self.recipe
        before = state.seconds
        stepping = waited = 0.0
        saved = state.step if self.options.resume else -1
        first = state.step * recipe.accumulate
        ahead = prefetched(self.batches.batch, first, recipe.workers, recipe.prefetch)
        with asked_to_stop(self.say) as asked, ahead as batches:
            while True:
                state.seconds = before + time.perf_counter() - self.begun
                progress = run_progress(recipe, state.step, state.seconds)
                stop, progress = self._agree(asked.is_set(), progress)
                if stop or progress >= 1:
                    break
                lr = learning_rate(recipe, state.step, progress)
                started = time.perf_counter()
                norm, wait = self._step(batches, lr)
                stepping, waited = stepping + time.perf_counter() - started, waited + wait
                if _due(state.step, recipe.log_every):
                    self._log(lr, norm, stepping / state.counted, waited / state.counted)
                    stepping = waited = 0.0
                if _due(state.step, recipe.sample_every) or (state.step == 1 and recipe.sample_every):
                    self._draw()
                if _due(state.step, recipe.validate_every):
                    self._validate()
                if _due(state.step, recipe.checkpoint_every):
                    state.seconds = before + time.perf_counter() - self.begun
                    self._save()
                    saved = state.step
        # A stop at a checkpoint's own step has nothing to add to it.
        if saved != state.step:
            self._save()
        figures = None
        if not stop:
            self._draw()
            figures = self._validate()
        return {
            "step": state.step,
            "minutes": round(state.seconds / 60, 2),
            "interrupted": stop,
            "validation_psnr": figures["psnr"] if figures else None,
            "unreadable_clips": sorted(self.batches.unreadable.values()),
            "model": str(self.options.out / "model"),
        }

    def _step(self, batches: Iterator[tuple[Any, float]], lr: float) -> tuple[Tensor, float]:
        """One step of every optimizer; returns the gradient's norm and the seconds waited for data."""
        state, recipe, accelerator = self.state, self.recipe, self.accelerator
        for optimizer in state.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = lr * group["factor"]
        taken: list[str] = []
        total, waited = torch.zeros((), device=accelerator.device), 0.0
        for left in reversed(range(recipe.accumulate)):
            batch, wait = next(batches)
            taken += batch.clips
            waited += wait
            with accelerator.no_sync(state.trained) if left else nullcontext():
                found = self.task.losses(state.trained, batch, state.step)
                sums = {name: torch.stack(list(terms.values())).sum() for name, terms in found.losses.items()}
                self._backward({name: loss / recipe.accumulate for name, loss in sums.items()})
            loss = torch.stack(list(sums.values())).sum().detach()
            total = total + loss
            state.count(found, loss)
        norms = [
            cast(Tensor, accelerator.clip_grad_norm_(learned, recipe.clip_norm or math.inf))
            for learned in state.parameters.values()
        ]
        norm = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))
        # The one wait for the device in a step: weights must not take in what is not a number.
        if not math.isfinite((total + norm).item()):
            what = "loss" if not math.isfinite(total.item()) else "gradient"
            raise SweettokError(
                f"The {what} of step {state.step} is not finite on the clips {', '.join(taken)}; the last "
                "checkpoint is intact, so --resume with a smaller --set lr, with --set precision=fp32, or "
                "without them."
            )
        for optimizer in state.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        state.averaged.update(self.task.model, state.step)
        state.step += 1
        state.counted += 1
        return norm, waited

    def _backward(self, sums: dict[str, Tensor]) -> None:
        """Let the gradient of each sum reach its own optimizer's parameters."""
        if len(sums) == 1:
            self.accelerator.backward(*sums.values())
            return
        for left, (name, loss) in zip(reversed(range(len(sums))), sums.items(), strict=True):
            learned = self.state.parameters[name]
            self.accelerator.backward(loss, inputs=learned, retain_graph=left > 0)

    def _log(self, lr: float, norm: Tensor, seconds: float, waited: float) -> None:
        """Write the means since the last line; losses and figures are those of the first process."""
        state, recipe = self.state, self.recipe
        if self.main:
            batches = state.counted * recipe.accumulate
            means = {name: value.item() / batches for name, value in state.sums.items()}
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
                minutes=round(state.seconds / 60, 2),
                unreadable=len(self.batches.unreadable),
            )
        state.sums, state.counted = {}, 0

    def _agree(self, stop: bool, progress: float) -> tuple[bool, float]:
        """The same decision on every rank: one signal stops all, and the furthest clock counts."""
        if self.accelerator.num_processes == 1:
            return stop, progress
        own = torch.tensor([float(stop), progress], device=self.accelerator.device, dtype=torch.float32)
        every = cast(Tensor, self.accelerator.gather(own)).view(-1, 2).max(dim=0).values.tolist()
        return every[0] > 0, every[1]

    @torch.no_grad()
    def _draw(self) -> None:
        if self.main and self.recipe.sample_every:
            with self.accelerator.autocast():
                path = self.options.out / "samples" / f"{self.state.step:08d}"
                self.task.samples(self.state.averaged.module, path)

    @torch.no_grad()
    def _validate(self) -> dict[str, Any] | None:
        if not self.main:
            return None
        step, figures = self.validated
        if step != self.state.step:
            with self.accelerator.autocast():
                figures = self.task.validate(self.state.averaged.module)
            self.validated = (self.state.step, figures)
            if figures is not None:
                rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}
                self.journal.write("validate", self.state.step, **rounded)
        return figures

    def _save(self) -> None:
        """Export the averaged weights, then write the checkpoint: where there is one, there is a model."""
        state, out = self.state, self.options.out
        try:
            if self.main:
                self.task.export(out / "model", state.averaged.module, out.name)
            generators = gather_object([random_state()])
            if self.main:
                self.checkpoints.save(state.step, state.state_dict(), generators)
        except (OSError, SafetensorError) as error:
            raise SweettokError(
                f"Cannot save step {state.step} in {out} ({error}); free some space, then --resume."
            ) from error
        self.accelerator.wait_for_everyone()


def train(options: RunOptions, say: Callable[[str], None]) -> dict[str, Any] | None:
    """Run a training to its end, saying lines for humans; the first process is given its summary."""
    run = Run(options, say)
    try:
        summary = run.train()
    finally:
        run.lock.release()
    return summary if run.main else None


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
