"""What a stage begins with: a new network, layers of later frames, continuous latents."""

from __future__ import annotations

import torch
from small_omni import clip, network
from torch import nn

from sweettok_cli.models.omnitokenizer.config import PRESETS, describe_config, make_config
from sweettok_cli.models.omnitokenizer.initialise import as_continuous, spread_over_time, start_small
from sweettok_cli.models.omnitokenizer.network import OmniTokenizer


def test_what_stands_still_is_embedded_and_painted_as_the_first_frame() -> None:
    model = network()
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    spread_over_time(model)
    still = clip(2, 1, 32, 64).expand(-1, -1, 9, -1, -1)
    with torch.inference_mode():
        embedded = model.encoder.embed(still)
        assert torch.allclose(embedded, embedded[:, :1].expand_as(embedded), atol=1e-5)
        painted = model.decoder.to_pixels(embedded)
        assert torch.allclose(painted, painted[:, :, :1].expand_as(painted), atol=1e-5)
        assert painted.std(dim=(-1, -2)).min() > 0


def test_moving_frames_are_embedded_by_their_mean() -> None:
    """Channels stay apart: the published layout has red learn from green."""
    model = network()
    first, later = model.encoder.embed_first_frame, model.encoder.embed_later_frames
    spread_over_time(model)
    video = clip(1, 5, 32, 32)
    with torch.inference_mode():
        group = video[:, :, 1:]
        mean = first.project.weight @ torch.stack([patch_of(group[:, :, frame]) for frame in range(4)]).mean(
            0
        )
        found = later.project.weight @ group[0, :, :, :8, :8].flatten()
    assert torch.allclose(found, mean, atol=1e-5)


def patch_of(frame: torch.Tensor) -> torch.Tensor:
    return frame[0, :, :8, :8].flatten()


def test_continuous_latents_take_the_place_of_codes() -> None:
    model = network()
    made = as_continuous(model)
    assert made.config.regularizer == "kl" and made.pre_vq.weight.shape == (16, 32)
    before, after = model.state_dict(), made.state_dict()
    kept = before.keys() & after.keys() - {"pre_vq.weight", "pre_vq.bias"}
    assert before.keys() - kept == {"pre_vq.weight", "pre_vq.bias", "codebook.embeddings"}
    assert all(torch.equal(before[name], after[name]) for name in kept)
    output = made.train()(clip(2, 5, 32, 32))
    assert output.indices is None and output.reconstruction.shape == (2, 3, 5, 32, 32)
    (output.reconstruction.square().mean() + 1e-6 * output.loss).backward()
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_means_are_decoded_where_nothing_is_trained() -> None:
    made = as_continuous(network()).eval()
    video = clip(1, 5, 32, 32)
    with torch.inference_mode():
        one, two = made(video), made(video)
        assert torch.equal(one.reconstruction, two.reconstruction)
        found = made.distribution(video)
        assert torch.equal(one.reconstruction, made.decode(found.mean))
        assert found.mean.shape == (1, 8, 2, 4, 4)
        drawn = made.train()(video).reconstruction
        assert not torch.equal(drawn, one.reconstruction)


def test_linear_layers_of_a_new_network_are_small() -> None:
    model = start_small(network())
    layers = [
        m for part in (model.encoder, model.decoder) for m in part.modules() if isinstance(m, nn.Linear)
    ]
    assert all(abs(layer.weight.std().item() - 0.02) < 0.002 for layer in layers)
    assert all(layer.bias is None or not layer.bias.any() for layer in layers)
    assert model.post_vq.weight.std() > 0.1


def test_configurations_survive_their_table() -> None:
    for name, preset in PRESETS.items():
        assert make_config({"preset": name}) == preset
        table = describe_config(preset)
        assert table == {"preset": name} and make_config(table) == preset
    other = make_config({"preset": "omnitokenizer-small", "codes": 99, "regularizer": "kl"})
    assert make_config(describe_config(other)) == other
    assert isinstance(OmniTokenizer(PRESETS["omnitokenizer-small"]), nn.Module)
