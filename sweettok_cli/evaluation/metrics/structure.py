"""The metrics of structural similarity, scored together because they share most of their work."""

from __future__ import annotations

import numpy as np

from sweettok_cli.evaluation.metrics.base import check_clips
from sweettok_cli.evaluation.metrics.ms_ssim import SMALLEST, WEIGHTS, ms_ssim
from sweettok_cli.evaluation.metrics.ssim import WINDOW, planes, similarity

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


class Structure:
    """SSIM in two definitions, and MS-SSIM.

    ``ssim_vidtok`` is what VidTok reports, computed by the library piq: frames are first made smaller by
    averaging squares of ``round(shorter side / 256)`` pixels, as Wang's own program suggests. Below a shorter
    side of 384 that changes nothing.

    Args:
        names: which of them.
    """

    unit = ""
    higher_is_better = True

    def __init__(self, names: tuple[str, ...] = tuple(DEFINITIONS)) -> None:
        self.names = names
        self.definitions = {name: DEFINITIONS[name] for name in names}

    def unsuited(self, shape: tuple[int, ...]) -> dict[str, str]:
        """The names that cannot be measured on frames so small, with the reason."""
        height, width = shape[1:3]
        smallest = {"ssim_vidtok": WINDOW, "ms_ssim": SMALLEST}
        return {
            name: f"frames of {width}x{height} are too small; no side may be shorter than {side} pixels."
            for name, side in smallest.items()
            if name in self.names and min(height, width) < side
        }

    def measure(self, source: np.ndarray, reconstruction: np.ndarray) -> dict[str, float]:
        """Similarities of one clip by name; see :class:`~sweettok_cli.evaluation.metrics.base.Metric`."""
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
