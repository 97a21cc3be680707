"""Frames resized and cropped as a protocol asks, with the resampling filter that it names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from PIL import Image

Filter = Literal["swscale bicubic", "torch bilinear antialias", "pillow bicubic"]

# SWS_BICUBIC, accurate rounding, full chroma: what differs from libswscale's defaults is only more exact.
_SWSCALE = 0x4 | 0x40000 | 0x2000 | 0x4000


@dataclass(frozen=True)
class SpatialFit:
    """What becomes of a frame's size.

    Attributes:
        kind: ``none`` leaves it; ``squash`` makes a square whatever the shape was; ``crop`` brings the
            shorter side to ``side`` and cuts the square out of the middle.
        side: of the square, in pixels.
        filter: the library and the filter that resize 8-bit RGB.
    """

    kind: Literal["none", "squash", "crop"] = "none"
    side: int = 0
    filter: Filter | None = None

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the result."""
        return (width, height) if self.kind == "none" else (self.side, self.side)

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """uint8 RGB ``[h, w, 3]`` -> uint8 RGB of :meth:`size`."""
        if self.kind == "none":
            return rgb
        if self.kind == "squash":
            return self._resized(rgb, self.side, self.side)
        height, width = rgb.shape[:2]
        scale = self.side / min(width, height)
        # torchvision's rule for the longer side: cut off, not rounded.
        wide, high = (max(self.side, math.floor(side * scale + 1e-9)) for side in (width, height))
        resized = self._resized(rgb, wide, high)
        # And for the crop: halves go to the even number.
        top, left = round((high - self.side) / 2), round((wide - self.side) / 2)
        return np.ascontiguousarray(resized[top : top + self.side, left : left + self.side])

    def _resized(self, rgb: np.ndarray, width: int, height: int) -> np.ndarray:
        if rgb.shape[:2] == (height, width):
            return rgb
        if self.filter == "pillow bicubic":
            return np.array(Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC))
        if self.filter == "torch bilinear antialias":
            planes = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float()
            made = F.interpolate(planes, (height, width), mode="bilinear", antialias=True)
            return made[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        scaled = VideoReformatter().reformat(frame, width=width, height=height, interpolation=_SWSCALE)
        return scaled.to_ndarray()
