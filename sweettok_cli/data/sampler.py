"""Training batches: a pure function of seed, number and rank."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from sweettok_cli.data.entry import Entry, Facts
from sweettok_cli.data.stretch import read_stretch, with_short_side
from sweettok_cli.data.survey import Survey, survey
from sweettok_cli.data.synthetic import synthetic_clip
from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import OnProgress, ignore_progress
from sweettok_cli.video.reader import Size

# First words of the seed sequences, so that no two draws ever share a stream.
_ORDER, _SHAPE, _SAMPLE, _FIRST, _DRAWN, _SIZE = range(6)

_LEAST = 16  # samples to initialise from, however little time there is
_NOTHING = np.zeros(0, np.uint8)


@dataclass(frozen=True)
class Sampling:
    """What batches are cut."""

    crop: Sequence[Sequence[float]]  # of [side in pixels, samples, weight] each step draws one by weight
    crops_per_clip: int = 1  # samples cut from one decoded stretch of a clip
    resize: Sequence[float] = ()  # short side of frames before the cut, from .. to, in sides of the cut
    centre: bool = False  # cut the middle of the frames, not anywhere
    pictures: float = 0.0  # share of the batches that hold only the first frame of their samples
    synthetic: float = 0.0  # share of the samples that are drawn, see synthetic.py
    skip_unreadable: float = 0.1  # share of the clips that may be unreadable; one always may
    flip: bool = False  # mirror half of the samples left to right
    reverse: bool = False  # play half of the samples backwards
    frames: int = 17  # frames of a sample
    fps: float = 0.0  # frames a second of a sample, by time stamps; 0: as they are
    accumulate: int = 1  # batches of a process that make one step
    seed: int = 0


@dataclass(frozen=True)
class Batch:
    """Samples of one size and the clips they were cut from."""

    frames: np.ndarray  # uint8 [b, t, h, w, 3]
    clips: tuple[str, ...]  # names of the clips, one for every ``crops_per_clip`` samples of a filmed one
    skipped: Mapping[int, str] = field(default_factory=dict)  # unreadable ones that were met: why, by place
    codes: np.ndarray | None = None  # of every sample [b, t', h', w'], where they are packed beside the clips

    def __len__(self) -> int:
        return len(self.frames)


def hold_out(entries: list[Entry], count: int, seed: int) -> tuple[list[Entry], list[Entry]]:
    """``count`` clips to look at, and those to train on: the others, or all where there are few."""
    if len(entries) < 10 * count:
        return entries[:count], entries
    chosen = set(np.random.default_rng(seed).choice(len(entries), count, replace=False).tolist())
    return [entries[i] for i in sorted(chosen)], [e for i, e in enumerate(entries) if i not in chosen]


class Sampler:
    """Cuts batches out of a list of clips. Any batch can be asked for at any time: no position needs saving.

    A step is one row of samples, whoever cuts them: as many processes as there are, and of each as many
    batches as are added up to a step, take consecutive parts of it. Its size, its kind and each of its
    samples are drawn by their place in that row, so that two processes see what one sees that is given twice
    as many. Every epoch walks through the clips in a new order. The number of clips that a step walks over is
    that of the largest step there is, whatever size it draws itself, so that its place in the walk is its
    number times a constant.
    """

    def __init__(self, entries: Sequence[Entry], settings: Sampling, rank: int = 0, ranks: int = 1):
        self.entries = list(entries)
        self.settings = settings
        self.rank, self.ranks = rank, ranks
        self.parts = ranks * settings.accumulate
        self.stride = max(self._clips(self.parts * int(samples)) for _, samples, _ in settings.crop)
        self.facts: dict[int, Facts] = {}  # of entries, by place
        self._unreadable: dict[int, str] = {}  # why
        self._with_codes = False
        self._order: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """For a process that cuts batches, too."""
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_order")}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock(), _order={})

    @property
    def unreadable(self) -> dict[str, str]:
        """Of the clips that could not be read so far: why, by name."""
        with self._lock:
            return {self.entries[place].name: why for place, why in self._unreadable.items()}

    def check(self, on_progress: OnProgress) -> None:
        """Open every clip, so that what cannot be read is known before the first step.

        Raises:
            SweettokError: it is more than ``skip_unreadable``.
        """
        self.take(survey(self.entries, on_progress))

    def take(self, found: Survey) -> None:
        """Make use of what opening the clips has told, here or in another process.

        Raises:
            SweettokError: more of them are unreadable than ``skip_unreadable``.
        """
        self.facts |= found.facts
        self.note(found.unreadable)

    def note(self, unreadable: Mapping[int, str]) -> None:
        """Take in which clips cannot be read, by place, and why.

        Raises:
            SweettokError: they are more than ``skip_unreadable``.
        """
        with self._lock:
            self._unreadable |= {p: why for p, why in unreadable.items() if p not in self._unreadable}
        if unreadable:
            self._limit()

    def use_codes(self, teacher: str) -> str | None:
        """Have every batch bring the codes that are packed beside its clips, if they are those of a teacher.

        Codes are of whole samples. Returns why those that there are cannot be used; None where they can, or
        where there are none. ``teacher`` is the SHA-256 of its weights.
        """
        packed = [entry.codes for entry in self.entries if entry.codes is not None]
        wanted, sides = self.settings, {int(side) for side, _, _ in self.settings.crop}
        reasons = {
            "some clips have none": len(packed) < len(self.entries),
            "they are those of another teacher": any(codes.teacher != teacher for codes in packed),
            f"samples of crop = {sorted(sides)} are not those that were packed": {
                codes.side for codes in packed
            }
            != sides,
            f"samples of frames = {wanted.frames} are not those that were packed": any(
                entry.declared().frames != wanted.frames for entry in self.entries if entry.codes is not None
            ),
            "flip and reverse change samples": wanted.flip or wanted.reverse,
            "fps leaves out frames": wanted.fps > 0,
            "drawn samples have none (synthetic)": wanted.synthetic > 0,
        }
        why = next((words for words, holds in reasons.items() if holds), None) if packed else None
        self._with_codes = bool(packed) and why is None
        return why

    def batch(self, number: int) -> Batch:
        """Batch ``number`` (0, 1, ...) of this rank.

        Raises:
            SweettokError: more of the clips turned out to be unreadable than ``skip_unreadable``.
        """
        settings = self.settings
        weights = np.array([weight for _, _, weight in settings.crop])
        step, part = divmod(number, settings.accumulate)
        shape = self._random(_SHAPE, step)
        choice = shape.choice(len(weights), p=weights / weights.sum())
        side, samples = map(int, settings.crop[choice][:2])
        start = (part * self.ranks + self.rank) * samples
        batch = self._cut(_SAMPLE, step, range(start, start + samples), side)
        alone = shape.random() < settings.pictures
        if not alone or settings.frames == 1:
            return batch
        return replace(batch, frames=batch.frames[:, :1], codes=None)

    def first(
        self, samples: int, on_progress: OnProgress = ignore_progress, until: float = math.inf
    ) -> Batch:
        """A large batch of the smallest size for the network's initialisation: the same on every rank.

        It is smaller, but never of less than 16 samples, where ``until`` then, on the clock of
        :func:`time.perf_counter`, there was no time for more.
        """
        side = int(min(side for side, _, _ in self.settings.crop))
        return self._cut(_FIRST, 0, range(samples), side, on_progress, until)

    def describe(self) -> str:
        """How much there is, without what is known to be unreadable."""
        drawn = f" and {self.settings.synthetic:.0%} synthetic samples" if self.settings.synthetic else ""
        count = len(self.entries) - len(self._unreadable)
        return f"{count} clip{'s' * (count != 1)}{drawn}"

    def passes(self, steps: int) -> float:
        """How often so many steps are expected to read each clip; a position tells what they walk over."""
        crop = self.settings.crop
        sizes = [(self._clips(self.parts * int(samples)), weight) for _, samples, weight in crop]
        read = sum(clips * weight for clips, weight in sizes) / sum(weight for _, weight in sizes)
        return steps * read * (1 - self.settings.synthetic) / len(self.entries)

    def position(self, number: int) -> dict[str, Any]:
        """Where batch ``number`` begins, for a checkpoint to say: batch, epoch, how many clips, their digest.

        The digest is of their names, sizes and parts, in their order: with another one, batches differ.
        """
        epoch = number // self.settings.accumulate * self.stride / len(self.entries)
        found = {"batch": number, "epoch": round(epoch, 4), "clips": len(self.entries)}
        return {**found, "digest": self._digest}

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for entry in self.entries:
            about = entry.name, str(entry.size), str(entry.start), str(entry.end)
            digest.update("\0".join((*about, "")).encode(errors="replace"))
        return digest.hexdigest()

    def _clips(self, samples: int) -> int:
        return -(-samples // self.settings.crops_per_clip)

    def _random(self, *words: int) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, *words])

    def _cut(
        self,
        kind: int,
        step: int,
        wanted: range,
        side: int,
        on_progress: OnProgress = ignore_progress,
        until: float = math.inf,
    ) -> Batch:
        """The ``wanted`` samples of a step's row; what lies before them in their first clip is drawn, too."""
        each, cuts, names = self.settings.crops_per_clip, list[np.ndarray](), list[str]()
        skipped: dict[int, str] = {}
        codes: list[np.ndarray] = []
        for clip in range(wanted.start // each, self._clips(wanted.stop)):
            if len(cuts) >= _LEAST and time.perf_counter() > until:
                break
            on_progress(len(cuts), len(wanted))
            own = kind, step, 0, clip
            random, drawn = self._random(*own), self._random(_DRAWN, *own)
            synthetic = drawn.random() < self.settings.synthetic  # each sample another, in a clip's place
            frames, name, own_codes = _NOTHING, "", None
            if not synthetic:
                size = self._size(side, own)
                frames, name, own_codes = self._read(step * self.stride + clip, random, size, skipped)
                names.append(name)
            for sample in range(clip * each, min(clip * each + each, wanted.stop)):
                if synthetic:
                    frames, name = synthetic_clip(drawn, self.settings.frames, side + side // 4)
                cut = self._crop(frames, side, random)
                if sample in wanted:
                    cuts.append(cut)
                    codes += [] if own_codes is None else [own_codes]
                    names += [f"synthetic {name}"] * synthetic
        return Batch(np.stack(cuts), tuple(names), skipped, np.stack(codes) if codes else None)

    def _size(self, side: int, own: tuple[int, ...]) -> Size:
        """To what the frames of a clip are scaled before samples are cut."""
        if not self.settings.resize:
            return None
        least, most = self.settings.resize
        return _Resized(side, self._random(_SIZE, *own).uniform(least, most))

    def _crop(self, frames: np.ndarray, side: int, random: np.random.Generator) -> np.ndarray:
        """One square sample of ``frames`` [t, h, w, 3]; smaller pictures are enlarged to it first."""
        height, width = frames.shape[1:3]
        if min(height, width) < side:
            size = with_short_side(side, width, height)
            enlarged = [Image.fromarray(f).resize(size, Image.Resampling.BICUBIC) for f in frames]
            frames = np.stack([np.asarray(picture) for picture in enlarged])
        free = frames.shape[1] - side, frames.shape[2] - side
        y, x = (int(random.integers(room + 1)) for room in free)
        if self.settings.centre:
            y, x = (room // 2 for room in free)
        mirrored, backwards = random.random(2) < 0.5
        cut = frames[:, y : y + side, x : x + side]
        if self.settings.flip and mirrored:
            cut = cut[:, :, ::-1]
        return cut[::-1] if self.settings.reverse and backwards else cut

    def _read(
        self, place: int, random: np.random.Generator, size: Size, skipped: dict[int, str]
    ) -> tuple[np.ndarray, str, np.ndarray | None]:
        """Frames [t, h, w, 3] of the clip at ``place`` of the endless walk, or of the next readable one.

        With its name and, where they are used, its codes.

        An unreadable clip is tried again every time: what was met before must not change what a batch holds.
        """
        position = random.random()
        while True:
            chosen = self._entry(place)
            entry = self.entries[chosen]
            try:
                if chosen not in self.facts:
                    self.facts[chosen] = entry.declared()
                facts, wanted = self.facts[chosen], self.settings.frames
                frames = read_stretch(entry, facts, position, wanted, self.settings.fps, size)
                return frames, entry.name, entry.read_codes() if self._with_codes else None
            except MemoryError:
                raise
            except Exception as error:  # whatever a decoder makes of one damaged clip, a run goes on
                skipped[chosen] = entry.why(error)
                self.note({chosen: skipped[chosen]})
            place += 1

    def _entry(self, place: int) -> int:
        epoch, within = divmod(place, len(self.entries))
        with self._lock:
            if epoch not in self._order:
                self._order = {e: order for e, order in self._order.items() if e >= epoch - 2}
                self._order[epoch] = self._random(_ORDER, epoch).permutation(len(self.entries))
            return int(self._order[epoch][within])

    def _limit(self) -> None:
        with self._lock:
            found = [(self.entries[place].name, why) for place, why in self._unreadable.items()]
        count, total = len(found), len(self.entries)
        if count > max(1, self.settings.skip_unreadable * total) or count == total:
            listed = "; ".join(f"{name}: {why}" for name, why in found[:3])
            more = f"; and {count - 3} more" if count > 3 else ""
            how = f", or allow it with --set skip_unreadable={math.ceil(100 * count / total) / 100}"
            raise SweettokError(
                f"{count} of {total} training clips cannot be read ({listed}{more}); repair or remove them"
                f"{how if count < total else ''}."
            )


@dataclass(frozen=True)
class _Resized:
    """Gives the size to which frames are scaled before samples of a ``side`` are cut out of them.

    Their short side becomes ``share`` sides; none is enlarged.
    """

    side: int
    share: float

    def __call__(self, width: int, height: int) -> tuple[int, int]:
        wanted = round(min(self.share * self.side, min(width, height)))
        return with_short_side(wanted, width, height)
