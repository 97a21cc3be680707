"""Reads Megatron's ``.idx`` and ``.bin`` as their format is published, with NumPy alone."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

NUMBERS = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f8", 7: "<f4", 8: "<u2"}


def documents(stem: Path) -> list[list[np.ndarray]]:
    """The sequences of every document."""
    index = np.fromfile(stem.with_suffix(".idx"), np.uint8)
    assert index[:9].tobytes() == b"MMIDIDX\x00\x00"
    assert index[9:17].view("<u8")[0] == 1
    number = np.dtype(NUMBERS[int(index[17])])
    sequences, ends = (int(each) for each in index[18:34].copy().view("<u8"))
    rest = index[34:].copy()
    lengths = rest[: 4 * sequences].view("<i4")
    begins = rest[4 * sequences :][: 8 * sequences].copy().view("<i8")
    marks = rest[12 * sequences :].copy().view("<i8")
    assert len(marks) == ends and marks[0] == 0 and marks[-1] == sequences
    found = [
        np.fromfile(stem.with_suffix(".bin"), number, int(length), offset=int(begin))
        for length, begin in zip(lengths, begins, strict=True)
    ]
    assert sum(each.nbytes for each in found) == stem.with_suffix(".bin").stat().st_size
    return [found[start:end] for start, end in pairwise(marks)]
