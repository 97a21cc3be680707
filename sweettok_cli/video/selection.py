"""Which part of a video is read, how many of its frames, and at which size."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeVar

from sweettok_cli.errors import WrongUsage, brief, option
from sweettok_cli.video.info import ROUNDING, VideoInfo

Item = TypeVar("Item")
_TIME = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d+)?)", re.ASCII)
_MOST_SECONDS = 1 << 29  # what a token file can say
_MOST_SIDE = 1 << 16
_MOST_FRAMES = 1 << 40
_FINEST = 1_000_000  # parts of a second


@dataclass(frozen=True)
class Selection:
    """What of a video is taken: all of it by default. False where that is so.

    Attributes:
        start: seconds after the first frame, from which on frames are taken; also as ``"1:02.5"``.
        end: seconds after the first frame, before which they begin; None: up to the last.
        fps: frames a second: at so many moments, counted from ``start``, the frame that is shown then, which
            is the last that began before. None: every frame once.
        short_side: pixels to which frames are scaled so that their shorter side has them, if it has more.
        max_frames: no more than so many.

    Raises:
        WrongUsage: a value is no such number, or the end does not come after the start.
    """

    start: Fraction = Fraction(0)
    end: Fraction | None = None
    fps: Fraction | None = None
    short_side: int | None = None
    max_frames: int | None = None

    def __post_init__(self) -> None:
        # Frozen, and also made of what users write.
        start = _seconds("start", self.start)
        object.__setattr__(self, "start", start.limit_denominator(_FINEST))
        if self.end is not None:
            given, end = self.end, _seconds("end", self.end)
            object.__setattr__(self, "end", end.limit_denominator(_FINEST))
            if self.end <= self.start:
                how, shown = "does not come", spelt_seconds(end)
                if end > start:
                    how, shown = "comes less than a millionth of a second", str(given)
                said = f"{option('end', shown)} {how} after {option('start', spelt_seconds(self.start))}"
                raise WrongUsage(f"{said}; give a later end.")
        if self.fps is not None:
            object.__setattr__(self, "fps", read_rate(self.fps))
        for name, most in (("short_side", _MOST_SIDE), ("max_frames", _MOST_FRAMES)):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not 1 <= value <= most):
                raise WrongUsage(f"{option(name, value)} is no number from 1 to {most}; give one.")

    def __bool__(self) -> bool:
        return self != WHOLE

    @property
    def for_pictures(self) -> Selection:
        """Without a rate, which pictures have none of, and numbered ones are given."""
        return replace(self, fps=None)

    def __str__(self) -> str:
        """In words; empty where all is taken."""
        words = []
        if self.start or self.end is not None:
            to = "the end" if self.end is None else f"{spelt_seconds(self.end)} s"
            words.append(f"from {spelt_seconds(self.start)} s to {to}")
        if self.fps is not None:
            words.append(f"{float(self.fps):.6g} frames a second")
        if self.short_side is not None:
            words.append(f"short side of at most {self.short_side} pixels")
        if self.max_frames is not None:
            words.append(f"at most {self.max_frames} frames")
        return ", ".join(words)

    def to_record(self) -> dict[str, Any]:
        """What is not as by default, by name."""
        return {name: value for name, value in vars(self).items() if value != getattr(WHOLE, name)}

    def chosen(
        self, timed: Iterable[tuple[Item, Fraction]], lasts: Fraction
    ) -> Iterator[tuple[Item, Fraction]]:
        """Of frames with their times, in seconds after the first, those that are taken, and when they show.

        With ``fps`` these times are the moments. Nothing is asked for beyond what it takes to know that there
        is no more. ``lasts`` is how long the last frame is shown.
        """
        left = self.max_frames
        for found in self._between(timed) if self.fps is None else self._at_rate(timed, self.fps, lasts):
            yield found
            if left is not None:
                left -= 1
                if not left:
                    return

    def _between(self, timed: Iterable[tuple[Item, Fraction]]) -> Iterator[tuple[Item, Fraction]]:
        for item, time in timed:
            if self._over(time):
                return
            if time >= self.start - ROUNDING:
                yield item, time

    def _at_rate(
        self, timed: Iterable[tuple[Item, Fraction]], fps: Fraction, lasts: Fraction
    ) -> Iterator[tuple[Item, Fraction]]:
        shown: Item | None = None
        last, number, moment = Fraction(0), 0, self.start
        for item, time in timed:
            while shown is not None and moment < time - ROUNDING:
                yield shown, moment
                number += 1
                moment = self.start + number / fps
                if self._over(moment):
                    return
            shown, last = item, time
            if (
                abs(moment - time) <= ROUNDING
            ):  # at once, and not when the next frame is there, which may be live
                yield shown, moment
                number += 1
                moment = self.start + number / fps
                if self._over(moment):
                    return
        while shown is not None and moment < last + lasts - ROUNDING and not self._over(moment):
            yield shown, moment
            number += 1
            moment = self.start + number / fps

    def _over(self, time: Fraction) -> bool:
        return self.end is not None and time >= self.end - ROUNDING

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of what is taken of a frame of so many pixels."""
        short = min(width, height)
        if self.short_side is None or short <= self.short_side:
            return width, height
        scaled = (max(1, round(side * Fraction(self.short_side, short))) for side in (width, height))
        return next(scaled), next(scaled)

    def describe(self, info: VideoInfo) -> VideoInfo:
        """What is known of what is taken; the number of frames is about that."""
        width, height = self.size(info.width, info.height)
        if info.is_image:
            return replace(info, width=width, height=height)
        rate = self.fps or info.rate
        lasts = info.frames / info.rate if info.frames else info.duration
        ends = [each for each in (self.end, lasts) if each is not None]
        frames, duration = None, None
        if ends:
            duration = max(Fraction(0), min(ends) - self.start)
            frames = info.frames if not (self.start or self.end or self.fps) else math.ceil(duration * rate)
        if self.max_frames is not None:
            frames = min(frames or self.max_frames, self.max_frames)
            duration = None if duration is None else min(duration, frames / rate)
        return replace(
            info,
            width=width,
            height=height,
            rate=rate,
            frames=frames,
            duration=duration,
            variable_rate=False if self.fps else info.variable_rate,
        )

    def nothing_left(self, name: str, end: Fraction | None, image: bool = False) -> str:
        """The sentence for a video ``name``, of which nothing is taken; it ends after ``end`` seconds."""
        start = option("start", spelt_seconds(self.start))
        if image:
            return f"{name} is an image, which has one frame, at 0 s; leave out {start}."
        if end is not None and end <= self.start:
            return f"{name} ends after {spelt_seconds(end)} s, before {start}; choose an earlier start."
        return f"{name} has no frame {self}; choose a longer part of it."


def read_rate(given: object) -> Fraction:
    """Frames a second, of a number or a text such as ``30000/1001``.

    Raises:
        WrongUsage: it is no rate from one frame in 1000 seconds to 1000 a second.
    """
    rate = _exact(given)
    if rate is None or not Fraction(1, 1000) <= rate <= 1000:
        what = option("fps", given if isinstance(given, str | int | float) else brief(given))
        raise WrongUsage(
            f"{what} is no rate from 0.001 to 1000; give frames a second, such as 24 or 30000/1001."
        )
    return rate.limit_denominator(100_000)


def spelt_seconds(time: Fraction) -> str:
    """Seconds as a number with up to six digits behind the point."""
    return f"{float(time):.6f}".rstrip("0").rstrip(".")


def _seconds(name: str, given: object) -> Fraction:
    found = _TIME.fullmatch(given) if isinstance(given, str) else None
    if found is not None:
        hours, minutes, seconds = (Fraction(part or 0) for part in found.groups())
        # Of 1:75, nobody can say what is meant.
        sexagesimal = found[2] is None or (seconds < 60 and (found[1] is None or minutes < 60))
        time = 3600 * hours + 60 * minutes + seconds if sexagesimal else None
    else:
        time = None if isinstance(given, str) else _exact(given)
    if time is None or not 0 <= time <= _MOST_SECONDS:
        what = option(name, given if isinstance(given, str | int | float) else brief(given))
        raise WrongUsage(
            f"{what} is no time in a video; give seconds after its beginning, such as 12.5, or 1:02:03.250."
        )
    return time


def _exact(given: object) -> Fraction | None:
    """A number as it is written: 0.1 is a tenth."""
    if isinstance(given, bool) or not isinstance(given, str | int | float | Fraction):
        return None
    if isinstance(given, str) and not re.fullmatch(r"[\d./]{1,30}", given, re.ASCII):
        return None
    try:
        return Fraction(repr(given) if isinstance(given, float) else given)
    except (ValueError, ZeroDivisionError):
        return None


#: All of a video, every frame as it is.
WHOLE = Selection()
