"""Frames as files hold them, uint8, to the networks' video and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def to_video(frames: np.ndarray, device: torch.device) -> Tensor:
    """uint8 [b, t, h, w, 3] to float32 [b, 3, t, h, w] in [-0.5, 0.5] on the device."""
    moved = torch.from_numpy(np.ascontiguousarray(frames)).to(device, non_blocking=True)
    return (
        moved.permute(0, 4, 1, 2, 3)
        .to(torch.float32, memory_format=torch.contiguous_format)
        .div_(255)
        .sub_(0.5)
    )


def to_frames(video: Tensor) -> np.ndarray:
    """Float [b, 3, t, h, w] around [-0.5, 0.5] to uint8 [b, t, h, w, 3], rounded and clamped."""
    shown = video.float().add(0.5).mul(255).round().clamp(0, 255).to(torch.uint8)
    return shown.permute(0, 2, 3, 4, 1).cpu().numpy()
