from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sweettok_cli.models.common.gaussian import GaussianLatents
from sweettok_cli.models.common.network import lay_out
from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.network import VidTok

Make = Callable[..., VidTok]

CAUSAL, COPIES, CENTRED = (
    "vidtok-kl-causal-488-4chn",
    "vidtok-kl-causal-488-4chn-v1.1",
    "vidtok-kl-noncausal-488-4chn",
)


def clip(frames: int, height: int = 16, width: int = 16, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, frames, height, width) * 2 - 1


@pytest.mark.parametrize(
    ("name", "frames", "latent", "decoded"),
    [
        (CAUSAL, 9, 3, 9),
        (CAUSAL, 8, 2, 5),
        (CAUSAL, 1, 1, 1),
        (COPIES, 9, 3, 12),
        (COPIES, 7, 2, 8),
        (COPIES, 1, 1, 4),
        (CENTRED, 8, 2, 8),
        ("vidtok-kl-causal-288-8chn", 5, 3, 5),
        ("vidtok-fsq-causal-888-32768-v1.1", 9, 2, 16),
    ],
)
def test_frame_counts(narrow: Make, name: str, frames: int, latent: int, decoded: int) -> None:
    model = narrow(name)
    with torch.inference_mode():
        tokens = model.encode(clip(frames))
        tokens = tokens.mean if isinstance(tokens, GaussianLatents) else tokens
        assert tokens.shape[-3] == latent
        assert model.decode(tokens).shape == (1, 3, decoded, 16, 16)


@pytest.mark.parametrize("shape", ["488", "41616", "444", "288"])
def test_pictures_that_are_not_square(narrow: Make, shape: str) -> None:
    model = narrow(f"vidtok-fsq-causal-{shape}-4096")
    factor = model.config.space_factor
    with torch.inference_mode():
        indices = model.encode(clip(5, 3 * factor, 2 * factor))
        assert isinstance(indices, Tensor)
        assert (indices.dtype, indices.shape[2:]) == (torch.int64, (3, 2))
        assert indices.min() >= 0
        assert indices.max() < 4096
        assert model.decode(indices).shape == (1, 3, 5, 3 * factor, 2 * factor)


def test_last_frames_are_kept(narrow: Make) -> None:
    model = narrow(COPIES)
    latents = torch.randn(1, 4, 2, 2, 2)
    with torch.inference_mode():
        assert model.decode(latents, 7).equal(model.decode(latents)[:, :, 1:])
        with pytest.raises(ValueError, match="hold 8"):
            model.decode(latents, 9)


@pytest.mark.parametrize("name", [CAUSAL, COPIES, CENTRED])
def test_a_batch_is_its_clips(narrow: Make, name: str) -> None:
    model = narrow(name)
    video = clip(8, batch=2)
    with torch.inference_mode():
        both = model.encode_latent(video)
        assert both.allclose(torch.cat([model.encode_latent(one) for one in video.split(1)]), atol=1e-9)
        latents = both[:, :4]
        decoded = torch.cat([model.decode_latent(one) for one in latents.split(1)])
        assert model.decode_latent(latents).allclose(decoded, atol=1e-9)


@pytest.mark.parametrize("name", [CAUSAL, COPIES, CENTRED])
def test_grouping_of_frames_changes_nothing(narrow: Make, name: str) -> None:
    model = narrow(name)
    video, latents = clip(8), torch.randn(1, 4, 3, 2, 2)
    with torch.inference_mode():
        encoded, decoded = model.encode_latent(video), model.decode_latent(latents)
        if model.config.causal:
            model.encoder.group_size = model.decoder.group_size = 1
        assert model.encode_latent(video).allclose(encoded, atol=1e-9)
        assert model.decode_latent(latents).allclose(decoded, atol=1e-9)


@pytest.mark.parametrize("name", [CAUSAL, COPIES])
def test_no_latent_sees_a_later_frame(narrow: Make, name: str) -> None:
    model = narrow(name)
    video = clip(13)
    changed = video.clone()
    changed[:, :, 9:] = -changed[:, :, 9:]
    with torch.inference_mode():
        before, after = model.encode_latent(video), model.encode_latent(changed)
    assert before[:, :, :3].allclose(after[:, :, :3], atol=1e-9)
    assert (before[:, :, 3] - after[:, :, 3]).abs().max() > 1e-3


def test_a_non_causal_network_sees_later_frames(narrow: Make) -> None:
    model = narrow(CENTRED)
    video = clip(12)
    changed = video.clone()
    changed[:, :, 8:] = -changed[:, :, 8:]
    with torch.inference_mode():
        assert (model.encode_latent(video) - model.encode_latent(changed))[:, :, 1].abs().max() > 1e-4


def test_no_frame_sees_a_later_latent(narrow: Make) -> None:
    model = narrow(CAUSAL)
    latents = torch.randn(1, 4, 3, 2, 2)
    changed = latents.clone()
    changed[:, :, 2] = 0
    with torch.inference_mode():
        before, after = model.decode(latents), model.decode(changed)
    assert before[:, :, :5].allclose(after[:, :, :5], atol=1e-9)
    assert (before[:, :, 5] - after[:, :, 5]).abs().max() > 1e-3


def test_version_1_1_sees_copies_of_the_first_frame(narrow: Make) -> None:
    """A still clip looks the same at every time; zeros in front of it would show."""
    video = clip(1).expand(-1, -1, 13, -1, -1)
    with torch.inference_mode():
        still, moving = (narrow(name).encode_latent(video) for name in (COPIES, CAUSAL))
    assert (still - still[:, :, :1]).abs().max() < 1e-5
    assert (moving - moving[:, :, :1]).abs().max() > 1e-3


def test_gradients_reach_every_weight(narrow: Make) -> None:
    model = narrow(COPIES)
    moments = model.encode(clip(8))
    assert isinstance(moments, GaussianLatents)
    model.decode(moments.sample()).square().mean().backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert not idle


def test_loads_onto_meta(narrow: Make) -> None:
    model = narrow(CAUSAL)
    empty = lay_out(lambda: VidTok(model.config))
    empty.load_state_dict(model.state_dict(), assign=True)
    with torch.inference_mode():
        assert empty.encode_latent(clip(1) * 0).equal(model.encode_latent(clip(1) * 0))


@pytest.mark.parametrize("name", ["vidtok-fsq-causal-488-4096", "vidtok-fsq-causal-488-4096-v1.1"])
def test_other_number_formats(narrow: Make, name: str) -> None:
    model = narrow(name).float()
    video = clip(5)
    with torch.inference_mode():
        exact = model.encode_latent(video)
        with torch.autocast("cpu", torch.bfloat16):
            indices = model.encode(video)
            assert isinstance(indices, Tensor)
            assert model.decode(indices).shape[1] == 3
            assert (model.encode_latent(video) - exact).abs().max() < 0.2
        model.bfloat16()
        assert model.encode_latent(video).dtype == torch.bfloat16
        assert model.decode(indices).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (CAUSAL, (1, 3, 6, 16, 16)),
        (CAUSAL, (1, 3, 0, 16, 16)),
        (CENTRED, (1, 3, 9, 16, 16)),
        (CAUSAL, (1, 3, 5, 12, 16)),
        (CAUSAL, (1, 3, 5, 16, 0)),
        (CAUSAL, (1, 4, 5, 16, 16)),
        (CAUSAL, (3, 5, 16, 16)),
    ],
)
def test_videos_that_are_refused(narrow: Make, name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        narrow(name).encode(torch.zeros(shape))


def test_tokens_that_are_refused(narrow: Make) -> None:
    for latents in (torch.zeros(1, 5, 2, 2, 2), torch.zeros(1, 4, 0, 2, 2), torch.zeros(4, 2, 2, 2)):
        with pytest.raises(ValueError, match=r"\[b, 4, t, h, w\]"):
            narrow(CAUSAL).decode(latents)
    for indices in (torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 4096), torch.zeros(1, 2, 2).long()):
        with pytest.raises(ValueError, match="ind"):
            narrow("vidtok-fsq-causal-488-4096").decode(indices)


def test_defaults_are_a_published_network() -> None:
    assert VidTokConfig() == VidTokConfig.from_name(CAUSAL)
