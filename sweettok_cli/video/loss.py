"""What is missing of a file that could be read all the same: packets, stretches of time, its end.

A pause looks like a loss: no frame for seconds. What tells them apart is looked for in this order: packets
that libav marks as damaged or cannot decode, bytes between the container's elements, and a steady rate that
is taken up again on the same beat while no sound goes on. Pauses where the rate varies are no losses.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction

from av.error import FFmpegError

from sweettok_cli.video.decoding import Progress
from sweettok_cli.video.info import USUAL_RATES
from sweettok_cli.video.source import File, open_container, packets_of, video_stream
from sweettok_cli.video.structure import check_structure

# Frames between a sign of damage and the frames around it, which are reordered, and come later from threads.
_DELAY = 32
_STEADY = Fraction(95, 100)  # of the distances between frames
_LEAST_STEADY = 24  # distances that show whether the rate is steady
_LEAST_PAUSE = Fraction(1, 2)  # seconds that need no other sign than a steady rate
_MOST_KEPT = 10_000  # distances
_LOOKED_AT = 48  # distances that tell the usual one
_WIDE, _WIDE_OF_UNEVEN = Fraction(3, 2), Fraction(4)  # times the usual distance


@dataclass(frozen=True)
class Gap:
    """A stretch of time whose frames are missing, in seconds after the first frame."""

    start: Fraction
    seconds: Fraction


@dataclass(frozen=True)
class Loss:
    """What could not be read of one file; false where that is nothing."""

    packets: int = 0  # that cannot be decoded
    frames: int = 0  # that are missing, as far as that can be told
    gaps: tuple[Gap, ...] = ()
    end: Fraction | None = None  # seconds after which nothing more can be read, though there should be more
    words: str = ""  # the above in words

    def __bool__(self) -> bool:
        return bool(self.words)


@dataclass(frozen=True)
class _Distance:
    """Between two frames that lie further apart than they should."""

    number: int  # of frames before
    start: Fraction  # of the frame before, in seconds after the first one
    seconds: Fraction
    stated: tuple[Fraction, Fraction] | None  # both on the container's clock
    packets: tuple[int, int]  # between which bytes of the file the packets of these frames lie


@dataclass
class Distances:
    """Looks at the frames of one file as they come, and keeps where they lie far apart."""

    rate: (
        Fraction  # the one that the file states, or their mean; the usual one of the first frames, in the end
    )
    tolerance: Fraction
    count: int = 0
    steady: int = 0
    wide: list[_Distance] = field(default_factory=list)
    meant: bool = False  # whether the container states for each frame how long it is shown
    _first: list[_Distance] = field(default_factory=list)
    _last: tuple[Fraction, Fraction | None] | None = None

    def add(self, time: Fraction, stated: Fraction | None, progress: Progress) -> None:
        """The next frame: when it is shown, and when the container says that it is."""
        if self._last is not None:
            before, stated_before = self._last
            both = None if stated is None or stated_before is None else (stated_before, stated)
            places = (min(progress.positions, default=0), max(progress.positions, default=0))
            self._first.append(_Distance(progress.frames - 1, before, time - before, both, places))
            if self.count or len(self._first) > _LOOKED_AT:
                self._sort()
        self._last = time, stated

    def _sort(self) -> None:
        if not self.count:
            self.rate = self._usual()
        for distance in self._first:
            self.count += 1
            if abs(distance.seconds - 1 / self.rate) <= self.tolerance:
                self.steady += 1
            elif distance.seconds * self.rate > _WIDE and len(self.wide) < _MOST_KEPT:
                self.wide.append(distance)
        self._first.clear()

    def _usual(self) -> Fraction:
        """The rate of most of the first frames, where they have one."""
        middle = sorted(distance.seconds for distance in self._first)[(len(self._first) - 1) // 2]
        alike = [d.seconds for d in self._first if abs(d.seconds - middle) <= self.tolerance]
        mean = len(alike) / sum(alike, Fraction(0))
        known = (rate for rate in (self.rate, *USUAL_RATES) if abs(rate / mean - 1) < Fraction(1, 500))
        return next(known, mean)

    def gaps(self, path: File | None, signs: Sequence[int]) -> tuple[Gap, ...]:
        """The distances that are losses. ``signs``: how many frames there were when damage was met.

        The file is gone through for further signs, unless ``path`` is None: only a part of it was read.
        """
        if self._first:
            self._sort()
        even = self.steady >= _STEADY * (self.count - len(self.wide))
        least = _WIDE if even else _WIDE_OF_UNEVEN
        wide = [distance for distance in self.wide if distance.seconds * self.rate > least]
        lost = [distance for distance in wide if _near(signs, distance.number)]
        if path is not None and (rest := [distance for distance in wide if distance not in lost]):
            damage = check_structure(path, thorough=True).damage
            lost += (found := [d for d in rest if any(d.packets[0] <= at <= d.packets[1] for at in damage)])
            if not self.meant and self.count >= _LEAST_STEADY and self.steady >= _STEADY * self.count:
                left = [d for d in rest if d not in found and self._on_the_beat(d)]
                lost += without_sound(path, left)
        lost.sort(key=lambda distance: distance.start)
        return tuple(Gap(d.start + 1 / self.rate, d.seconds - 1 / self.rate) for d in lost)

    def missing(self, gaps: Sequence[Gap]) -> int:
        """About how many frames would fill the gaps."""
        return sum(max(1, round(gap.seconds * self.rate)) for gap in gaps)

    def _on_the_beat(self, distance: _Distance) -> bool:
        beats = distance.seconds * self.rate
        return (
            distance.seconds >= _LEAST_PAUSE and abs(beats - round(beats)) <= self.tolerance * self.rate * 2
        )


def _near(signs: Sequence[int], number: int) -> bool:
    """Whether one of ``signs``, which grow, belongs to the frames around ``number``."""
    place = bisect_left(signs, number - _DELAY)
    return place < len(signs) and signs[place] <= number + 1


def without_sound(path: File, distances: Iterable[_Distance]) -> list[_Distance]:
    """Those in which the sound of the file, where it has any, stops too."""
    left = list(distances)
    with open_container(path) as container:
        stream = container.streams.best("audio")
        if not left or stream is None:
            return left
        with suppress(FFmpegError, EOFError):  # damaged from here on
            for packet in packets_of(container, stream):
                if packet.pts is not None and packet.time_base is not None and packet.size:
                    time = packet.pts * Fraction(packet.time_base)
                    left = [d for d in left if d.stated is None or not _within(time, *d.stated)]
    return left


def others_end(path: File) -> Fraction:
    """When the last of the other streams' packets is over, in seconds after the first of any begins."""
    last = Fraction(0)
    with open_container(path) as container:
        start = Fraction(container.start_time or 0, 1_000_000)
        pictures = video_stream(container, str(path))
        others = [stream for stream in container.streams if stream is not pictures]
        with suppress(FFmpegError, EOFError):
            for packet in packets_of(container, *others) if others else ():
                if packet.pts is not None and packet.time_base is not None:
                    end = (packet.pts + (packet.duration or 0)) * Fraction(packet.time_base)
                    last = max(last, end - start)
    return last


def _within(time: Fraction, start: Fraction, end: Fraction) -> bool:
    """Whether sound that begins at ``time`` plays well inside of a gap."""
    margin = (end - start) / 4
    return start + margin < time < end - margin


def in_words(gaps: Sequence[Gap]) -> str:
    """Where there are no frames: the first three places, and how many more."""
    named = [f"from {float(gap.start):.2f} to {float(gap.start + gap.seconds):.2f} s" for gap in gaps[:3]]
    more = [f"in {len(gaps) - 3} further places"] if len(gaps) > 3 else []
    *first, last = named + more
    return f"there are no frames {', '.join(first)}{' and ' if first else ''}{last}"
