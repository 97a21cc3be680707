from __future__ import annotations

import pytest
import torch

from sweettok_cli.models.common.frames import to_frames, to_video


def test_pixels_survive_the_way_to_the_network_and_back() -> None:
    frames = torch.arange(2 * 1 * 16 * 8 * 3).to(torch.uint8).reshape(2, 1, 16, 8, 3)
    video = to_video(frames)
    assert video.shape == (2, 3, 1, 16, 8) and video.min() == -0.5 and video.max() == 0.5
    assert video[1, 2, 0, 5, 3] == pytest.approx(int(frames[1, 0, 5, 3, 2]) / 255 - 0.5)
    assert to_frames(video).equal(frames)
    assert to_frames(video * 3).max() == 255 and to_frames(video * 3).min() == 0


def test_values_can_be_cut_off_in_place_of_rounded() -> None:
    video = torch.tensor([0.9, 1.4, 1.6, 300.0, -3.0]).div(255).sub(0.5).reshape(1, 1, 1, 1, 5)
    assert to_frames(video).ravel().tolist() == [1, 1, 2, 255, 0]
    assert to_frames(video, truncate=True).ravel().tolist() == [0, 1, 1, 255, 0]
