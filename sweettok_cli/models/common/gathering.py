"""The index arrays of a video as they come, clip after clip."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class Gathered:
    """Joins the arrays of many batches in a few blocks of memory that are made in advance.

    One small array kept for every clip would sit in the space that the network needs for the next one: what
    is left of it on both sides no longer fits, and the process grows by megabytes a clip.
    """

    #: No more bytes than this are made in advance, whatever the source says of its length.
    IN_ADVANCE = 32 << 20

    def __init__(self, clips: int | None = None) -> None:
        """``clips``: how many are expected, where that is known."""
        self._expected = clips or 500
        self._held: dict[str, np.ndarray] = {}
        self.clips = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays so far."""
        return sum(array.nbytes for array in self.arrays().values())

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Append one batch: arrays of ``[clips, ...]``, of the same names, shapes and types as before."""
        end = self.clips
        for name, array in arrays.items():
            end = self.clips + len(array)
            held = self._held.get(name)
            if held is None or end > len(held):
                per_clip = max(1, array[:1].nbytes)
                advance = min(self._expected, self.IN_ADVANCE // per_clip) if held is None else 2 * len(held)
                room = max(end, advance)
                larger = np.empty((room, *array.shape[1:]), array.dtype)
                if held is not None:
                    larger[: self.clips] = held[: self.clips]
                self._held[name] = held = larger
            held[self.clips : end] = array
        self.clips = end

    def arrays(self) -> dict[str, np.ndarray]:
        """What was added, joined along the first axis; views, valid until the next :meth:`add`."""
        return {name: held[: self.clips] for name, held in self._held.items()}
