"""Flattened queries: as many tokens, each of which may say anything of its tile of the clip."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_network import small_network, word_prior
from torch import Tensor, nn

from sweettok_cli.models.sweettok.banded import choose_bands
from sweettok_cli.models.sweettok.config import PRESETS, SweetTokConfig, make_config
from sweettok_cli.models.sweettok.network import SweetTok

# The published layout in small, one tile a frame; tiles without anchors; the shipped layout.
PUBLISHED: dict[str, Any] = {
    **{"dim": 32, "heads": 2, "head_dim": 16, "tile": 8, "spatial_queries": 4, "window": 4, "code_dim": 8},
    **{"encoder_spatial": "twt", "encoder_temporal": "tt", "decoder_spatial": "tttt", "proxy_codes": 20},
    **{"proxy_hidden": 24, "pixel_spatial": "t", "pixel_temporal": "t", "frames": 9},
}
TILED = {**PUBLISHED, "scrambled": False, "proxy_codes": 0}
KINDS = {"published": PUBLISHED, "tiled": TILED, "anchored": None}


def flattened(kind: str) -> SweetTok:
    changes = KINDS[kind]
    if changes is None:
        network = small_network(queries="flattened", frames=9)
    else:
        torch.manual_seed(0)
        network = SweetTok(SweetTokConfig(**changes, queries="flattened"), word_prior()).eval()
    return network


def clips(kind: str, frames: int = 9) -> Tensor:
    return torch.rand(2, 3, frames, 64, 64 if kind == "published" else 128) - 0.5


@pytest.mark.parametrize("frames", [1, 9])
@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_as_many_as_decoupled_ones(kind: str, frames: int) -> None:
    network, video = flattened(kind), clips(kind, frames)
    height, width = video.shape[-2:]
    with torch.inference_mode():
        output, ids = network(video), network.encode(video)
        made = network.decode(*ids, height, width)
    cells = height * width // 64
    assert (ids.spatial.shape[1], ids.temporal.shape[1]) == (cells // 4, cells if frames > 1 else 0)
    assert output.reconstruction.shape == video.shape and made.equal(output.reconstruction)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind: str) -> None:
    network = flattened(kind).train()
    output = network(clips(kind))
    (output.reconstruction.square().mean() + output.spatial.loss + output.temporal.loss).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
    network.zero_grad()
    picture = network(clips(kind, 1))
    picture.reconstruction.square().mean().backward()
    parts = [
        nn.ParameterList([part]) if isinstance(part, Tensor) else part for part in network.motion_parts()
    ]
    assert len(parts) > 3 and all(p.grad is None for part in parts for p in part.parameters())


def latents(network: SweetTok, video: Tensor) -> tuple[Tensor, Tensor]:
    grid = network.config.patch_grid(*video.shape[-2:])
    embedded = network.encoder.embed(video)
    spatial, features, found = network.spatial_latents(embedded, grid)
    return spatial, network.temporal_latents(network.motion(embedded, features, spatial, grid), grid, found)


def test_all_tokens_see_all_frames_of_their_tile() -> None:
    network, video = flattened("tiled"), clips("tiled")[:1]
    with torch.inference_mode():
        before = latents(network, video)
        for frame in (0, 8):
            changed = video.clone()
            changed[:, :, frame, :8, :8] += torch.rand(8, 8) - 0.5
            for half, now in zip(before, latents(network, changed), strict=True):
                side = round((half.shape[1] / 2) ** 0.5)
                moved = (half - now).abs().amax(-1).view(side, 2 * side)[:, :side]
                assert (moved > 1e-6).all()


def test_the_decoder_tells_frames_apart_by_their_place_alone() -> None:
    network = flattened("tiled")
    with torch.inference_mode():
        codes = torch.randn(1, 16, 16), torch.randn(1, 64, 16)
        features = network.features(*codes, 64, 64)
        assert (features[:, 1] - features[:, 2]).abs().max() > 1e-3
        codes[1][:, 5] += 1  # one token changes all of its tile
        assert ((network.features(*codes, 64, 64) - features).abs().amax(-1) > 0).all()


def test_it_is_one_line_for_every_preset() -> None:
    for name in PRESETS:
        config = make_config({"preset": name, "queries": "flattened"})
        assert config.token_counts(256, 256) == PRESETS[name].token_counts(256, 256)
        assert not config.bandable
    with torch.device("meta"):
        whole, usual = (
            sum(p.numel() for p in SweetTok(make_config(table), word_prior()).parameters())
            for table in ({"preset": "compact", "queries": "flattened"}, {"preset": "compact"})
        )
    assert 0.7 < whole / usual < 1


def test_large_frames_are_encoded_whole() -> None:
    assert choose_bands(flattened("anchored"), 1, 9, 64 * 9, 64 * 80) is None


def test_other_lengths_than_its_own_are_refused() -> None:
    with pytest.raises(ValueError, match="5 frames are neither 1 nor 9"):
        flattened("tiled").encode(clips("tiled", 5))
