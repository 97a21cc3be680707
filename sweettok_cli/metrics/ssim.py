"""Structural similarity: SSIM, its multi-scale form, and both as metrics."""

from __future__ import annotations

import numpy as np

from sweettok_cli.metrics.metric import Metric, check_clips, too_small
from sweettok_cli.metrics.psnr import check_pair

WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255.0) ** 2
C2 = (0.03 * 255.0) ** 2

_BLOCK = 32  # outputs of one small matrix product; more multiply more zeros, fewer call more often


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """SSIM of one pair of frames, uint8 ``[h, w, 3]`` of one shape; 1 only for identical frames.

    Wang, Bovik, Sheikh and Simoncelli 2004, with their constants: Gaussian window of 11x11 and sigma 1.5,
    K1 = 0.01, K2 = 0.03, dynamic range 255, only windows that lie wholly inside the frame, population (not
    sample) variances. Each RGB channel is compared on its own and the map averaged over pixels and
    channels; the frame is not made smaller first. A side shorter than the window is extended to it by
    repeating its edge.

    Raises:
        ValueError: the shapes differ or the frames are not uint8.
    """
    check_pair(first, second)
    return float(similarity(planes(first), planes(second))[0].mean())


def similarity(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SSIM of each channel, and its part without luminance (contrast times structure): two float64 ``[c]``.

    ``x`` and ``y`` are float64 ``[h, c, w]`` in ``[0, 255]``, no side shorter than the window.
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


WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents from the finest scale to the coarsest."""

SMALLEST = (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1
"""Pixels of the shortest side whose coarsest scale still holds a window."""


def ms_ssim(x: np.ndarray, y: np.ndarray, finest: np.ndarray) -> float:
    """MS-SSIM of one pair of frames, at most 1.

    Args:
        x: float64 ``[h, c, w]`` in ``[0, 255]``, no side shorter than :data:`SMALLEST`.
        y: float64 of the same shape.
        finest: contrast times structure of ``x`` and ``y`` themselves (:func:`similarity`).
    """
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


_SSIM = (
    "Mean over the frames, RGB channels and pixels of SSIM (Wang et al. 2004) on 8-bit values: Gaussian "
    "window of 11x11, sigma 1.5, K1 0.01, K2 0.03, windows that lie wholly inside the frame, population "
    "variances"
)

DEFINITIONS = {
    "ssim": f"{_SSIM}; frames are not made smaller first.",
    "ssim_vidtok": f"{_SSIM}; frames are first averaged over squares of max(1, round(shorter side / 256)) "
    "pixels, what is left over at the right and the bottom dropped (piq's default).",
    "ms_ssim": "Mean over the frames and RGB channels of MS-SSIM (Wang et al. 2003) on 8-bit values: five "
    f"scales with exponents {', '.join(map(str, WEIGHTS))}, window as for SSIM, scales made by averaging 2x2 "
    "pixels, negative scales counted as 0.",
}


class Structure(Metric):
    """SSIM in two definitions, and MS-SSIM.

    ``ssim_vidtok`` is what VidTok reports, computed by the library piq: frames are first made smaller by
    averaging squares of ``round(shorter side / 256)`` pixels, as Wang's own program suggests. Below a shorter
    side of 384 that changes nothing. ``names`` are those of :data:`DEFINITIONS` that are wanted.
    """

    unit = ""
    higher_is_better = True

    def __init__(self, names: tuple[str, ...] = tuple(DEFINITIONS)) -> None:
        self.names = names
        self.definitions = {name: DEFINITIONS[name] for name in names}

    def unsuited(self, shape: tuple[int, ...]) -> dict[str, str]:
        """The names that cannot be measured on frames so small, with the reason."""
        smallest = {"ssim_vidtok": WINDOW, "ms_ssim": SMALLEST}
        return too_small(shape, {name: smallest[name] for name in self.names if name in smallest})

    def measure(self, source: np.ndarray, reconstruction: np.ndarray) -> dict[str, float]:
        """As :meth:`Metric.measure`."""
        check_clips(source, reconstruction)
        unsuited = self.unsuited(source.shape)
        names = [name for name in self.names if name not in unsuited]
        scores = [_frame(names, a, b) for a, b in zip(source, reconstruction, strict=True)]
        return {name: float(np.mean([score[name] for score in scores])) for name in names}


def _frame(names: list[str], source: np.ndarray, reconstruction: np.ndarray) -> dict[str, float]:
    x, y = planes(source), planes(reconstruction)  # [h, 3, w]
    factor = pooling(source.shape[:2])
    scores = {}
    if "ssim" in names or "ms_ssim" in names or factor == 1:
        whole, structure = similarity(x, y)
        scores["ssim"] = scores["ssim_vidtok"] = float(whole.mean())
    if "ssim_vidtok" in names and factor > 1:
        scores["ssim_vidtok"] = float(similarity(pooled(x, factor), pooled(y, factor))[0].mean())
    if "ms_ssim" in names:
        scores["ms_ssim"] = ms_ssim(x, y, structure)
    return scores


def pooling(size: tuple[int, ...]) -> int:
    """Side of the squares that piq averages in frames of ``size``."""
    return max(1, round(min(size) / 256))  # halves to even, as Python rounds for piq too


def pooled(x: np.ndarray, factor: int) -> np.ndarray:
    """Means of whole squares of ``factor`` pixels: ``[h, c, w] -> [h // factor, c, w // factor]``."""
    height, channels, width = x.shape[0] // factor, x.shape[1], x.shape[2] // factor
    whole = x[: height * factor, :, : width * factor]
    return whole.reshape(height, factor, channels, width, factor).mean(axis=(1, 4))
