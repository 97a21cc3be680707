"""Levels of detail: tokens for cells that need them, each removing what it says it does."""

from __future__ import annotations

import copy
import dataclasses
import math

import pytest
import torch
from small_levels import busy_clips, levelled
from small_network import small_config, word_prior
from torch import Tensor

from sweettok_cli.models.sweettok.growth import start_detail
from sweettok_cli.models.sweettok.network import Choice, SweetTok
from sweettok_cli.models.sweettok.quantizer import Quantized


@pytest.fixture(scope="module")
def network() -> SweetTok:
    return levelled()


def chosen(network: SweetTok, video: Tensor, price: float) -> tuple[Tensor, Tensor, Choice, Tensor]:
    """Ids of all tokens, what is chosen at a price, and what is decoded of columns alone."""
    assert network.detail is not None
    spatial, temporal = network.encode(video)
    energy = network.motion_energy(network.quantize_temporal.codes(temporal))
    present = energy >= price * network.motion_bits
    height, width = video.shape[-2:]
    plain = network.decode(spatial, temporal, height, width, video.shape[2], Choice(present))
    tokens = network.detail.tokens(video - plain, price)
    return spatial, temporal, Choice(present, tokens.ids, (tokens.removed > 0).sum(-1)), plain


def test_growing_leaves_the_network_as_it_was(network: SweetTok) -> None:
    plain = SweetTok(small_config(), word_prior())
    state = network.state_dict()
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    video = busy_clips(2)
    with torch.no_grad():
        assert torch.equal(plain.eval()(video).reconstruction, network(video).reconstruction)


def test_samples_are_encoded_once_to_begin_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips and their first frames; the mean of the tokens stands for those that are absent."""
    torch.manual_seed(2)
    model, seen, quantize = SweetTok(small_config(levels=2), word_prior()).eval(), [], SweetTok.quantize

    def counted(self: SweetTok, video: Tensor) -> tuple[Quantized, Quantized]:
        found = quantize(self, video)
        seen.append((*video.shape[:1], *video.shape[2:3], found[1].vectors))
        return found

    monkeypatch.setattr(SweetTok, "quantize", counted)
    start_detail(model, busy_clips(9))  # more than go through the network at once
    assert [(clips, frames) for clips, frames, _ in seen] == [(8, 17), (1, 17), (8, 1), (1, 1)]
    assert model.detail is not None
    mean = torch.cat([vectors.flatten(0, 1) for _, frames, vectors in seen if frames > 1]).mean(0)
    assert torch.equal(model.detail.absent, mean) and mean.any()


@torch.no_grad()
def test_tokens_remove_the_error_that_they_say(network: SweetTok) -> None:
    assert network.detail is not None
    video, price = busy_clips(2), float(network.detail.price) / 4
    spatial, temporal, choice, plain = chosen(network, video, price)
    assert choice.counts is not None and choice.detail is not None
    assert choice.counts.sum() > 20 and choice.counts.max() > 1 and (choice.counts == 0).any()
    tokens = network.detail.tokens(video - plain, price)
    made = network.decode(spatial, temporal, 64, 64, 17, choice)
    removed = (video - plain).square().sum() - (video - made).square().sum()
    # The filter across patch borders, which is the identity at the start, comes after.
    assert removed.item() == pytest.approx(tokens.removed.sum().item(), rel=1e-4)
    assert (tokens.removed[tokens.removed > 0] >= price * network.detail.bits).all()


@torch.no_grad()
def test_detail_goes_where_it_is_needed(network: SweetTok) -> None:
    assert network.detail is not None
    counts = chosen(network, busy_clips(3), float(network.detail.price) / 8)[2].counts
    assert counts is not None
    assert counts[..., 4:].sum() > 3 * counts[..., :4].sum()


@torch.no_grad()
def test_a_lower_price_buys_more_and_leaves_less(network: SweetTok) -> None:
    assert network.detail is not None
    video, price = busy_clips(2), float(network.detail.price)
    errors, numbers = [], []
    for factor in (4.0, 1.0, 0.25):
        spatial, temporal, choice, _ = chosen(network, video, factor * price)
        assert choice.counts is not None
        numbers.append(int(choice.counts.sum() + choice.present.sum()))
        made = network.decode(spatial, temporal, 64, 64, 17, choice)
        errors.append((video - made).square().mean().item())
    assert numbers == sorted(set(numbers)) and errors == sorted(errors, reverse=True)


@torch.no_grad()
def test_the_usual_price_buys_about_as_many_bits_as_without_levels(network: SweetTok) -> None:
    assert network.detail is not None
    _, temporal, choice, _ = chosen(network, busy_clips(), float(network.detail.price))
    assert choice.counts is not None
    bits = network.motion_bits * choice.present.sum() + network.detail.bits * choice.counts.sum()
    assert float(bits / (network.motion_bits * temporal[..., 0].numel())) == pytest.approx(1, rel=0.3)


@torch.no_grad()
def test_training_sees_what_encoding_and_decoding_do(network: SweetTok) -> None:
    for video in (busy_clips(2), busy_clips(2)[:, :, :1]):
        # A price of each clip's own: as many times the usual one as the factor says.
        output = network(video, factor=torch.full((2,), 0.5))
        for index in range(2):
            clip = video[index : index + 1]
            _, temporal, _, plain = chosen(network, clip, math.inf)
            if clip.shape[2] > 1:
                energy = network.motion_energy(network.quantize_temporal.codes(temporal))
                usual = network.usual_price(energy)
            else:
                usual = network.detail.usual_price(clip - plain)
            spatial, temporal, choice, _ = chosen(network, clip, 0.5 * float(usual))
            assert choice.counts is not None
            made = network.decode(spatial, temporal, 64, 64, clip.shape[2], choice)
            assert torch.allclose(output.reconstruction[index], made[0], atol=1e-5)
            assert output.refined.tokens[index] == 16 + choice.present.sum() + choice.counts.sum()


@torch.no_grad()
def test_an_infinite_factor_is_the_published_layout(network: SweetTok) -> None:
    for video, tokens in ((busy_clips(2), 16 + 64), (busy_clips(2)[:, :, :1], 16)):
        output = network(video, factor=torch.full((2,), torch.inf))
        assert torch.equal(output.reconstruction, network(video).reconstruction)
        assert output.refined.tokens.tolist() == [tokens] * 2


@torch.no_grad()
def test_images_have_detail_in_their_one_frame(network: SweetTok) -> None:
    assert network.detail is not None
    image = busy_clips(2)[:, :, :1]
    spatial, temporal, choice, plain = chosen(network, image, float(network.detail.price) / 16)
    assert choice.counts is not None and choice.counts.shape == (2, 1, 8, 8) and choice.counts.sum()
    made = network.decode(spatial, temporal, 64, 64, 1, choice)
    assert (image - made).square().mean() < (image - plain).square().mean()


def test_gradients_reach_the_levels_and_the_network_below(network: SweetTok) -> None:
    learning = copy.deepcopy(network).train()
    assert learning.detail is not None
    video = busy_clips(2)
    output = learning(video, factor=torch.tensor([0.02, 3.0]))
    loss = (output.reconstruction - video).square().mean()
    loss.backward()
    for level in (learning.detail.first[0], learning.detail.later[0]):
        for parameter in (level.codes, level.basis, level.mean):
            assert parameter.grad.abs().sum() > 0
    assert learning.detail.absent.grad.abs().sum() > 0
    assert learning.pre_vq_spatial.weight.grad.abs().sum() > 0


def test_levels_need_anchors_and_pixels() -> None:
    for changes in (
        {"proxy_codes": 64},
        {"queries": "flattened"},
        {"anchored": False, "motion": "differences"},
    ):
        with pytest.raises(ValueError, match="levels"):
            dataclasses.replace(small_config(levels=2), **changes)
