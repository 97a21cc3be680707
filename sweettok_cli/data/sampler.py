"""Training batches: a pure function of (seed, batch number, rank), decoded ahead of the loop."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
from PIL import Image

from sweettok_cli.data.clips import Entry
from sweettok_cli.data.synthetic import synthetic_clip
from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import OnProgress, ignore_progress
from sweettok_cli.video.images import count_pictures, is_picture
from sweettok_cli.video.reader import read_clip
from sweettok_cli.video.source import open_container, video_stream

# First words of the seed sequences, so that no two draws ever share a stream.
_ORDER, _SHAPE, _SAMPLE, _FIRST, _DRAWN = range(5)

_THREADS_THAT_CHECK = 8


@dataclass(frozen=True)
class Sampling:
    """What batches are cut."""

    crop: Sequence[Sequence[float]]  # of [side in pixels, samples, weight] each batch draws one by weight
    crops_per_clip: int = 1  # samples cut from one decoded stretch of a clip
    pictures: float = 0.0  # share of the batches that hold only the first frame of their samples
    synthetic: float = 0.0  # share of the samples that are drawn, see synthetic.py
    skip_unreadable: float = 0.1  # share of the clips that may be unreadable; one always may
    flip: bool = False  # mirror half of the samples left to right
    reverse: bool = False  # play half of the samples backwards
    frames: int = 17  # frames of a sample
    fps: float = 0.0  # frames a second of a sample, by time stamps; 0: as they are
    seed: int = 0


@dataclass(frozen=True)
class Batch:
    """Samples of one size and the clips they were cut from."""

    frames: np.ndarray  # uint8 [b, t, h, w, 3]
    clips: tuple[str, ...]  # names of the clips, one for every ``crops_per_clip`` samples of a filmed one

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

    Every epoch walks through the clips in a new order, shared out among the ranks. The number of clips a
    batch walks over is that of the largest batch there is, whatever size the batch itself draws, so that the
    place of a batch in the walk is its number times a constant.
    """

    def __init__(self, entries: Sequence[Entry], settings: Sampling, rank: int = 0, ranks: int = 1):
        self.entries = list(entries)
        self.settings = settings
        self.rank, self.ranks = rank, ranks
        self.stride = max(self._clips(int(samples)) for _, samples, _ in settings.crop)
        self.lengths: dict[int, tuple[int, float]] = {}  # frames, and how many a second
        self.unreadable: dict[str, str] = {}  # why, by name
        self._order: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()

    def check(self, on_progress: OnProgress) -> None:
        """Open every clip, so that what cannot be read is known before the first step.

        Raises:
            SweettokError: it is more than ``skip_unreadable``.
        """
        self.unreadable |= find_unreadable(self.entries, on_progress)
        self._limit()

    def batch(self, number: int) -> Batch:
        """Batch ``number`` (0, 1, ...) of this rank.

        Raises:
            SweettokError: more of the clips turned out to be unreadable than ``skip_unreadable``.
        """
        settings = self.settings
        weights = np.array([weight for _, _, weight in settings.crop])
        shape = self._random(_SHAPE, number)
        choice = shape.choice(len(weights), p=weights / weights.sum())
        side, samples = map(int, settings.crop[choice][:2])
        start = (number * self.ranks + self.rank) * self.stride
        batch = self._cut(_SAMPLE, number, [start + i for i in range(self._clips(samples))], side, samples)
        alone = shape.random() < settings.pictures
        return replace(batch, frames=batch.frames[:, :1]) if alone else batch

    def first(
        self, samples: int, on_progress: OnProgress = ignore_progress, until: float = math.inf
    ) -> Batch:
        """A large batch of the smallest size for the network's initialisation: the same on every rank.

        It is smaller, but never of less than 16 samples, where ``until`` then, on the clock of
        :func:`time.perf_counter`, there was no time for more.
        """
        side = int(min(side for side, _, _ in self.settings.crop))
        places = self._in_time(range(self._clips(samples)), -(-16 // self.settings.crops_per_clip), until)
        return self._cut(_FIRST, 0, places, side, samples, on_progress)

    def _in_time(self, places: Sequence[int], least: int, until: float) -> Iterator[int]:
        for taken, place in enumerate(places):
            if taken >= least and time.perf_counter() > until:
                return
            yield place

    def describe(self) -> str:
        """How much there is, without what is known to be unreadable."""
        drawn = f" and {self.settings.synthetic:.0%} synthetic samples" if self.settings.synthetic else ""
        count = len(self.entries) - len(self.unreadable)
        return f"{count} clip{'s' * (count != 1)}{drawn}"

    def _clips(self, samples: int) -> int:
        return -(-samples // self.settings.crops_per_clip)

    def _random(self, *words: int) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, *words])

    def _cut(
        self,
        kind: int,
        number: int,
        places: Iterable[int],
        side: int,
        samples: int,
        on_progress: OnProgress = ignore_progress,
    ) -> Batch:
        cuts: list[np.ndarray] = []
        names: list[str] = []
        for i, place in enumerate(places):
            on_progress(len(cuts), samples)
            own = kind, number, 0 if kind == _FIRST else self.rank, i
            random, drawn = self._random(*own), self._random(_DRAWN, *own)
            crops = min(self.settings.crops_per_clip, samples - len(cuts))
            if drawn.random() < self.settings.synthetic:  # in the place of a clip, each sample another
                for _ in range(crops):
                    frames, name = synthetic_clip(drawn, self.settings.frames, side + side // 4)
                    cuts.append(self._crop(frames, side, random))
                    names.append(f"synthetic {name}")
                continue
            frames, name = self._read(place, random)
            names.append(name)
            cuts += [self._crop(frames, side, random) for _ in range(crops)]
        return Batch(np.stack(cuts), tuple(names))

    def _crop(self, frames: np.ndarray, side: int, random: np.random.Generator) -> np.ndarray:
        """One square sample of ``frames`` [t, h, w, 3]; smaller pictures are enlarged to it first."""
        height, width = frames.shape[1:3]
        if min(height, width) < side:
            size = (
                max(side, round(width * side / min(height, width))),
                max(side, round(height * side / min(height, width))),
            )
            enlarged = [Image.fromarray(f).resize(size, Image.Resampling.BICUBIC) for f in frames]
            frames = np.stack([np.asarray(picture) for picture in enlarged])
        y = random.integers(frames.shape[1] - side + 1)
        x = random.integers(frames.shape[2] - side + 1)
        mirrored, backwards = random.random(2) < 0.5
        cut = frames[:, y : y + side, x : x + side]
        if self.settings.flip and mirrored:
            cut = cut[:, :, ::-1]
        return cut[::-1] if self.settings.reverse and backwards else cut

    def _read(self, place: int, random: np.random.Generator) -> tuple[np.ndarray, str]:
        """Frames [t, h, w, 3] of the clip at ``place`` of the endless walk, or of the next readable one.

        An unreadable clip is tried again every time: what was met before must not change what a batch holds.
        """
        position = random.random()
        while True:
            chosen = self._entry(place)
            try:
                return self._stretch(chosen, position), self.entries[chosen].name
            except MemoryError:
                raise
            except Exception as error:  # whatever a decoder makes of one damaged clip, a run goes on
                self._reject(self.entries[chosen], error)
            place += 1

    def _entry(self, place: int) -> int:
        epoch, within = divmod(place, len(self.entries))
        with self._lock:
            if epoch not in self._order:
                self._order = {e: order for e, order in self._order.items() if e >= epoch - 2}
                self._order[epoch] = self._random(_ORDER, epoch).permutation(len(self.entries))
            return int(self._order[epoch][within])

    def _stretch(self, chosen: int, position: float) -> np.ndarray:
        entry, wanted, fps = self.entries[chosen], self.settings.frames, self.settings.fps
        if chosen not in self.lengths:
            self.lengths[chosen] = declared_frames(entry)
        length, rate = self.lengths[chosen]
        span = math.ceil((wanted - 1) * rate / fps) + 1 if fps else wanted
        start = int(position * (max(0, length - span) + 1))
        try:
            frames = read_clip(entry.source(), start, wanted, rate=fps)
        except SweettokError:
            if start == 0:
                raise
            frames = read_clip(entry.source(), 0, wanted, rate=fps)  # shorter than it declares
        missing = wanted - len(frames)
        return np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)]) if missing > 0 else frames

    def _reject(self, entry: Entry, error: Exception) -> None:
        with self._lock:
            self.unreadable.setdefault(entry.name, entry.why(error))
        self._limit()

    def _limit(self) -> None:
        count, total = len(self.unreadable), len(self.entries)
        if count > max(1, self.settings.skip_unreadable * total) or count == total:
            listed = "; ".join(f"{name}: {why}" for name, why in list(self.unreadable.items())[:3])
            more = f"; and {count - 3} more" if count > 3 else ""
            how = f", or allow it with --set skip_unreadable={math.ceil(100 * count / total) / 100}"
            raise SweettokError(
                f"{count} of {total} training clips cannot be read ({listed}{more}); repair or remove them"
                f"{how if count < total else ''}."
            )


def find_unreadable(entries: Sequence[Entry], on_progress: OnProgress) -> dict[str, str]:
    """Of the clips that cannot be opened, as far as their headers say: why, by name."""
    found: dict[str, str] = {}
    with ThreadPoolExecutor(_THREADS_THAT_CHECK, thread_name_prefix="check") as pool:
        for done, (entry, failure) in enumerate(zip(entries, pool.map(_failure, entries), strict=True), 1):
            if failure is not None:
                found[entry.name] = failure
            on_progress(done, len(entries))
    return found


def _failure(entry: Entry) -> str | None:
    try:
        if not (entry.is_image and _opens_as_picture(entry)):
            with open_container(entry.source()) as container:
                video_stream(container, entry.name)
    except MemoryError:
        raise
    except Exception as error:
        return entry.why(error)
    return None


def _opens_as_picture(entry: Entry) -> bool:
    """Whether this is what its name says; False if it may be a video all the same.

    The content is only searched where the header is none: of a million pictures, no more is read.
    """
    source = entry.source()
    try:
        return count_pictures(source) > 0
    except SweettokError:
        if is_picture(source):
            raise
        return False


def declared_frames(entry: Entry) -> tuple[int, float]:
    """Frames that a clip's header declares, or that its duration makes likely, and how many a second.

    A picture has one.

    Raises:
        SweettokError: it cannot be opened as a video.
    """
    if entry.is_image:
        return 1, 1.0
    with open_container(entry.source()) as container:
        stream = video_stream(container, entry.name)
        rate = float(stream.average_rate or 0)
        return stream.frames or max(1, int((container.duration or 0) / 1e6 * rate)), rate


@contextmanager
def prefetched(
    batch: Callable[[int], Any], start: int, workers: int, prefetch: int
) -> Iterator[Iterator[tuple[Any, float]]]:
    """Yield an endless (batch, seconds waited for it) from batch ``start`` on, decoded ahead in threads.

    Threads are enough: decoding leaves the interpreter's lock.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")

    def batches() -> Iterator[tuple[Any, float]]:
        ahead = deque(pool.submit(batch, number) for number in range(start, start + prefetch))
        for following in count(start + prefetch):
            begin = time.perf_counter()
            taken = ahead.popleft().result()
            yield taken, time.perf_counter() - begin
            ahead.append(pool.submit(batch, following))

    try:
        yield batches()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
