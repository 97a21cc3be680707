"""Structural similarity of 8-bit frames."""

from __future__ import annotations

import numpy as np

from sweettok_cli.evaluation.metrics.psnr import check_pair

WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255.0) ** 2
C2 = (0.03 * 255.0) ** 2

_BLOCK = 32  # outputs of one small matrix product; more multiply more zeros, fewer call more often


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """SSIM of one pair of frames, at most 1 and 1 only for identical frames.

    Wang, Bovik, Sheikh and Simoncelli 2004, with their constants: Gaussian window of 11x11 and sigma 1.5,
    K1 = 0.01, K2 = 0.03, dynamic range 255, only windows that lie wholly inside the frame, population (not
    sample) variances. Each RGB channel is compared on its own and the map averaged over pixels and
    channels; the frame is not made smaller first. A side shorter than the window is extended to it by
    repeating its edge.

    Args:
        first: uint8 ``[h, w, 3]``.
        second: uint8 of the same shape.

    Raises:
        ValueError: the shapes differ or the frames are not uint8.
    """
    check_pair(first, second)
    return float(similarity(planes(first), planes(second))[0].mean())


def similarity(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SSIM of each channel, and its part without luminance (contrast times structure).

    Args:
        x: float64 ``[h, c, w]`` in ``[0, 255]``, no side shorter than the window.
        y: float64 of the same shape.

    Returns:
        Two float64 ``[c]``, means over the pixels.
    """
    # Float64 throughout: in float32 the difference of squares costs the fifth digit of flat, bright pictures.
    moments = np.empty((len(x), 4, *x.shape[1:]))  # [h, 4, c, w]
    moments[:, 0], moments[:, 1] = x, y
    np.multiply(x, y, out=moments[:, 3])
    np.square(x, out=moments[:, 2])
    moments[:, 2] += np.square(y)
    mean_x, mean_y, square_sum, product = np.moveaxis(_blur(moments), 1, 0)  # each [h - 10, c, w - 10]

    mean_product = mean_x * mean_y
    mean_squares = np.square(mean_x) + np.square(mean_y)
    luminance = (2 * mean_product + C1) / (mean_squares + C1)
    structure = (2 * (product - mean_product) + C2) / (square_sum - mean_squares + C2)
    return (luminance * structure).mean(axis=(0, 2)), structure.mean(axis=(0, 2))


def window() -> np.ndarray:
    """The Gaussian whose outer product with itself is the window: float64 ``[11]``, sums to 1."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * SIGMA**2))
    return weights / weights.sum()


def planes(frame: np.ndarray) -> np.ndarray:
    """uint8 ``[h, w, 3]`` -> float64 ``[h, 3, w]``, neither side shorter than the window."""
    missing = [(0, max(0, WINDOW - side)) for side in frame.shape[:2]]
    if any(after for _, after in missing):
        frame = np.pad(frame, [*missing, (0, 0)], mode="edge")
    return np.ascontiguousarray(frame.transpose(0, 2, 1), dtype=np.float64)


def _blur(planes: np.ndarray) -> np.ndarray:
    """Gaussian over the first and the last axis, valid part only: [h, ..., w] -> [h - 10, ..., w - 10].

    A convolution written as products with a small banded matrix: BLAS does the work, several times faster
    than eleven shifted additions over the whole picture.
    """
    height, middle, width = planes.shape[0], planes.shape[1:-1], planes.shape[-1]
    band = _band()
    rows = planes.reshape(height, -1)
    vertical = np.empty((height - WINDOW + 1, rows.shape[1]))
    for start in range(0, len(vertical), _BLOCK):
        out = vertical[start : start + _BLOCK]
        count = len(out)
        np.matmul(band[:count, : count + WINDOW - 1], rows[start : start + count + WINDOW - 1], out=out)

    columns = vertical.reshape(-1, width)
    horizontal = np.empty((len(columns), width - WINDOW + 1))
    for start in range(0, horizontal.shape[1], _BLOCK):
        out = horizontal[:, start : start + _BLOCK]
        count = out.shape[1]
        np.matmul(
            columns[:, start : start + count + WINDOW - 1], band[:count, : count + WINDOW - 1].T, out=out
        )
    return horizontal.reshape(len(vertical), *middle, -1)


def _band() -> np.ndarray:
    """Row i holds the window at columns i to i + 10: float64 ``[32, 42]``."""
    band = np.zeros((_BLOCK, _BLOCK + WINDOW - 1))
    weights = window()
    for row in range(_BLOCK):
        band[row, row : row + WINDOW] = weights
    return band
