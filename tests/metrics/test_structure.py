"""MS-SSIM and VidTok's SSIM against plain computations with torch, and against torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sweettok_cli.metrics.ssim import SMALLEST, WEIGHTS, Structure, halved, pooling, ssim


def noisy_clip(frames: int, height: int, width: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(height + width)
    ramp = np.linspace(20, 235, width)[:, None] * np.linspace(0.4, 1, height)[:, None, None]
    source = ramp + generator.normal(0, 12, (frames, height, width, 3))
    other = source + generator.normal(0, noise, source.shape)
    return source.clip(0, 255).astype(np.uint8), other.clip(0, 255).astype(np.uint8)


def channels_first(clip: np.ndarray) -> Tensor:
    return torch.from_numpy(clip).permute(0, 3, 1, 2).double()


def maps(x: Tensor, y: Tensor, top: float = 255.0) -> tuple[Tensor, Tensor]:
    """SSIM and contrast-structure of every window, by convolution."""
    offsets = torch.arange(11, dtype=torch.float64) - 5
    line = torch.exp(-(offsets**2) / 4.5)
    line = (line / line.sum()).expand(x.shape[1], 1, 11)

    def blur(values: Tensor) -> Tensor:
        rows = F.conv2d(values, line[..., None], groups=x.shape[1])
        return F.conv2d(rows, line[..., None, :], groups=x.shape[1])

    c1, c2 = (0.01 * top) ** 2, (0.03 * top) ** 2
    mean_x, mean_y = blur(x), blur(y)
    variances = blur(x * x) - mean_x**2 + blur(y * y) - mean_y**2
    structure = (2 * (blur(x * y) - mean_x * mean_y) + c2) / (variances + c2)
    return (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1) * structure, structure


@pytest.mark.parametrize(("height", "width", "noise"), [(176, 192, 15.0), (161, 203, 40.0)])
def test_ms_ssim_equals_the_definition(height: int, width: int, noise: float) -> None:
    source, other = noisy_clip(1, height, width, noise)
    x, y = channels_first(source), channels_first(other)
    expected = torch.ones(1, 3, dtype=torch.float64)
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if scale:
            odd = (0, x.shape[3] % 2, 0, x.shape[2] % 2)
            x, y = (F.avg_pool2d(F.pad(side, odd, mode="replicate"), 2) for side in (x, y))
        whole, structure = maps(x, y)
        expected *= (whole if scale == 4 else structure).mean(dim=(2, 3)).clamp(min=0) ** weight
    score = Structure(("ms_ssim",)).measure(source, other)["ms_ssim"]
    assert score == pytest.approx(float(expected.mean()), abs=1e-9)


@pytest.mark.slow
def test_torchmetrics_agrees() -> None:
    """Its SSIM has windows that reach beyond the frame, which its map lets one cut off; the coarsest scale of
    its MS-SSIM has them too. It pools the channels before the product: no difference on grey pictures."""
    image = pytest.importorskip("torchmetrics.functional.image")
    source, other = (np.repeat(clip[..., :1], 3, axis=3) for clip in noisy_clip(1, 176, 192, 25))
    x, y = channels_first(source), channels_first(other)
    scores = Structure(("ssim", "ms_ssim")).measure(source, other)
    _, whole = image.structural_similarity_index_measure(y, x, data_range=255.0, return_full_image=True)
    assert scores["ssim"] == pytest.approx(float(whole[..., 5:-5, 5:-5].mean()), abs=1e-9)
    theirs = image.multiscale_structural_similarity_index_measure(y, x, data_range=255.0)
    assert scores["ms_ssim"] == pytest.approx(float(theirs), abs=1e-3)


def test_a_negative_of_a_picture_scores_nothing() -> None:
    source, _ = noisy_clip(1, 164, 164, 1)
    assert Structure(("ms_ssim",)).measure(source, 255 - source) == {"ms_ssim": 0.0}


def test_a_negative_at_coarse_scales_only_scores_nothing_either() -> None:
    """The same fine grain over a wave and over its negative."""
    wave = 80 * np.sin(np.arange(176) / 12)[:, None] * np.sin(np.arange(176) / 12)
    grain = np.random.default_rng(0).choice([-45.0, 45.0], (176, 176))
    source, other = (
        np.repeat((127.5 + side + grain).astype(np.uint8)[None, :, :, None], 3, axis=3)
        for side in (wave, -wave)
    )
    assert maps(channels_first(source), channels_first(other))[1].mean() > 0.1
    assert Structure(("ms_ssim",)).measure(source, other) == {"ms_ssim": 0.0}


def test_small_frames_are_reported_and_left_out() -> None:
    metric = Structure()
    source, other = noisy_clip(1, SMALLEST - 1, 200, 9)
    assert set(metric.measure(source, other)) == {"ssim", "ssim_vidtok"}
    reasons = metric.unsuited(source.shape)
    assert reasons == {"ms_ssim": "frames of 200x160 are too small; no side may be shorter than 161 pixels."}
    assert metric.unsuited((1, SMALLEST, SMALLEST, 3)) == {}
    assert set(metric.unsuited((1, 10, 200, 3))) == {"ssim_vidtok", "ms_ssim"}


def test_exponents_are_the_published_ones() -> None:
    assert sum(WEIGHTS) == pytest.approx(1.0, abs=2e-4)
    assert halved(np.arange(12.0).reshape(3, 1, 4)).ravel() == pytest.approx([2.5, 4.5, 8.5, 10.5])


@pytest.mark.parametrize(("side", "factor"), [(64, 1), (383, 1), (384, 2), (640, 2), (641, 3), (1080, 4)])
def test_pooling_rounds_as_piq_does(side: int, factor: int) -> None:
    assert pooling((2000, side)) == pooling((side, 2000)) == factor


def test_vidtoks_ssim_of_large_frames_averages_squares_first() -> None:
    source, other = noisy_clip(1, 387, 395, 30)
    x, y = (F.avg_pool2d(channels_first(clip) / 255, 2) for clip in (source, other))
    expected = float(maps(x, y, top=1.0)[0].mean())
    scores = Structure(("ssim", "ssim_vidtok")).measure(source, other)
    assert scores["ssim_vidtok"] == pytest.approx(expected, abs=1e-9)
    assert scores["ssim"] == pytest.approx(ssim(source[0], other[0]), abs=1e-12)
    assert abs(scores["ssim"] - scores["ssim_vidtok"]) > 0.01


def test_both_definitions_of_ssim_are_one_below_384_pixels() -> None:
    scores = Structure(("ssim", "ssim_vidtok")).measure(*noisy_clip(2, 40, 60, 20))
    assert scores["ssim"] == scores["ssim_vidtok"]
    assert Structure(("ssim_vidtok",)).measure(*noisy_clip(2, 40, 60, 20)) == {"ssim_vidtok": scores["ssim"]}
