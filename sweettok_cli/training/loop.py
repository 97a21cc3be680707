"""The training loop: load, train, look, save. Reads from top to bottom."""

from __future__ import annotations

import math
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import PartialState
from accelerate.utils import DistributedDataParallelKwargs, parse_flag_from_env, set_seed
from safetensors import SafetensorError
from torch import Tensor, nn

from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.sampler import Batch, Prefetcher, Sampler, hold_out
from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output
from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.runtime import resolve_precision
from sweettok_cli.training.checkpoint import CheckpointStore, State, set_random_state
from sweettok_cli.training.codebook_use import CodebookUse
from sweettok_cli.training.ema import EMA
from sweettok_cli.training.log import Journal
from sweettok_cli.training.losses import mean_squared_error, training_losses
from sweettok_cli.training.network import (
    Network,
    codebook_sizes,
    export_model,
    make_network,
    quantizer_losses,
    resume_network,
    token_ids,
)
from sweettok_cli.training.optimizer import learning_rate, make_optimizer, run_progress
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.samples import SampleGrid, validation_psnr
from sweettok_cli.training.stages import STAGES, Stage


class Interrupt:
    """While active, the first Ctrl-C or SIGTERM sets :attr:`wanted`; a second one acts as it always did."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.wanted = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.wanted = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


@dataclass(frozen=True)
class RunOptions:
    """Where a run reads and writes."""

    recipe: Recipe
    data: Sequence[Path]
    out: Path
    val: Path | None = None
    init: Path | None = None
    prior: Path | None = None
    resume: bool = False


class Run:
    """One run: everything that stays the same while it goes on."""

    def __init__(self, options: RunOptions, say: Callable[[str], None]):
        self.options, self.recipe = options, options.recipe
        self.stage: Stage = STAGES[self.recipe.stage]
        # Told so, Accelerate also joins many processes on a machine without an accelerator.
        cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
        precision = resolve_precision(self.recipe.precision, PartialState(cpu=cpu).device)
        unused = DistributedDataParallelKwargs(find_unused_parameters=self.stage.number == 1)
        mixed = "bf16" if precision == "bf16" else "no"
        self.accelerator = Accelerator(cpu=cpu, mixed_precision=mixed, kwargs_handlers=[unused])
        self.main = self.accelerator.is_main_process
        self.say = say if self.main else _silent
        self.journal = Journal(options.out / "log.jsonl", self.say)
        self.checkpoints = CheckpointStore(options.out / "checkpoints", self.recipe.keep_checkpoints)
        if self.main:
            self._open_folder()
        entries = find_entries(options.data)
        if options.val is not None:
            self.held_out = find_entries([options.val])[: self.recipe.validate_clips]
        else:
            self.held_out, entries = hold_out(entries, self.recipe.hold_out, self.recipe.seed)
        ranks = self.accelerator.process_index, self.accelerator.num_processes
        self.sampler = Sampler(entries, self.recipe.sampling, *ranks)
        self.network, self.state = self._load(precision)
        self.validated = (-1, 0.0)

    def _open_folder(self) -> None:
        """Make the run's folder and write the resolved recipe into it, before anything slow."""
        out, resume = self.options.out, self.options.resume
        if resume and not self.checkpoints.steps():
            raise SweettokError(f"{out} holds no checkpoint to resume from; start without --resume.")
        if self.checkpoints.steps() and not resume:
            raise SweettokError(f"{out} holds a run already; pass --resume to continue it or another --out.")
        out.mkdir(parents=True, exist_ok=True)
        self.checkpoints.clean()
        if not resume:
            self.journal.rewind(-1)
        with atomic_output(out / "recipe.toml", force=True) as part:
            part.write_text(self.recipe.as_toml(), encoding="utf-8")

    def _load(self, precision: str) -> tuple[Network, State]:
        """Build the network and all that trains it: new, from a model folder, or as a checkpoint left it."""
        recipe, accelerator, options = self.recipe, self.accelerator, self.options
        set_seed(recipe.seed)
        if options.resume:
            shared, rng = self.checkpoints.load(accelerator.device, accelerator.process_index)
            network = resume_network(options.out / "model", shared["model"])
        else:
            network = make_network(recipe, options.init, options.prior)
        model = network.model.to(accelerator.device)
        if not options.resume and options.init is None and recipe.init_samples:
            self._initialise(model)
        self.stage.prepare(model)
        self.stage.set_mode(model)
        optimizer = make_optimizer(model, recipe)
        averaged = EMA(model, recipe.ema)
        use = CodebookUse(codebook_sizes(model), recipe.window, accelerator.device)
        if recipe.compile:
            model.compile()
        trained, prepared = accelerator.prepare(model, optimizer)
        state = State(model, trained, prepared, averaged, use)
        set_seed(recipe.seed, device_specific=True)  # dropout differs between ranks
        if options.resume:
            state.load_state_dict(shared)
            set_random_state(rng)
            if self.main:
                self.journal.rewind(state.step)
        if self.main:
            count = sum(p.numel() for p in model.parameters() if p.requires_grad)
            devices = f"{accelerator.num_processes} x {accelerator.device.type} in {precision}"
            what = f"{count:,} parameters learn from {len(self.sampler.entries)} clips on {devices}"
            self.journal.write("event", state.step, event=f"stage {recipe.stage}, {self.stage.name}: {what}")
        return network, state

    def _initialise(self, model: nn.Module) -> None:
        """Data-dependent start of the weights, for a network that has one; the same on every rank."""
        initialise = getattr(model, "initialise", None)
        if initialise is None:
            return
        self.say(f"initialising from {self.recipe.init_samples} samples")
        with torch.no_grad():
            initialise(self._video(self.sampler.first(self.recipe.init_samples).frames))

    def train(self) -> dict[str, Any]:
        """Train until steps or minutes are used up, or a signal asks to stop; returns a summary.

        Raises:
            SweettokError: a loss or gradient is not finite, or too many clips are unreadable.
        """
        state, recipe = self.state, self.recipe
        grid = self._grid()
        begun, before = time.perf_counter(), state.seconds
        stepping = waited = 0.0
        saved = state.step if self.options.resume else -1
        with Interrupt() as interrupt, Prefetcher(self.sampler, state.step * recipe.accumulate) as prefetcher:
            batches = iter(prefetcher)
            while True:
                state.seconds = before + time.perf_counter() - begun
                stop, progress = self._agree(
                    interrupt.wanted, run_progress(recipe, state.step, state.seconds)
                )
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
                    self._draw(grid)
                if _due(state.step, recipe.validate_every):
                    self._validate()
                if _due(state.step, recipe.checkpoint_every):
                    state.seconds = before + time.perf_counter() - begun
                    self._save()
                    saved = state.step
        # A stop at a checkpoint's own step has nothing to add to it.
        if saved != state.step:
            self._save()
        psnr = None
        if not stop:
            self._draw(grid)
            psnr = self._validate()
        return {
            "step": state.step,
            "minutes": round(state.seconds / 60, 2),
            "interrupted": stop,
            "validation_psnr": psnr,
            "unreadable_clips": sorted(self.sampler.unreadable.values()),
            "model": str(self.options.out / "model"),
        }

    def _step(self, batches: Any, lr: float) -> tuple[Tensor, float]:
        """One optimizer step; returns the gradient's norm and the seconds waited for data."""
        state, recipe, accelerator = self.state, self.recipe, self.accelerator
        for group in state.optimizer.param_groups:
            group["lr"] = lr * group["factor"]
        taken: list[Batch] = []
        total, waited = torch.zeros((), device=accelerator.device), 0.0
        for left in reversed(range(recipe.accumulate)):
            batch, wait = next(batches)
            taken.append(batch)
            waited += wait
            video = self._video(batch.frames)
            with accelerator.no_sync(state.trained) if left else nullcontext():
                output = state.trained(video)
                quantizer = quantizer_losses(output) if self.stage.with_quantizer else {}
                terms = training_losses(output.reconstruction, video, quantizer, recipe)
                loss = torch.stack(list(terms.values())).sum()
                accelerator.backward(loss / recipe.accumulate)
            total = total + loss.detach()
            self._count(output, video, terms, loss)
        parameters = [p for p in state.model.parameters() if p.requires_grad]
        norm = cast(Tensor, accelerator.clip_grad_norm_(parameters, recipe.clip_norm or math.inf))
        # The one wait for the device in a step: weights must not take in what is not a number.
        if not math.isfinite((total + norm).item()):
            clips = ", ".join(name for batch in taken for name in batch.clips)
            what = "loss" if not math.isfinite(total.item()) else "gradient"
            raise SweettokError(
                f"The {what} of step {state.step} is not finite on the clips {clips}; the last checkpoint "
                "is intact, so --resume with a smaller --set lr, with --set precision=fp32, or without them."
            )
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        state.averaged.update(state.model, state.step)
        state.step += 1
        state.counted += 1
        return norm, waited

    @torch.no_grad()
    def _count(self, output: Any, video: Tensor, terms: dict[str, Tensor], loss: Tensor) -> None:
        """Add up what the log will average, without waiting for the device."""
        values = {**terms, "loss": loss, "mse": mean_squared_error(output.reconstruction, video)}
        sums: defaultdict[str, Tensor] = defaultdict(
            lambda: torch.zeros((), device=video.device), self.state.sums
        )
        self.state.sums = {name: sums[name] + value.detach() for name, value in values.items()}
        self.state.use.add(token_ids(output))

    def _log(self, lr: float, norm: Tensor, seconds: float, waited: float) -> None:
        """Write the means since the last line; losses, PSNR and words are those of the first process."""
        state, recipe = self.state, self.recipe
        if self.main:
            means = {
                name: value.item() / (state.counted * recipe.accumulate) for name, value in state.sums.items()
            }
            loss, mse = means.pop("loss"), means.pop("mse")
            self.journal.write(
                "train",
                state.step,
                loss=loss,
                losses=means,
                psnr=round(-10 * math.log10(max(mse, 1e-10)), 3),
                lr=lr,
                grad_norm=norm.item(),
                codebooks=state.use.figures(),
                seconds_per_step=round(seconds, 4),
                data_wait=round(waited, 4),
                minutes=round(state.seconds / 60, 2),
                unreadable=len(self.sampler.unreadable),
            )
        state.sums, state.counted = {}, 0

    def _agree(self, stop: bool, progress: float) -> tuple[bool, float]:
        """The same decision on every rank: one signal stops all, and the furthest clock counts."""
        if self.accelerator.num_processes == 1:
            return stop, progress
        own = torch.tensor([float(stop), progress], device=self.accelerator.device, dtype=torch.float32)
        every = cast(Tensor, self.accelerator.gather(own)).view(-1, 2).max(dim=0).values.tolist()
        return every[0] > 0, every[1]

    def _grid(self) -> SampleGrid | None:
        recipe = self.recipe
        if not (self.main and recipe.sample_every and self.held_out):
            return None
        side = int(max(side for side, _, _ in recipe.crop))
        entries, multiple = self.held_out[: max(1, recipe.hold_out)], self.network.config.multiple
        return SampleGrid(entries, recipe.frames, side, multiple)

    def _draw(self, grid: SampleGrid | None) -> None:
        if grid is not None:
            grid.draw(self._reconstruct, self.options.out / "samples" / f"{self.state.step:08d}.png")

    def _validate(self) -> float | None:
        if not self.main or self.options.val is None or not self.recipe.validate_every:
            return None
        step, psnr = self.validated
        if step != self.state.step:
            multiple = self.network.config.multiple
            psnr = validation_psnr(self.held_out, self.recipe.frames, multiple, self._reconstruct)
            self.validated = (self.state.step, psnr)
            self.journal.write("validate", self.state.step, psnr=round(psnr, 3), clips=len(self.held_out))
        return psnr

    @torch.no_grad()
    def _reconstruct(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [b, t, h, w, 3] through the averaged weights and back."""
        with self.accelerator.autocast():
            output = self.state.averaged(self._video(frames))
        return to_frames(output.reconstruction).cpu().numpy()

    def _video(self, frames: np.ndarray) -> Tensor:
        return to_video(torch.from_numpy(np.ascontiguousarray(frames)).to(self.accelerator.device))

    def _save(self) -> None:
        """Export the averaged weights, then write the checkpoint: where there is one, there is a model."""
        state, accelerator, out = self.state, self.accelerator, self.options.out
        try:
            if self.main:
                export_model(out / "model", self.network, state.averaged.module, out.name)
                self.checkpoints.begin(state.step)
            accelerator.wait_for_everyone()
            self.checkpoints.write_rank(state.step, accelerator.process_index)
            accelerator.wait_for_everyone()
            if self.main:
                self.checkpoints.finish(state.step, state.state_dict())
        except (OSError, SafetensorError) as error:
            raise SweettokError(
                f"Cannot save step {state.step} in {out} ({error}); free some space, then --resume."
            ) from error
        accelerator.wait_for_everyone()


def train(options: RunOptions, say: Callable[[str], None]) -> dict[str, Any] | None:
    """Run a training to its end; ``say`` takes lines for humans.

    Returns the summary of :meth:`Run.train` in the first process, None in the others.
    """
    run = Run(options, say)
    summary = run.train()
    return summary if run.main else None


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _silent(_: str) -> None:
    """What the other ranks say."""
