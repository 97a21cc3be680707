"""Peak signal-to-noise ratio of 8-bit frames."""

from __future__ import annotations

import numpy as np

CEILING = 100.0
"""Decibels given to identical frames, and the most that any pair is given."""


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """PSNR of one pair of frames in decibels.

    ``10 * log10(255**2 / mse)``, the squared error averaged over all pixels and the three channels at once,
    on 8-bit RGB as it would be shown. A clip's figure is the mean of its frames' decibels, not the decibels
    of its mean error. Identical frames would be infinitely good and would spoil every mean they enter, so
    no pair gets more than :data:`CEILING`.

    Args:
        first: uint8 ``[h, w, 3]``.
        second: uint8 of the same shape.

    Raises:
        ValueError: the shapes differ or the frames are not uint8.
    """
    check_pair(first, second)
    error = np.subtract(first, second, dtype=np.int32)
    mean_square = int(np.square(error, out=error).sum(dtype=np.int64)) / error.size  # whole numbers: exact
    if mean_square == 0.0:
        return CEILING
    return min(CEILING, 10.0 * float(np.log10(255.0**2 / mean_square)))


def check_pair(first: np.ndarray, second: np.ndarray) -> None:
    """Raise ValueError unless both are uint8 ``[h, w, 3]`` of one shape."""
    if first.shape != second.shape or first.ndim != 3 or first.shape[-1] != 3:
        raise ValueError(f"frames must be [h, w, 3] of one shape, not {first.shape} and {second.shape}")
    if first.dtype != np.uint8 or second.dtype != np.uint8:
        raise ValueError(f"frames must be uint8, not {first.dtype} and {second.dtype}")
