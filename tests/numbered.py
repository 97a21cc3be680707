"""Frames that say their own number, in place of those of a run."""

from __future__ import annotations

import numpy as np

from sweettok_cli.evaluation.run import Shown

FRAMES = 20


class Numbered:
    """Frame ``n`` of the source is grey ``30 + 10 n``, that of the reconstruction 5 brighter or darker."""

    def __init__(self, frames: int = FRAMES, width: int = 70, height: int = 50) -> None:
        self.shape = frames, height, width, 3
        self.asked: list[tuple[str, str, int | None]] = []

    def show(self, item: str, method: str, frames: int | None = None) -> Shown:
        self.asked.append((item, method, frames))
        steps = (30 + 10 * np.arange(self.shape[0])).reshape(-1, 1, 1, 1)
        source = np.broadcast_to(steps, self.shape).astype(np.uint8)
        return Shown(source, source + 5 if method == "blocks" else source - 10)
