"""Halving and doubling as published, step by step, against one convolution."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sweettok_cli.models.vidtok.blocks import (
    MixedConv,
    SpatialDownsample,
    SpatialUpsample,
    TemporalDownsample,
    TemporalUpsample,
)
from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.memory import FrameMemory

CONFIGS = {
    "causal, zeros": VidTokConfig(),
    "causal, copies": VidTokConfig(version="1.1"),
    "centred": VidTokConfig(causal=False),
}


def volume(x: Tensor) -> Tensor:
    return x.permute(0, 4, 1, 2, 3)


def frames(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 4, 1)


def padded(config: VidTokConfig, x: Tensor, count: int) -> Tensor:
    """``x`` [b, c, t, h, w] with ``count`` frames in front."""
    first = x[:, :, :1].expand(-1, -1, count, -1, -1)
    return torch.cat([first if config.replicates else torch.zeros_like(first), x], 2)


def randomised(layer: MixedConv) -> tuple[MixedConv, Tensor]:
    torch.nn.init.normal_(layer.mix_factor)
    return layer, torch.sigmoid(layer.mix_factor)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_half_the_frames(config: VidTokConfig) -> None:
    layer, share = randomised(TemporalDownsample(config, 5))
    x = torch.randn(2, 6, 4, 3, 5)
    whole = padded(config, volume(x), 1) if config.causal else F.pad(volume(x), (0, 0, 0, 0, 0, 1))
    average = F.avg_pool3d(whole, (3, 1, 1), (2, 1, 1))
    convolved = F.conv3d(whole, layer.conv.weight, layer.conv.bias, (2, 1, 1), (0, 1, 1))
    expected = frames(share * average + (1 - share) * convolved)
    assert layer(x, FrameMemory()).allclose(expected, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_twice_the_frames(config: VidTokConfig) -> None:
    layer, share = randomised(TemporalUpsample(config, 5))
    x = torch.randn(2, 3, 4, 3, 5)
    ready = x if config.interpolates else x.repeat_interleave(2, 1)
    whole = padded(config, volume(ready), 2) if config.causal else F.pad(volume(ready), (0, 0, 0, 0, 1, 1))
    convolved = frames(F.conv3d(whole, layer.conv.weight, layer.conv.bias, padding=(0, 1, 1)))
    expected = share * ready + (1 - share) * convolved
    assert layer(x, FrameMemory()).allclose(expected, atol=1e-5)


def test_half_the_picture() -> None:
    layer = SpatialDownsample(4)
    x = torch.randn(1, 2, 6, 8, 4)
    expected = F.conv2d(F.pad(x[0].permute(0, 3, 1, 2), (0, 1, 0, 1)), layer.conv.weight, layer.conv.bias, 2)
    assert layer(x).allclose(expected.permute(0, 2, 3, 1)[None], atol=1e-5)


def test_twice_the_picture() -> None:
    layer = SpatialUpsample(4)
    x = torch.randn(1, 2, 3, 5, 4)
    large = F.interpolate(x[0].permute(0, 3, 1, 2), scale_factor=2)
    expected = F.conv2d(large, layer.conv.weight, layer.conv.bias, padding=1)
    assert layer(x).allclose(expected.permute(0, 2, 3, 1)[None], atol=1e-5)
