"""Pictures of what was measured: chosen items once more, with the same result."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import numpy as np

from sweettok_cli.evaluation.clip import Clip
from sweettok_cli.evaluation.method import Spent
from sweettok_cli.evaluation.run import Measured, Plan


@dataclass
class Shown:
    """Frames of one item before and after, uint8 ``[t, h, w, 3]`` each, and how many are shown a second."""

    source: np.ndarray
    reconstruction: np.ndarray
    rate: Fraction


class Media:
    """Gives the frames of any item that was measured, as any contender gives them back.

    Nothing is kept from the measurement: the item is read and reconstructed again.
    """

    def __init__(self, plan: Plan, found: Measured) -> None:
        self._plan = plan
        self._items = {item.name: item for item in plan.items}
        self._rows = {row["name"]: row for row in found.rows}

    def show(self, item: str, contender: str, frames: int | None = None) -> Shown:
        """The first ``frames`` frames (all by default) of an item.

        Args:
            item: its name in the record's ``clips``.
            contender: its name in the record.
            frames: at most so many.

        Raises:
            KeyError: there is no such item or contender.
            SweettokError: the item can no longer be read.
        """
        row = self._rows[item]
        clip = Clip(self._items[item], self._plan.protocol)
        one = {each.name: each for each in self._plan.contenders}[contender]
        share = row["results"][self._plan.models[0].name]["bits"] / row["frames"]
        with closing(one.reconstruct(clip, Spent(), share)) as pairs:
            taken = [(source, decoded) for source, decoded, _ in islice(pairs, frames)]
        source, decoded = (np.stack(side) for side in zip(*taken, strict=True))
        return Shown(source, decoded, clip.info.rate)
