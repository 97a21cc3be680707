from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from small_omni import TINY, clip, network

from sweettok_cli.models.common.attention import rotary_table
from sweettok_cli.models.omnitokenizer.config import OmniConfig

SIZES = [(1, 32, 32), (1, 64, 32), (5, 32, 96), (9, 64, 64)]


@pytest.mark.parametrize(("frames", "height", "width"), SIZES)
def test_shapes(frames: int, height: int, width: int) -> None:
    model = network()
    video = clip(2, frames, height, width)
    with torch.inference_mode():
        indices, latents = model.encode(video), model.latents(video)
        decoded = model.decode(indices)
    assert indices.shape == (2, 1 + (frames - 1) // 4, height // 8, width // 8)
    assert indices.dtype == torch.int64
    assert 0 <= indices.min() <= indices.max() < 50
    assert latents.shape == (*indices.shape, 8)
    assert torch.allclose(latents.norm(dim=-1), torch.ones(()), atol=1e-5)
    assert decoded.shape == video.shape


@pytest.mark.parametrize(("frames", "height", "width"), SIZES)
def test_clips_of_a_batch_do_not_touch(frames: int, height: int, width: int) -> None:
    model = network()
    video = clip(3, frames, height, width)
    with torch.inference_mode():
        indices = model.encode(video)
        decoded = model.decode(indices)
        for i in range(3):
            assert model.encode(video[i : i + 1]).equal(indices[i : i + 1])
            assert torch.allclose(model.decode(indices[i : i + 1]), decoded[i : i + 1], atol=1e-5)


def test_an_image_passes_the_temporal_layers() -> None:
    model = network()
    image = clip(1, 1, 32, 32)
    with torch.inference_mode():
        before = model.latents(image)
        model.encoder.temporal.layers[0].attention.to_out.weight.mul_(3)
        assert not torch.allclose(model.latents(image), before)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 64)])
def test_space_is_causal_in_time(height: int, width: int) -> None:
    """The published temporal layers are not: their position convolution mixes places and frames."""
    model = network()
    video = clip(1, 9, height, width)
    changed = video.clone()
    changed[:, :, 5:] *= torch.rand_like(changed[:, :, 5:])
    grid = model.config.patch_grid(height, width)
    with torch.inference_mode():
        one, other = (model.encoder.spatial(model.encoder.embed(v), grid) for v in (video, changed))
    assert torch.allclose(one[:, :2], other[:, :2], atol=1e-5)
    assert not torch.allclose(one[:, 2], other[:, 2], atol=1e-3)


def test_positions_of_a_rectangle_are_its_own_columns_and_rows() -> None:
    cos, sin = rotary_table(2, 3, 16, torch.device("cpu"))
    angles = torch.atan2(sin, cos)[:, :2]  # the first pair turns by x, the second by y
    expected = torch.tensor([[x, y] for y in range(2) for x in range(3)], dtype=torch.float32)
    assert torch.allclose(angles, expected)


def test_windows_tile_a_rectangle() -> None:
    """With windows only, a change stays in its window of 4x4 patches."""
    model = network(encoder_spatial="w")
    video = clip(1, 1, 32, 64)
    changed = video.clone()
    changed[..., 32:] *= torch.rand_like(changed[..., 32:])
    grid = model.config.patch_grid(32, 64)
    with torch.inference_mode():
        one, other = (model.encoder.spatial(model.encoder.embed(v), grid) for v in (video, changed))
    moved = ~torch.isclose(one, other, atol=1e-5).all(-1)[0, 0]
    assert not moved[:, :4].any()
    assert moved[:, 4:].all()


@pytest.mark.parametrize(("height", "width"), [(0, 64), (64, 40), (60, 64)])
def test_sizes_that_do_not_fit_are_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match=f"frames of {width}x{height} are not a multiple of 32 pixels"):
        network().encode(clip(1, 1, height, width))


@pytest.mark.parametrize("frames", [0, 2, 4, 16])
def test_lengths_that_do_not_fit_are_refused(frames: int) -> None:
    with pytest.raises(ValueError, match=f"{frames} frames are not 1 \\+ k"):
        network().encode(clip(1, frames, 32, 32))


def test_config_survives_its_table() -> None:
    config = OmniConfig(**TINY)
    assert OmniConfig(**asdict(config)) == config
    assert OmniConfig().multiple == 64


def test_training_reaches_every_parameter() -> None:
    model = network().train()
    video = clip(2, 5, 32, 32)
    coded = model.codebook(model.latents(video))
    loss = (model.decode_vectors(coded.vectors) - video).square().mean() + coded.loss
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
