"""The shipped layout: any frame size, clips of 17 frames and single ones, tokens that stand on their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_network import small_network
from torch import Tensor

# Windows over space belong to what appearance leaves over; differences are attended to column by column.
MOTIONS: list[dict[str, Any]] = [{}, {"motion": "differences", "encoder_temporal": "t"}]
SIZES = [(64, 64), (128, 64), (64, 192)]


def clip(batch: int, frames: int, height: int, width: int) -> Tensor:
    return torch.rand(batch, 3, frames, height, width) - 0.5


@pytest.mark.parametrize("changes", MOTIONS, ids=["residual", "differences"])
@pytest.mark.parametrize("frames", [1, 17])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_any_size_of_clip_and_picture(changes: dict[str, Any], height: int, width: int, frames: int) -> None:
    model = small_network(**changes)
    video = clip(2, frames, height, width)
    tiles = (height // 64) * (width // 64)
    with torch.inference_mode():
        ids = model.encode(video)
        assert ids.spatial.shape == (2, 16 * tiles, 3)
        assert ids.temporal.shape == (2, 64 * tiles if frames > 1 else 0, 3)
        decoded = model.decode(*ids, height, width)
        assert decoded.shape == video.shape
        assert decoded.equal(model(video).reconstruction)


@pytest.mark.parametrize("changes", MOTIONS, ids=["residual", "differences"])
@pytest.mark.parametrize("frames", [1, 17])
def test_clips_of_a_batch_do_not_touch(changes: dict[str, Any], frames: int) -> None:
    model = small_network(**changes)
    video = clip(3, frames, 128, 64)
    with torch.inference_mode():
        ids = model.encode(video)
        together = model.decode(*ids, 128, 64)
        assert not ids.spatial[0].equal(ids.spatial[1])
        for i in range(3):
            single = model.encode(video[i : i + 1])
            assert single.spatial.equal(ids.spatial[i : i + 1])
            assert single.temporal.equal(ids.temporal[i : i + 1])
            assert torch.allclose(model.decode(*single, 128, 64), together[i : i + 1], atol=1e-5)


@pytest.mark.parametrize("frames", [2, 5, 9, 16, 21])
def test_other_lengths_are_refused(frames: int) -> None:
    model = small_network()
    with pytest.raises(ValueError, match=r"neither 1 nor 17|are not 1"):
        model.encode(clip(1, frames, 64, 64))
    ids = model.encode(clip(1, 17, 64, 64))
    with pytest.raises(ValueError, match=r"neither 1 nor 17|are not 1"):
        model.decode(*ids, 64, 64, frames)


def test_frames_are_whole_tiles() -> None:
    with pytest.raises(ValueError, match="96x64 are not a multiple of 64 pixels"):
        small_network().encode(clip(1, 17, 64, 96))


def test_opposite_edges_of_a_frame_never_meet() -> None:
    """One shifted layer reaches the neighbouring tile, and no layer the other end of the frame."""
    model = small_network()
    video = clip(1, 17, 64, 256)
    changed = video.clone()
    changed[..., :8] = -changed[..., :8]
    grid = model.config.patch_grid(64, 256)
    with torch.inference_mode():
        for frames in (1, 17):
            before, after = (
                model.spatial_latents(model.encoder.embed(v[:, :, :frames]), grid)[0]
                for v in (video, changed)
            )
            moved = (before - after).abs().sum(-1).view(4, 16).amax(0) > 1e-4  # by column of queries
            assert moved[0] and not moved[8:].any()


@pytest.mark.parametrize("changes", MOTIONS, ids=["residual", "differences"])
def test_every_parameter_learns(changes: dict[str, Any]) -> None:
    model = small_network(**changes).train()
    output = model(clip(1, 17, 64, 128))
    (output.reconstruction.square().mean() + output.spatial.loss + output.temporal.loss).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_pictures_leave_what_moves_alone() -> None:
    model = small_network().train()
    output = model(clip(2, 1, 64, 64))
    assert output.temporal.loss.item() == 0
    (output.reconstruction.square().mean() + output.spatial.loss + output.temporal.loss).backward()
    assert model.spatial_anchor.to_features.weight.grad.abs().sum() > 0
    assert model.temporal_anchor.to_features.weight.grad is None
