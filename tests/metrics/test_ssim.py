"""SSIM against a plain implementation that visits one window after the other, and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.metrics.ssim import C1, ssim, window


def plain_ssim(first: np.ndarray, second: np.ndarray) -> float:
    """The definition, window by window, in float64."""
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for channel in range(3):
        x, y = first[..., channel].astype(np.float64), second[..., channel].astype(np.float64)
        for top in range(x.shape[0] - 10):
            for left in range(x.shape[1] - 10):
                a, b = x[top : top + 11, left : left + 11], y[top : top + 11, left : left + 11]
                mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
                variance_a = (weights * (a - mean_a) ** 2).sum()
                variance_b = (weights * (b - mean_b) ** 2).sum()
                covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
                luminance = (2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)
                values.append(luminance * (2 * covariance + 58.5225) / (variance_a + variance_b + 58.5225))
    return float(np.mean(values))


def noisy_pair(height: int, width: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(height * 1000 + width)
    ramp = np.linspace(0, 255, width)[None, :, None] * np.linspace(0.3, 1, height)[:, None, None]
    first = np.repeat(ramp, 3, axis=2)
    second = first + generator.normal(0, noise, first.shape)
    return first.astype(np.uint8), second.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "noise"), [(11, 11, 20), (43, 12, 3), (12, 43, 60), (41, 52, 12), (42, 42, 1)]
)
def test_equals_the_definition(height: int, width: int, noise: float) -> None:
    first, second = noisy_pair(height, width, noise)
    assert ssim(first, second) == pytest.approx(plain_ssim(first, second), abs=1e-9)


def test_bright_flat_frames_keep_their_digits() -> None:
    first = np.full((40, 40, 3), 255, np.uint8)
    second = first.copy()
    second[::2, ::3] = 254
    assert ssim(first, second) == pytest.approx(plain_ssim(first, second), abs=1e-9)


def test_flat_frames_have_the_closed_form() -> None:
    first, second = np.full((30, 40, 3), 50, np.uint8), np.full((30, 40, 3), 90, np.uint8)
    expected = (2 * 50 * 90 + C1) / (50**2 + 90**2 + C1)
    assert ssim(first, second) == pytest.approx(expected, abs=1e-12)


def test_identical_frames_score_one_and_order_does_not_matter() -> None:
    first, second = noisy_pair(30, 33, 30)
    assert ssim(first, first) == pytest.approx(1.0, abs=1e-12)
    assert ssim(first, second) == pytest.approx(ssim(second, first), abs=1e-9)
    assert ssim(first, second) < 0.9


def test_channels_count_alike() -> None:
    first = np.full((30, 30, 3), 128, np.uint8)
    losses = []
    for channel in range(3):
        second = first.copy()
        second[..., channel] = 0
        losses.append(1 - ssim(first, second))
    assert losses == pytest.approx([losses[0]] * 3)
    assert losses[0] == pytest.approx((1 - C1 / (128**2 + C1)) / 3, abs=1e-6)


def test_sides_shorter_than_the_window_are_extended() -> None:
    first, second = noisy_pair(30, 30, 30)
    small = first[:4, :7], second[:4, :7]
    extended = [np.pad(frame, [(0, 7), (0, 4), (0, 0)], mode="edge") for frame in small]
    assert ssim(*small) == pytest.approx(plain_ssim(*extended), abs=1e-9)


def test_window_is_the_published_gaussian() -> None:
    assert window().sum() == pytest.approx(1.0)
    assert window()[5] / window()[8] == pytest.approx(np.exp(9 / 4.5))
