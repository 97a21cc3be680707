"""How many clips a GPU's memory has room for."""

from __future__ import annotations

import numpy as np
import torch

from sweettok_cli.models.common.streams import Encode, WaitingClips
from sweettok_cli.video.fit import Fit

#: More clips at once keep no GPU busier.
MOST = 64
# Of the memory that is free, how much clips may take: the rest is for what the allocator cannot join, and for
# other programs.
_SHARE = 0.7


class Room:
    """How many clips of a shape a model takes at once on a GPU: as many as its free memory holds.

    Measured with one and with two black clips when a shape is first asked for; called by one thread alone.

    Args:
        encode: the model.
        device: that it runs on, of CUDA.
    """

    def __init__(self, encode: Encode, device: torch.device) -> None:
        self._encode, self._device = encode, device
        self._known: dict[tuple[int, ...], int] = {}

    def __call__(self, shape: tuple[int, ...]) -> int:
        """Of clips of so many frames, and padded height and width in pixels."""
        if shape not in self._known:
            one, two = (self._peak(count, *shape) for count in (1, 2))
            free, _ = torch.cuda.mem_get_info(self._device)
            held = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
            self._known[shape] = clips_in(int(_SHARE * (free + held)), one, two)
        return self._known[shape]

    def _peak(self, count: int, frames: int, height: int, width: int) -> int:
        """Bytes that so many clips take at most."""
        black = np.zeros((height, width, 3), np.uint8)
        fit = Fit(width, height, width, height)
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        self._encode(WaitingClips([[black] * frames] * count, [fit] * count))
        torch.cuda.synchronize(self._device)
        return torch.cuda.max_memory_allocated(self._device) - before


def clips_in(room: int, one: int, two: int, most: int = MOST) -> int:
    """How many clips fit into so many bytes, where one and two take so many; at least one."""
    each = max(two - one, 1)
    return max(1, min(most, (room - (one - each)) // each))
