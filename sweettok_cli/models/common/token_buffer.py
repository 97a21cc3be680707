"""Arrays of tokens that come piece by piece, joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sweettok_cli.tokens.ragged import clips_in, counts_name


class TokenBuffer:
    """Joins arrays that come piece by piece in a few blocks of memory that are made in advance.

    One small array kept for every clip would sit in the space that the network needs for the next one: what
    is left of it on both sides no longer fits, and the process grows by megabytes a clip.

    Args:
        axis: of the array of a name, along which pieces follow one another.
        expected: how many steps along it there will be, where that is known; of ragged arrays, clips.
    """

    #: No more bytes than this are made in advance, whatever the source says of its length.
    IN_ADVANCE = 32 << 20

    def __init__(self, axis: Callable[[str], int], expected: int | None = None) -> None:
        self._axis, self._expected = axis, expected or 500
        self._held: dict[str, np.ndarray] = {}  # the joined axis in front
        self._lengths: dict[str, int] = {}  # of what they hold along it

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays so far."""
        return sum(held[: self._lengths[name]].nbytes for name, held in self._held.items())

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Append one piece of every array, of the same names, types and other axes as before."""
        for name, given in arrays.items():
            array = np.moveaxis(given, self._axis(name), 0)
            start = self._lengths.get(name, 0)
            end = start + len(array)
            held = self._held.get(name)
            if held is None:
                ragged = counts_name(name) in arrays
                expected = self._expected * len(array) // clips_in(arrays) if ragged else self._expected
                advance = min(expected, self.IN_ADVANCE // max(1, array[:1].nbytes))
                held = self._held[name] = np.empty((max(end, advance), *array.shape[1:]), array.dtype)
            elif end > len(held):
                larger = np.empty((max(end, 2 * len(held)), *array.shape[1:]), array.dtype)
                larger[:start] = held[:start]
                held = self._held[name] = larger
            held[start:end] = array
            self._lengths[name] = end

    def arrays(self) -> dict[str, np.ndarray]:
        """What was added, joined; may be views, valid until the next :meth:`add`."""
        return {
            name: np.ascontiguousarray(np.moveaxis(held[: self._lengths[name]], 0, self._axis(name)))
            for name, held in self._held.items()
        }
