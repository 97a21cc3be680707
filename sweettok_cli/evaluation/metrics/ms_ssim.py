"""Multi-scale structural similarity.

Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment", 2003: contrast
and structure are compared on five scales, each half as large as the one before, luminance on the coarsest
only; the exponents are the paper's.

The paper is about grey pictures. Colour channels are scored one by one and averaged, as TensorFlow's
``ssim_multiscale`` does. A side of odd length is extended by repeating its edge before it is halved, which
gives the sizes of the authors' program. Where contrast and structure are negative on average, a power of them
means nothing; such a scale counts as 0, as in the common programs.
"""

from __future__ import annotations

import numpy as np

from sweettok_cli.evaluation.metrics.ssim import WINDOW, similarity

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents from the finest scale to the coarsest."""

SMALLEST = (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1
"""Pixels of the shortest side whose coarsest scale still holds a window."""


def ms_ssim(x: np.ndarray, y: np.ndarray, finest: np.ndarray | None = None) -> float:
    """MS-SSIM of one pair of frames, at most 1.

    Args:
        x: float64 ``[h, c, w]`` in ``[0, 255]``, no side shorter than :data:`SMALLEST`.
        y: float64 of the same shape.
        finest: contrast times structure of ``x`` and ``y`` themselves, where it is known already (see
            :func:`~sweettok_cli.evaluation.metrics.ssim.similarity`).
    """
    if finest is None:
        finest = similarity(x, y)[1]
    score = np.maximum(finest, 0.0) ** WEIGHTS[0]  # [c]
    for scale, weight in enumerate(WEIGHTS[1:], start=1):
        x, y = halved(x), halved(y)
        whole, structure = similarity(x, y)
        part = whole if scale == len(WEIGHTS) - 1 else structure
        score *= np.maximum(part, 0.0) ** weight
    return float(score.mean())


def halved(x: np.ndarray) -> np.ndarray:
    """Means of 2x2 pixels: ``[h, c, w] -> [ceil(h / 2), c, ceil(w / 2)]``."""
    odd = [(0, x.shape[0] % 2), (0, 0), (0, x.shape[2] % 2)]
    if any(after for _, after in odd):
        x = np.pad(x, odd, mode="edge")
    rows = x[::2] + x[1::2]
    return (rows[..., ::2] + rows[..., 1::2]) / 4
