"""rFVD and rFID: what is kept of clips, and what comes of it, with features that can be worked out."""

from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.metrics import NotMeasured
from sweettok_cli.metrics.frechet import FeatureDistance, FrechetRule


class MeanColour:
    """The mean of each channel over the clip, or of each frame."""

    words = "mean colour"
    size = 3

    def __init__(self, least_frames: int = 1, each_frame: bool = False) -> None:
        self.least_frames = least_frames
        self.each_frame = each_frame

    def features(self, clip: np.ndarray) -> np.ndarray:
        means = clip.mean(axis=(1, 2)).astype(np.float32)  # [t, 3]
        return means if self.each_frame else means.mean(axis=0, keepdims=True)


def clips(count: int, frames: int = 2) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [
        (generator.integers(0, 120, 3) + generator.integers(0, 9, (frames, 4, 4, 3))).astype(np.uint8)
        for _ in range(count)
    ]


def test_a_constant_error_is_its_square() -> None:
    metric = FeatureDistance("rfvd", MeanColour())
    kept = [metric.add(clip, clip + np.array([3, 0, 4], np.uint8)) for clip in clips(9)]
    assert metric.result(kept) == pytest.approx(25, rel=1e-5)


def test_perfect_reconstructions_are_at_distance_nothing() -> None:
    metric = FeatureDistance("rfid", MeanColour(each_frame=True))
    kept = [metric.add(clip, clip) for clip in clips(4, frames=3)]
    assert kept[0]["source"].shape == kept[0]["reconstruction"].shape == (3, 3)
    assert metric.result(iter(kept)) == pytest.approx(0, abs=1e-6)


def test_flat_reconstructions_miss_the_spread() -> None:
    """All reconstructions alike: the distance is that of the means and the sources' variance."""
    metric = FeatureDistance("rfvd", MeanColour())
    sources = clips(6)
    kept = [metric.add(clip, np.full_like(clip, 50)) for clip in sources]
    means = np.array([clip.mean(axis=(0, 1, 2)) for clip in sources])
    expected = ((means.mean(axis=0) - 50) ** 2).sum() + means.var(axis=0, ddof=1).sum()
    assert metric.result(kept) == pytest.approx(expected, rel=1e-5)
    population = FeatureDistance("rfvd", MeanColour(), FrechetRule(unbiased=False))
    expected = ((means.mean(axis=0) - 50) ** 2).sum() + means.var(axis=0).sum()
    assert population.result(kept) == pytest.approx(expected, rel=1e-5)


def test_kept_features_give_the_same_to_the_last_bit() -> None:
    metric = FeatureDistance("rfvd", MeanColour())
    kept = [metric.add(clip, clip // 2) for clip in clips(7)]
    again = [{name: np.array(array.tolist(), np.float32) for name, array in clip.items()} for clip in kept]
    assert metric.result(again) == metric.result(kept)


def test_short_clips_and_few_clips_are_not_measured() -> None:
    metric = FeatureDistance("rfvd", MeanColour(least_frames=10))
    assert metric.unsuited((10, 4, 4, 3)) is None
    reason = "9 frames are too few; a clip needs 10."
    assert metric.unsuited((9, 4, 4, 3)) == reason
    short = clips(1, frames=9)[0]
    with pytest.raises(NotMeasured, match=reason):
        metric.add(short, short)
    with pytest.raises(NotMeasured, match="needs two vectors, not 0; measure more clips"):
        metric.result([])
    with pytest.raises(ValueError, match="clips must be"):
        metric.add(short, short[:-1])


def test_few_clips_carry_a_warning() -> None:
    metric = FeatureDistance("rfvd", MeanColour())
    assert metric.warnings(256) == []
    assert metric.warnings(255)[0].startswith("rfvd over 255 clips, fewer than 256: it is biased upwards")


def test_the_definition_names_network_and_rule() -> None:
    metric = FeatureDistance("rfvd", MeanColour(), FrechetRule(unbiased=False, root="svd", single=True))
    assert metric.definition == (
        "Fréchet distance between sources and reconstructions of the mean colour; covariance divided by n, "
        "matrix root by SVD in float32."
    )
