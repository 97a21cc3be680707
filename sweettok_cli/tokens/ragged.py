"""Tokens of models with levels: a position has several or none, so that clips differ in their number.

Such tokens lie in two arrays, ``detail`` and ``detail_counts`` say. The rows of the one, [rows, 3], are the
tokens of all clips, one after the other; the other, [clips, ...], says how many each position has. Rows come
clip by clip; inside a clip level by level, all first tokens, then all second ones; inside a level in the
raster order of the positions that have one. So the head of a clip's rows is a coarser picture of it. Dense
arrays, [clips, ..., 3], are one token at every position. Which arrays may be ragged, :data:`ARRAYS` says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sweettok_cli.tokens.arrays import ARRAYS

#: Arrays of counts, and the array whose tokens each counts.
COUNTED = {f"{name}_counts": name for name, kind in ARRAYS.items() if kind.least is not None}


def counts_name(array: str) -> str:
    """Name of the array that counts the tokens of the positions of ``array``."""
    return f"{array}_counts"


def _flat(counts: np.ndarray) -> np.ndarray:
    """Counts with their positions in one axis, in raster order: [clips, positions]."""
    return counts.reshape(len(counts), math.prod(counts.shape[1:]))


def places(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clip, level and position of every row, int64 [rows] each, all from 0.

    With them, tokens [clips, positions, levels, ...] become rows and rows become tokens, be they arrays or
    tensors: ``rows = tokens[clip, position, level]``; ``tokens[clip, position, level] = rows``.

    Args:
        counts: tokens of each position, whole numbers [clips, ...]; positions of several axes are numbered
            in raster order.
    """
    levels = np.arange(int(counts.max(initial=0)))[:, None]
    clip, level, position = (_flat(counts)[:, None] > levels).nonzero()  # of [clips, levels, positions]
    return clip, level, position


def clip_ends(counts: np.ndarray) -> np.ndarray:
    """Where each clip's rows begin, and where the last one's end: int64 [clips + 1].

    Args:
        counts: tokens of each position, whole numbers [clips, ...].
    """
    ends = np.zeros(len(counts) + 1, np.int64)
    _flat(counts).sum(axis=1, dtype=np.int64).cumsum(out=ends[1:])
    return ends


def rows_by_level(counts: np.ndarray, levels: int) -> tuple[int, ...]:
    """How many first tokens there are, how many second ones, and so on: ``levels`` numbers.

    Args:
        counts: tokens of each position, whole numbers of any shape, ``levels`` at most.
        levels: tokens that a position has at most.
    """
    return tuple(int(np.count_nonzero(counts >= level)) for level in range(1, levels + 1))


def rows_in(arrays: Mapping[str, np.ndarray], levels: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Of each ragged array among the arrays, its rows by level; ``levels`` are the most of a position."""
    return {
        name: rows_by_level(arrays[counts], levels[name])
        for counts, name in COUNTED.items()
        if counts in arrays
    }


def clips_in(arrays: Mapping[str, np.ndarray]) -> int:
    """Clips that arrays hold, be they dense or ragged."""
    return len(next((arrays[name] for name in COUNTED if name in arrays), next(iter(arrays.values()))))


def split_clips(arrays: Mapping[str, np.ndarray], size: int) -> Iterator[dict[str, np.ndarray]]:
    """Arrays of ``size`` clips at a time, the last ones perhaps fewer; dense or ragged, as they come."""
    ends = {array: clip_ends(arrays[name]) for name, array in COUNTED.items() if name in arrays}
    total = clips_in(arrays)
    for start in range(0, total, size):
        end = min(start + size, total)
        cuts = {name: slice(*known[[start, end]]) for name, known in ends.items()}
        yield {name: array[cuts.get(name, slice(start, end))] for name, array in arrays.items()}


def check_rows(arrays: Mapping[str, np.ndarray], levels: Mapping[str, int]) -> None:
    """Raise :class:`ValueError` unless the counts among the arrays are what these rows have; dense ones pass.

    ``levels`` are the tokens that a position has at most, by array.
    """
    clips = {name: len(array) for name, array in arrays.items() if counts_name(name) not in arrays}
    if len(set(clips.values())) > 1:
        each = ", ".join(f"{name} of {many}" for name, many in clips.items())
        raise ValueError(f"The arrays are not of as many clips: {each}.")
    for name, counted in COUNTED.items():
        if name not in arrays:
            continue
        counts, least, most = arrays[name], ARRAYS[counted].least or 0, levels[counted]
        if counts.size and not least <= counts.min() <= counts.max() <= most:
            raise ValueError(
                f"{name} holds {counts.min()} to {counts.max()}, where {least} to {most} may be."
            )
        if (total := int(counts.sum(dtype=np.int64))) != (rows := len(arrays[counted])):
            raise ValueError(f"{name} counts {total} tokens, and {counted} has {rows} rows.")


def square_side(positions: int, height: int, width: int) -> int:
    """Side in pixels of the square that each of a clip's positions stands for, in raster order.

    ``height`` and ``width`` are of the padded frames.
    """
    return math.isqrt(height * width // positions)


class TokenMap(NamedTuple):
    """How many tokens each square of frames has.

    Attributes:
        side: of a square, in pixels.
        tokens: float32 [..., rows, columns]; those of larger squares are shared out to what they cover.
    """

    side: int
    tokens: np.ndarray


def token_map(arrays: Mapping[str, np.ndarray], height: int, width: int) -> TokenMap:
    """Where the tokens of clips are, all arrays together: [clips, latent frames, rows, columns].

    What is not of one latent frame is shared out to all.

    Args:
        arrays: of words, dense or ragged; at least one of these.
        height: of the padded frames, in pixels.
        width: of the padded frames, in pixels.
    """
    grids: list[tuple[int, np.ndarray]] = []
    for name in ARRAYS:
        if name not in arrays:
            continue
        counts = arrays.get(counts_name(name))
        if counts is None:
            counts = np.ones(arrays[name].shape[:-1], np.uint8)
        if counts.size:  # an image has no temporal positions
            frames = counts.shape[1] if counts.ndim == 4 else 1
            side = square_side(math.prod(counts.shape[1:]) // frames, height, width)
            grids.append((side, counts.reshape(-1, frames, height // side, width // side)))
    finest = min(side for side, _ in grids)
    frames = max(grid.shape[1] for _, grid in grids)
    tokens = np.zeros((clips_in(arrays), frames, height // finest, width // finest), np.float32)
    for side, grid in grids:
        times, long = side // finest, frames // grid.shape[1]
        tokens += grid.repeat(times, axis=2).repeat(times, axis=3) / (times**2 * long)
    return TokenMap(finest, tokens)


class Spread:
    """How the tokens of one array are spread over positions and clips, from counts that come piece by piece.

    Attributes:
        tokens: of all clips.
        least: tokens of the clip that has fewest; None where only the rows of all clips are known.
        most: tokens of the clip that has most, alike.
        positions: how many positions have none, one, two, ... tokens: int64 [levels + 1].
    """

    def __init__(self, positions: int, levels: int) -> None:
        self.tokens = 0
        self.least: int | None = None if positions else 0  # an image has no temporal positions
        self.most: int | None = 0
        self.positions = np.zeros(levels + 1, np.int64)
        self._of_clip = positions
        self._seen = self._begun = 0  # positions of the clip that is not whole yet, and their tokens

    @property
    def rows(self) -> tuple[int, ...]:
        """How many first tokens there are, how many second ones, and so on, as :func:`rows_by_level`."""
        return tuple(self.positions[::-1].cumsum()[-2::-1].tolist())

    def add(self, counts: np.ndarray) -> None:
        """Take the next counts, uint8 [any], of positions in raster order, clip by clip."""
        if not counts.size:
            return
        self.positions += np.bincount(counts, minlength=len(self.positions))
        first = self._of_clip - self._seen
        begins = np.r_[0, np.arange(first, len(counts), self._of_clip)]
        sums = np.add.reduceat(counts, begins, dtype=np.int64)
        self.tokens += int(sums.sum())
        sums[0] += self._begun
        self._seen = (self._seen + len(counts)) % self._of_clip
        self._begun = int(sums[-1]) if self._seen else 0
        whole = sums[:-1] if self._seen else sums
        if whole.size:
            self.least = int(whole.min()) if self.least is None else min(self.least, int(whole.min()))
            self.most = max(self.most or 0, int(whole.max()))

    @classmethod
    def of_rows(cls, rows: Sequence[int], positions: int, clips: int) -> Spread:
        """What is known from the ``rows`` of all clips, by level, of ``positions`` each."""
        spread = cls(positions, len(rows))
        spread.positions[:] = -np.diff([clips * positions, *rows, 0])
        spread.tokens = sum(rows)
        spread.least = spread.most = spread.tokens if clips == 1 or not spread.tokens else None
        return spread
