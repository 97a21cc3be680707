"""Frames as files hold them, uint8, to the networks' video and back."""

from __future__ import annotations

import torch
from torch import Tensor


def to_video(frames: Tensor, reach: float = 0.5) -> Tensor:
    """uint8 [b, t, h, w, 3] to float32 [b, 3, t, h, w] in [-reach, reach]."""
    video = frames.permute(0, 4, 1, 2, 3).to(torch.float32, memory_format=torch.contiguous_format)
    return video.div_(255).sub_(0.5).mul_(2 * reach)


def to_frames(video: Tensor, reach: float = 0.5, truncate: bool = False) -> Tensor:
    """Float [b, 3, t, h, w] around [-reach, reach] to uint8 [b, t, h, w, 3], rounded or cut off; clamped."""
    scaled = video.float().div(2 * reach).add_(0.5).mul_(255)
    if not truncate:
        scaled.round_()
    return scaled.clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 4, 1)
