"""Peak signal-to-noise ratio of 8-bit frames, in each of the definitions that papers use.

The papers' figures differ by several tenths of a decibel with the definition alone, so each has a name:

=============== ==============================================================================
``psnr``        mean of the frames' decibels (VidTok and most video papers)
``psnr_clip``   decibels of the clip's mean square error (LARP)
``psnr_global`` decibels of one mean square error over the whole set (torchmetrics' default)
``psnr_vidtok`` as ``psnr``, with 1e-8 added to each frame's error on the scale from 0 to 1
=============== ==============================================================================

By Jensen's inequality ``psnr_global <= mean of psnr_clip <= mean of psnr`` for clips of equal size.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sweettok_cli.metrics.metric import Features, Metric, NotMeasured, SetMetric, check_clips

CEILING = 100.0
"""Decibels given to identical frames, and the most that any pair is given."""

VIDTOK_FLOOR = 1e-8
"""What VidTok adds to the mean square error of values from 0 to 1: no pair gets more than 80 dB."""


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """PSNR of one pair of frames, uint8 ``[h, w, 3]`` of one shape, in decibels.

    ``10 * log10(255**2 / mse)``, the squared error averaged over all pixels and the three channels at once,
    on 8-bit RGB as it would be shown. Identical frames would be infinitely good and would spoil every mean
    they enter, so no pair gets more than :data:`CEILING`.

    Raises:
        ValueError: the shapes differ or the frames are not uint8.
    """
    check_pair(first, second)
    return decibels(_square_error(first, second) / first.size)


def decibels(mean_square: float) -> float:
    """Of a mean square error in 8-bit steps, at most :data:`CEILING`."""
    if mean_square == 0.0:
        return CEILING
    return min(CEILING, 10.0 * float(np.log10(255.0**2 / mean_square)))


def check_pair(first: np.ndarray, second: np.ndarray) -> None:
    """Raise ValueError unless both are uint8 ``[h, w, 3]`` of one shape."""
    if first.shape != second.shape or first.ndim != 3 or first.shape[-1] != 3:
        raise ValueError(f"frames must be [h, w, 3] of one shape, not {first.shape} and {second.shape}")
    if first.dtype != np.uint8 or second.dtype != np.uint8:
        raise ValueError(f"frames must be uint8, not {first.dtype} and {second.dtype}")


DEFINITIONS = {
    "psnr": "Mean over the frames of 10 log10(255^2 / MSE), the MSE taken over a frame's pixels and RGB "
    f"channels at once on 8-bit values; no frame counts more than {CEILING:g} dB.",
    "psnr_clip": "10 log10(255^2 / MSE), the MSE taken over all frames, pixels and RGB channels of a clip at "
    f"once on 8-bit values; at most {CEILING:g} dB.",
    "psnr_vidtok": "Mean over the frames of 10 log10(1 / (MSE + 1e-8)), the MSE taken over a frame's pixels "
    "and RGB channels at once on 8-bit values divided by 255.",
}


class Psnr(Metric):
    """The definitions of these names, of :data:`DEFINITIONS`, that score a clip."""

    unit = "dB"
    higher_is_better = True

    def __init__(self, names: tuple[str, ...] = tuple(DEFINITIONS)) -> None:
        self.names = names
        self.definitions = {name: DEFINITIONS[name] for name in names}

    def measure(self, source: np.ndarray, reconstruction: np.ndarray) -> dict[str, float]:
        """As :meth:`Metric.measure`."""
        check_clips(source, reconstruction)
        pairs = zip(source, reconstruction, strict=True)
        errors = np.array([_square_error(a, b) for a, b in pairs]) / source[0].size  # [t]
        values = {
            "psnr": float(np.mean([decibels(error) for error in errors])),
            "psnr_clip": decibels(float(errors.mean())),
            "psnr_vidtok": float(np.mean(-10.0 * np.log10(errors / 255.0**2 + VIDTOK_FLOOR))),
        }
        return {name: values[name] for name in self.names}


class GlobalPsnr(SetMetric):
    """The decibels of one mean square error over all pixels of the whole set."""

    name = "psnr_global"
    definition = (
        "10 log10(255^2 / MSE), one MSE taken over all pixels and RGB channels of all frames of all clips at "
        f"once on 8-bit values; at most {CEILING:g} dB."
    )
    unit = "dB"
    higher_is_better = True

    def add(self, source: np.ndarray, reconstruction: np.ndarray) -> dict[str, np.ndarray]:
        """``sums``: int64 ``[2]``, the sum of the squared errors in 8-bit steps and the number of values."""
        check_clips(source, reconstruction)
        total = sum(_square_error(a, b) for a, b in zip(source, reconstruction, strict=True))
        return {"sums": np.array([total, source.size], np.int64)}

    def result(self, clips: Iterable[Features]) -> float:
        """Decibels of the set.

        Raises:
            NotMeasured: there is no clip.
        """
        total = count = 0
        for clip in clips:
            total += int(clip["sums"][0])
            count += int(clip["sums"][1])
        if not count:
            raise NotMeasured("no clip was measured; give at least one.")
        return decibels(total / count)


def _square_error(first: np.ndarray, second: np.ndarray) -> int:
    error = np.subtract(first, second, dtype=np.int32)
    return int(np.square(error, out=error).sum(dtype=np.int64))  # whole numbers: exact
