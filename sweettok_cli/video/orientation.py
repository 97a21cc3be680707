"""The display matrix: how a picture must be turned before it is shown."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Orientation:
    """Swap rows and columns first, then mirror: the eight ways to lay a picture on the screen."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @classmethod
    def of(cls, frame: Any) -> Orientation:
        """What the display matrix of an ``av.VideoFrame`` asks for, taken to the nearest quarter turn.

        The matrix is nine int32, row by row; a point goes to (a x + c y, b x + d y), y pointing down
        (ISO/IEC 14496-12, 6.2.2).
        """
        data = next(
            (bytes(d) for d in frame.side_data if getattr(d.type, "name", "") == "DISPLAYMATRIX"), None
        )
        if data is None or len(data) < 36:
            return cls()
        a, b, _, c, d = struct.unpack("=9i", data[:36])[:5]
        if abs(a) >= abs(b):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    def apply(self, rgb: np.ndarray) -> np.ndarray:
        """Turn [h, w, 3]; the result is contiguous."""
        if self.transpose:
            rgb = rgb.swapaxes(0, 1)
        if self.mirror_x:
            rgb = rgb[:, ::-1]
        if self.mirror_y:
            rgb = rgb[::-1]
        return np.ascontiguousarray(rgb)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height once turned (also: before, of a picture that shall have them once turned)."""
        return (height, width) if self.transpose else (width, height)
