"""Feature networks that take no time, where those of gFVD would stand."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from sweettok_cli.metrics.extractors import Extractor
from sweettok_cli.metrics.network_files import I3D_PORT, SearchPath


class ColourFeatures(Extractor):
    """The mean of each channel over the clip; it remembers the shapes that it was given."""

    file, words, size = I3D_PORT, "mean colour", 3
    given: ClassVar[list[tuple[int, ...]]] = []

    def __init__(self, search: SearchPath, device: object = "cpu") -> None:
        self.given.clear()

    def load(self, path: Path) -> nn.Module:
        raise AssertionError

    def features(self, clip: np.ndarray) -> np.ndarray:
        self.given.append(clip.shape)
        return clip.mean(axis=(0, 1, 2))[None].astype(np.float32)


class ScriptedColours(nn.Module):
    """Called as StyleGAN-V's I3D is: the mean and the greatest value of each channel."""

    def forward(self, x: Tensor, rescale: bool, resize: bool, return_features: bool) -> Tensor:
        return torch.cat([x.mean(dim=(2, 3, 4)), x.amax(dim=(2, 3, 4))], dim=1)
