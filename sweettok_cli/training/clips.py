"""Tasks that learn from clips and are judged by pictures: where clips come from, samples, validation."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sweettok_cli.data.clips import find_entries, without
from sweettok_cli.data.entry import Entry
from sweettok_cli.data.joint import JointSampler
from sweettok_cli.data.sampler import Batch, Sampler, hold_out
from sweettok_cli.data.survey import Survey, survey
from sweettok_cli.errors import SweettokError
from sweettok_cli.training.collective import from_first
from sweettok_cli.training.log import Voice
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.samples import (
    VALIDATION_SIDE,
    SampleSheet,
    centre_clip,
    shown_rate,
    validation_psnr,
)
from sweettok_cli.training.task import Kind, Task

DISCRIMINATOR = "discriminator"  # what its optimizer is called


class ClipTask(Task):
    """A task whose network gives clips back; the recipe says how they are cut, and which are looked at."""

    sampler: Sampler  # the batches of this process
    device: torch.device  # on which the network computes

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._held_out: list[Entry] = []
        self._validates = False
        self._sheet: SampleSheet | None = None
        self._not_shown: dict[str, str] = {}  # clips that are looked at and cannot be read: why, by name

    @property
    @abstractmethod
    def multiple(self) -> int:
        """Sides of frames that the network is given are multiples of this many pixels."""

    @abstractmethod
    def reconstruct(self, weights: nn.Module, frames: np.ndarray) -> np.ndarray:
        """Clips, uint8 RGB [b, t, h, w, 3], through the network and back."""

    @property
    def validation_steps(self) -> float:
        """As :attr:`Task.validation_steps`: by pixels, forwards only, and clips to be read first."""
        learned = max(side * side * samples for side, samples, _ in self.recipe.crops)
        looked_at = VALIDATION_SIDE**2 * len(self._held_out) if self._validates else 0
        return looked_at / (2 * learned * self.recipe.accumulate)

    @property
    def unreadable(self) -> Mapping[str, str]:
        """As :attr:`Task.unreadable`."""
        return {**self._not_shown, **self.sampler.unreadable}

    def begin(self, optimizer: str) -> int:
        """As :meth:`Task.begin`."""
        return self.recipe.discriminator_start if optimizer == DISCRIMINATOR else 0

    def warmup(self, optimizer: str) -> int:
        """As :meth:`Task.warmup`."""
        own = self.recipe.discriminator_warmup if optimizer == DISCRIMINATOR else 0
        return own or self.recipe.warmup

    def batches(self, data: Sequence[Path], val: Path | None, rank: int, ranks: int, voice: Voice) -> Sampler:
        """As :meth:`Task.batches`: whatever :func:`find_entries` finds. The first rank searches and opens."""
        self._validates = val is not None and self.recipe.validate_every > 0
        entries, self._held_out = from_first(partial(self._find, data, val, voice))
        sampling, alternate = self.recipe.sampling, self.recipe.alternate
        if alternate:
            self.sampler = JointSampler(entries, sampling, alternate, rank, ranks)
        else:
            self.sampler = Sampler(entries, sampling, rank, ranks)
        if self.recipe.skip_unreadable < 1:
            self.sampler.take(from_first(partial(self._open, entries, val, voice)))
        return self.sampler

    def _find(self, data: Sequence[Path], val: Path | None, voice: Voice) -> tuple[list[Entry], list[Entry]]:
        """Clips to train on, and to look at."""
        entries = find_entries(data)
        if val is None:
            held_out, entries = hold_out(entries, self.recipe.hold_out, self.recipe.seed)
            return entries, held_out
        measured = find_entries([val], "validation clips")
        learned = without(entries, measured)
        if not learned:
            given = ", ".join(map(str, data))
            raise SweettokError(
                f"All clips of --data {given} lie in --val {val}, too, which is never trained on; give other "
                "ones with one of them."
            )
        if out := len(entries) - len(learned):
            clips, lie = ("clip", "lies in --data and is") if out == 1 else ("clips", "lie in --data and are")
            voice.say(f"{out} {clips} of --val {lie} left out")
        return learned, measured[: self.recipe.validate_clips]

    def _open(self, entries: Sequence[Entry], val: Path | None, voice: Voice) -> Survey:
        """Open all clips, and those to look at."""
        unknown = sum(entry.facts is None for entry in entries)
        voice.say(f"opening {unknown} clips" if unknown else f"{len(entries)} clips are known by their index")
        with voice.progress("opening the clips", "clips") as on_progress:
            found = survey(entries, on_progress)
        with voice.progress("opening the clips to look at", "clips") as on_progress:
            unreadable = survey(self._held_out, on_progress).unreadable
        self._not_shown = {self._held_out[place].name: why for place, why in unreadable.items()}
        if val is not None and len(unreadable) == len(self._held_out):
            raise SweettokError(f"None of the clips in {val} can be read; give others with --val.")
        return found

    def found(self) -> dict[str, Any]:
        """What there is of data: ``clips``, ``pictures`` among them, ``hours`` of video if known.

        ``held_out`` are to be looked at, of which ``learned_too`` are trained on as well.
        """
        seconds, known = 0.0, 0
        for place, entry in enumerate(self.sampler.entries):
            facts = entry.facts or self.sampler.facts.get(place)
            if facts is not None and facts.rate and not entry.is_image:
                with suppress(SweettokError):  # a part behind the end is none that can be read
                    seconds, known = seconds + entry.part(facts)[1] / facts.rate, known + 1
        pictures = sum(entry.is_image for entry in self.sampler.entries)
        return {
            "clips": len(self.sampler.entries),
            "pictures": pictures,
            "hours": round(seconds / 3600, 6) if known else None,
            "unreadable": dict(self.unreadable),
            "held_out": len(self._held_out),
            "learned_too": len({*self._held_out}.intersection(self.sampler.entries)),
        }

    def kinds(self) -> Iterator[Kind]:
        """As :meth:`Task.kinds`: each crop of clips, and of single pictures where they come by turns."""
        for side, samples, _ in self.recipe.crops:
            counts = {(int(samples), self.recipe.frames)}
            if self.recipe.alternate:
                counts.add((int(samples) * self.recipe.alternate, 1))
            for count, frames in sorted(counts):
                shape = frames, int(side), int(side), 3
                title = f"{count} of {frames}x{int(side)}x{int(side)}"
                yield Kind(title, count, math.prod(shape), partial(_made_up, shape))

    def on_device(self, frames: np.ndarray) -> Tensor:
        """uint8 frames of a batch on the task's device."""
        return torch.from_numpy(np.ascontiguousarray(frames)).to(self.device, non_blocking=True)

    def figures(self, means: dict[str, float]) -> dict[str, Any]:
        """PSNR in dB of the clips learned from, out of the mean squared error ``mse`` of values in [0, 1]."""
        return {"psnr": round(-10 * math.log10(max(means.pop("mse"), 1e-10)), 3)}

    def samples(self, weights: nn.Module, path: Path, step: int) -> list[Path]:
        """As :meth:`Task.samples`: a sheet of source | result | difference, and clips that move."""
        if self._sheet is None:
            side = int(max(side for side, _, _ in self.recipe.crop))
            shown = self._held_out[: max(1, self.recipe.hold_out)]
            clips = dict(self._read(shown, side))
            if not clips:
                return []
            moving = [entry for entry in shown if entry.name in clips and not entry.is_image]
            rates = {entry.name: shown_rate(entry) for entry in moving}
            self._sheet = SampleSheet(clips, self.multiple, rates)
        return self._sheet.draw(partial(self.reconstruct, weights), path, step)

    def validate(self, weights: nn.Module) -> dict[str, Any] | None:
        """As :meth:`Task.validate`: mean over clips of the mean PSNR in dB of their first frames' middle.

        It is called ``picture_psnr`` where the recipe looks at single frames only.
        """
        if not self._validates:
            return None
        clips = (clip for _, clip in self._read(self._held_out, VALIDATION_SIDE))
        figures = validation_psnr(clips, self.multiple, partial(self.reconstruct, weights))
        if not figures:
            return None
        which = "psnr" if self.recipe.frames > 1 else "picture_psnr"
        return {which: float(np.mean(figures)), "clips": len(figures), "frames": self.recipe.frames}

    def _read(self, entries: Sequence[Entry], side: int) -> Iterator[tuple[str, np.ndarray]]:
        """The clips to look at that can be read, by name."""
        for entry in entries:
            try:
                yield entry.name, centre_clip(entry, self.recipe.frames, side)
            except SweettokError as error:
                self._not_shown.setdefault(entry.name, entry.why(error))


def _made_up(shape: tuple[int, ...], samples: int) -> Batch:
    """Noise: so many samples, uint8 [t, h, w, 3] each."""
    pixels = np.random.default_rng(0).integers(0, 256, (samples, *shape), dtype=np.uint8)
    return Batch(pixels, ("",) * samples)
