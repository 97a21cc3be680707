from __future__ import annotations

import torch
from torch import nn

from sweettok_cli.models.common.patches import PatchFilter, ToPixels


def moved(channels: int = 6, patch: int = 8) -> PatchFilter:
    torch.manual_seed(0)
    module = PatchFilter(channels, patch)
    nn.init.normal_(module.narrow.weight, std=0.1)
    nn.init.normal_(module.place)
    return module


def test_the_filter_starts_as_the_identity() -> None:
    video = torch.rand(2, 3, 5, 32, 48) - 0.5
    assert PatchFilter(6, 8)(video).equal(video)


def test_it_tells_places_inside_a_patch_apart_and_patches_not() -> None:
    with torch.no_grad():
        change = moved()(torch.zeros(1, 3, 1, 64, 64))[0, :, 0, 16:48, 16:48]  # away from the frame's edges
    patches = change.unfold(1, 8, 8).unfold(2, 8, 8).flatten(1, 2)  # [3, patches, 8, 8]
    assert torch.allclose(patches, patches[:, :1].expand_as(patches), atol=1e-6)
    assert patches[:, 0].std() > 1e-3


def test_frames_do_not_touch_and_reach_is_short() -> None:
    module, video = moved(), torch.zeros(1, 3, 2, 32, 32)
    dotted = video.clone()
    dotted[0, :, 1, 16, 16] = 0.5
    with torch.no_grad():
        change = (module(dotted) - module(video)).abs().amax(dim=(0, 1))  # [2, 32, 32]
    assert change[0].max() == 0
    rows = change[1].amax(dim=1).nonzero().flatten()
    assert rows.min() >= 10
    assert rows.max() <= 22
    assert change[1, 16, 18] > 0  # but it does reach over its own 2x2 pixels


def test_pixels_pass_the_filter_in_clips_and_pictures() -> None:
    torch.manual_seed(0)
    plain, filtered = ToPixels(16, 8, 4), ToPixels(16, 8, 4, filter_channels=6)
    filtered.load_state_dict(plain.state_dict(), strict=False)
    nn.init.constant_(filtered.filter.get_parameter("narrow.bias"), 0.25)
    for frames in (1, 3):
        features = torch.randn(2, frames, 2, 2, 16)
        assert torch.allclose(filtered(features), plain(features) + 0.25, atol=1e-6)
