from __future__ import annotations

import pytest
import torch
from small_network import small_config
from torch import nn

from sweettok_cli.models.sweettok.anchors import BlockAnchor, SpatialAnchor, TemporalAnchor, make_anchors
from sweettok_cli.models.sweettok.initialise import start_transform


def test_spatial_anchor_averages_the_frames_of_a_square() -> None:
    anchor = SpatialAnchor(small_config())
    features = torch.randn(2, 5, 8, 16, 32)
    gathered = anchor.gather(features)
    assert gathered.shape == (2, 4 * 8, 2 * 2 * 32)
    mean = (features[:, 0] + 4 * features[:, 1:].sum(1)) / 17  # every frame counts once
    second = mean[:, 0:2, 2:4].flatten(1)
    assert torch.allclose(gathered[:, 1], second, atol=1e-5)
    anchor.to_features = nn.Identity()
    spread = anchor.spread(gathered, 8, 16)
    assert spread.shape == (2, 1, 8, 16, 32)
    assert torch.allclose(spread[:, 0], mean, atol=1e-5)
    assert torch.allclose(anchor.gather(features[:, :1])[:, 1], features[:, 0, 0:2, 2:4].flatten(1))


@pytest.mark.parametrize("motion", ["residual", "differences"])
def test_temporal_anchor_gives_back_what_it_gathers(motion: str) -> None:
    config = small_config(motion=motion, encoder_temporal="t")
    anchor = TemporalAnchor(config)
    features = torch.randn(2, 5, 8, 16, 32)
    own = features if motion == "residual" else features.diff(dim=1)
    gathered = anchor.gather(own)
    assert gathered.shape == (2, 8 * 16, own.shape[1] * 32)
    assert gathered[:, 19].equal(own[:, :, 1, 3].flatten(1))
    anchor.to_features = nn.Identity()
    spread = anchor.spread(gathered, 8, 16)
    expected = features if motion == "residual" else features - features[:, :1]
    assert spread.shape == features.shape
    assert torch.allclose(spread, expected, atol=1e-5)


@pytest.mark.parametrize(("frames", "side", "length"), [(9, 1, 2), (17, 2, 1), (33, 2, 2), (65, 4, 1)])
def test_blocks_cover_a_clip_of_any_length(frames: int, side: int, length: int) -> None:
    config = small_config(queries="flattened", frames=frames)
    first, later = make_anchors(config)
    assert isinstance(first, BlockAnchor) and isinstance(later, BlockAnchor)
    assert (later.side, later.parts, later.frames) == (side, side, config.latent_frames(frames) - 1)
    assert later.width == length * side**2 * config.dim
    features = torch.randn(2, config.latent_frames(frames), 8, 16, 32)
    opening, rest = first.gather(features), later.gather(features[:, 1:])
    assert (opening.shape[1], rest.shape[1]) == config.token_counts(64, 128, frames)
    block = features[:, 1 + length : 1 + 2 * length, :side, side : 2 * side]  # the second in time, if any
    if side > 1:
        assert rest[:, side + 1].equal(block.flatten(1))
    first.to_features = later.to_features = nn.Identity()
    assert torch.cat([first.spread(opening, 8, 16), later.spread(rest, 8, 16)], dim=1).equal(features)


@pytest.mark.parametrize("query", [0, 5])
def test_linear_start_inverts_what_few_components_hold(query: int) -> None:
    own = torch.randn(500, 7) @ torch.randn(7, 40) + torch.randn(40)
    into, out_of = nn.Linear(query + 40, 7), nn.Linear(7, 40)
    importance = torch.rand(40) + 0.5
    with torch.no_grad():
        start_transform(into, out_of, own, importance)
        latents = into(torch.cat([torch.randn(500, query), own], dim=-1))
        assert torch.allclose(out_of(latents), own, atol=1e-3)
    assert latents.var(dim=0).mean().item() == pytest.approx(1, rel=1e-3)
    assert latents.mean(dim=0).abs().max().item() < 1e-4
