from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sweettok_cli.codebook.prior import WordGraph, WordPrior
from sweettok_cli.models.common.tiles import frame_differences
from sweettok_cli.models.sweettok.config import SweetTokConfig
from sweettok_cli.models.sweettok.network import SweetTok

# The published layout in small, one tile a frame; and 4x4-patch tiles that repeat over any frame.
WHOLE: dict[str, Any] = {"tile": 8, "spatial_queries": 4, "window": 4}
TILED: dict[str, Any] = {"tile": 4, "spatial_queries": 2, "window": 2, "scrambled": False, "proxy_codes": 0}
SMALL: dict[str, Any] = {
    "dim": 32,
    "heads": 2,
    "head_dim": 16,
    "encoder_spatial": "twt",
    "encoder_temporal": "tt",
    "decoder_spatial": "tttt",
    "code_dim": 8,
    "proxy_codes": 20,
    "proxy_hidden": 24,
    "pixel_spatial": "t",
    "pixel_temporal": "t",
}
SIZES = [(WHOLE, 64, 64), (TILED, 64, 96)]


def prior() -> WordPrior:
    def graph(modifiers: int, heads: int) -> WordGraph:
        edges = torch.stack([torch.randint(modifiers, (30,)), modifiers + torch.randint(heads, (30,))])
        vectors = torch.randn(modifiers + heads, 6)
        words = [f"m{i}" for i in range(modifiers)], [f"h{i}" for i in range(heads)]
        return WordGraph(*words, vectors.numpy(), edges.numpy())

    return WordPrior(graph(11, 13), graph(9, 17))


def network(**changes: Any) -> SweetTok:
    torch.manual_seed(0)
    return SweetTok(SweetTokConfig(**{**SMALL, **changes}), prior()).eval()


def clip(batch: int, frames: int, height: int, width: int) -> Tensor:
    return torch.rand(batch, 3, frames, height, width) - 0.5


@pytest.mark.parametrize("frames", [1, 5, 9])
@pytest.mark.parametrize(("layout", "height", "width"), SIZES)
def test_shapes(layout: dict[str, Any], height: int, width: int, frames: int) -> None:
    model = network(**layout)
    video = clip(2, frames, height, width)
    with torch.no_grad():
        output = model(video)
        ids = model.encode(video)
    cells = (height // 8) * (width // 8)
    assert ids.spatial.shape == (2, cells // 4, 3)
    assert ids.temporal.shape == (2, cells if frames > 1 else 0, 3)
    assert model.config.token_counts(height, width, frames) == (ids.spatial.shape[1], ids.temporal.shape[1])
    assert output.reconstruction.shape == video.shape
    assert output.spatial.ids.equal(ids.spatial)
    assert output.temporal.ids.equal(ids.temporal)
    if model.proxy_head is None:
        assert output.logits is None
    else:
        assert output.logits.shape == (2, (frames + 3) // 4, height // 8, width // 8, 20)


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize(("layout", "height", "width"), SIZES)
def test_decoding_ids_is_decoding_their_vectors(
    layout: dict[str, Any], height: int, width: int, batch: int
) -> None:
    model = network(**layout)
    video = clip(batch, 9, height, width)
    with torch.inference_mode():
        output = model(video)
        vectors = (output.spatial.vectors, output.temporal.vectors)
        from_ids = model.decode(*model.encode(video), height, width, 9)
        assert from_ids.equal(model.decode_quantized(*vectors, height, width, 9))
        assert from_ids.equal(output.reconstruction)


@pytest.mark.parametrize(("layout", "height", "width"), SIZES)
def test_clips_of_a_batch_do_not_touch(layout: dict[str, Any], height: int, width: int) -> None:
    model = network(**layout)
    video = clip(3, 5, height, width)
    with torch.inference_mode():
        ids = model.encode(video)
        together = model.decode(*ids, height, width, 5)
        for i in range(3):
            single = model.encode(video[i : i + 1])
            assert single.spatial.equal(ids.spatial[i : i + 1])
            assert single.temporal.equal(ids.temporal[i : i + 1])
            alone = model.decode(*single, height, width, 5)
            assert torch.allclose(alone, together[i : i + 1], atol=1e-5)


def test_frames_default_to_the_configured_clip() -> None:
    model = network(**WHOLE, frames=9)
    with torch.inference_mode():
        ids = model.encode(clip(1, 9, 64, 64))
        assert model.decode(*ids, 64, 64).shape == (1, 3, 9, 64, 64)
        assert model.decode(ids.spatial, ids.temporal[:, :0], 64, 64).shape == (1, 3, 1, 64, 64)


def test_a_still_clip_has_the_same_motion_whatever_it_shows() -> None:
    """A clip that does not move has no differences: its temporal latents do not depend on the picture."""
    model = network(**TILED)
    still = clip(2, 1, 32, 32).expand(-1, -1, 5, -1, -1)
    # The first frame and the groups have embeddings of their own; without the first, nothing changes.
    features = model.encoder.embed(torch.cat([still, still[:, :, 1:]], dim=2))[:, 1:]
    with torch.inference_mode():
        grid = model.config.patch_grid(32, 32)
        temporal = model.temporal_latents(frame_differences(features), grid)
    assert temporal.shape == (2, 16, 16)
    assert torch.allclose(temporal[0], temporal[1], atol=1e-5)


@pytest.mark.parametrize("changes", [WHOLE, TILED, {**WHOLE, "pixels": False}])
def test_every_parameter_learns(changes: dict[str, Any]) -> None:
    model = network(**changes).train()
    output = model(clip(1, 9, 32, 64) if changes is TILED else clip(1, 9, 64, 64))
    picture = output.reconstruction if output.reconstruction is not None else output.logits
    (picture.square().mean() + output.spatial.loss + output.temporal.loss).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_weights_travel_with_their_words() -> None:
    model, other = network(**WHOLE), network(**WHOLE)
    other.quantize_spatial.vectors.normal_()
    for parameter in other.parameters():
        parameter.data.normal_()
    other.load_state_dict(model.state_dict())
    video = clip(1, 5, 64, 64)
    with torch.inference_mode():
        assert other(video).reconstruction.equal(model(video).reconstruction)


def test_narrow_network_runs_and_keeps_its_codes() -> None:
    model = network(**TILED)
    video = clip(1, 5, 32, 32)
    with torch.inference_mode():
        words = model.quantize_spatial.projected_words()
        narrow = model.to(torch.bfloat16)
        assert narrow(video.to(torch.bfloat16)).reconstruction.dtype == torch.bfloat16
        assert narrow.quantize_spatial.projected_words().equal(words)


def test_frozen_codebook_stays_while_the_rest_trains() -> None:
    model = network(**WHOLE)
    model.freeze_codebook()
    model.train()
    output = model(clip(1, 5, 64, 64))
    (output.reconstruction.square().mean() + output.spatial.loss + output.temporal.loss).backward()
    assert all(p.grad is None for p in model.quantize_spatial.parameters())
    assert model.encoder.spatial_out.weight.grad is not None


@pytest.mark.parametrize(("frames", "height", "width"), [(4, 64, 64), (5, 60, 64), (5, 64, 100)])
def test_sizes_that_do_not_fit_are_refused(frames: int, height: int, width: int) -> None:
    with pytest.raises(ValueError, match=r"multiple of 64 pixels|frames are not"):
        network(**WHOLE).encode(clip(1, frames, height, width))


def test_wrong_number_of_tokens_is_refused() -> None:
    model = network(**WHOLE)
    ids = torch.zeros(1, 16, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match="16 and 64 are needed"):
        model.decode(ids, torch.zeros(1, 63, 3, dtype=torch.int64), 64, 64, 5)


def test_network_that_ends_in_logits_has_no_pixels() -> None:
    model = network(**WHOLE, pixels=False)
    ids = model.encode(clip(1, 5, 64, 64))
    with pytest.raises(ValueError, match="no pixel decoder"):
        model.decode(*ids, 64, 64, 5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"temporal_every": 3}, "temporal_every must divide"),
        ({"proxy_codes": 0, "pixels": False}, "must end in pixels"),
        ({"motion": "flow"}, "motion = 'flow' is not one of 'differences', 'residual'"),
        ({"motion": "residual"}, "needs anchored"),
        ({"encoder_temporal": "at"}, "encoder_temporal = 'at' mixes t, attention over time, with windows"),
    ],
)
def test_impossible_configs_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SweetTokConfig(**changes)
