"""The quantizer as the shipped network uses it: pairs of modifiers, idle words, gradients to the codes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_network import word_prior
from torch import Tensor

from sweettok_cli.models.sweettok.config import SweetTokConfig
from sweettok_cli.models.sweettok.quantizer import (
    LanguageQuantizer,
    best_pair,
    coverage,
    nearest,
)

SHIPPED = SweetTokConfig(code_dim=16, spatial_code=(4, 3), code_dropout=0.0, search=3, straight=1.0)


def quantizer(**changes: object) -> LanguageQuantizer:
    config = replace(SHIPPED, **changes)
    return LanguageQuantizer(word_prior().spatial, config, config.spatial_code)


def distance(z: Tensor, codes: Tensor, pair: Tensor) -> Tensor:
    """Squared distance of z [n, c] to the mean of each pair [n, 2]."""
    return (z - codes[pair].mean(dim=-2)).square().sum(-1)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), words=st.integers(3, 40), width=st.integers(1, 6), tries=st.integers(1, 3)
)
def test_pair_is_never_worse_than_the_two_nearest(seed: int, words: int, width: int, tries: int) -> None:
    random = torch.Generator().manual_seed(seed)
    codes, z = torch.randn(words, width, generator=random), torch.randn(50, width, generator=random)
    found = distance(z, codes, best_pair(z, codes, tries))
    assert (found <= distance(z, codes, nearest(z, codes, 2)) + 1e-5).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), words=st.integers(1, 12), width=st.integers(1, 5))
def test_trying_every_word_finds_the_best_of_all_pairs(seed: int, words: int, width: int) -> None:
    random = torch.Generator().manual_seed(seed)
    codes, z = torch.randn(words, width, generator=random), torch.randn(30, width, generator=random)
    pairs = torch.tensor(list(itertools.combinations_with_replacement(range(words), 2)))
    best = (z[:, None] - codes[pairs].mean(dim=1)).square().sum(-1).amin(-1)
    assert torch.allclose(distance(z, codes, best_pair(z, codes, words)), best, atol=1e-5)


def test_pairs_are_found_in_an_order_that_rounding_cannot_change() -> None:
    codes, z = torch.randn(20, 4), torch.randn(3, 700, 4)
    pair = best_pair(z, codes, 3)
    assert pair.shape == (3, 700, 2)
    assert (pair[..., 0] <= pair[..., 1]).all()
    assert best_pair(z + 1e-7 * torch.randn_like(z), codes, 3).equal(pair)


@pytest.mark.parametrize("search", [0, 3])
def test_ids_name_exactly_the_vectors(search: int) -> None:
    model = quantizer(search=search).eval()
    result = model(torch.randn(2, 600, 7))
    assert result.vectors.shape == (2, 600, 7)
    assert model.codes(result.ids).equal(result.vectors)
    codes = model.codebook()
    assert (codes.modifiers.shape, codes.heads.shape) == ((20, 4), (30, 3))
    assert (result.ids.amax(dim=(0, 1)) < torch.tensor(model.sizes)).all()


def test_searching_brings_codes_nearer() -> None:
    codes, z = 1.35 * torch.randn(200, 4), torch.randn(1000, 4)
    found, two_nearest = best_pair(z, codes, 3), nearest(z, codes, 2)
    assert distance(z, codes, found).mean() < 0.5 * distance(z, codes, two_nearest).mean()


def test_decoder_gradient_reaches_the_codes_by_its_share() -> None:
    z = torch.randn(2, 9, 7, requires_grad=True)
    wish = torch.randn(2, 9, 7)
    gradients = {}
    for share in (0.0, 0.5, 1.0):
        torch.manual_seed(1)
        model = quantizer(straight=share)
        z.grad = None
        (model(z).vectors * wish).sum().backward()
        assert z.grad is not None and z.grad.equal(wish)
        gradients[share] = model.to_head.weight.grad
    torch.manual_seed(1)
    model = quantizer()
    ids = model(z).ids
    (model.codes(ids) * wish).sum().backward()
    assert gradients[0.0] is None
    assert torch.allclose(gradients[1.0], model.to_head.weight.grad, atol=1e-6)
    assert torch.allclose(gradients[0.5], 0.5 * model.to_head.weight.grad, atol=1e-6)


def test_straight_gradients_leave_the_value_alone() -> None:
    model = quantizer()
    result = model(torch.randn(2, 9, 7))
    assert result.vectors.equal(model.codes(result.ids))


def test_coverage_falls_when_idle_words_move_to_the_data() -> None:
    z = torch.randn(4, 64, 3)
    codes = torch.cat([z[0, :20], 10 + torch.randn(20, 3)])
    far = coverage(codes, z)
    moved = codes.clone()
    moved[20:] = z[1, :20]
    assert coverage(moved, z) < 0.01 * far
    leaf = codes.clone().requires_grad_()
    coverage(leaf, z).backward()
    assert leaf.grad[:20].norm() < 0.1 * leaf.grad[20:].norm()
    with torch.no_grad():
        assert coverage(leaf - leaf.grad, z) < far


def test_coverage_is_part_of_learning_only() -> None:
    z = torch.randn(2, 64, 7)
    with_idle, without = quantizer(coverage_weight=1.0), quantizer()
    with_idle.load_state_dict(without.state_dict())
    assert with_idle(z).codebook_loss > without(z).codebook_loss + 0.01
    assert with_idle(z).commitment_loss.equal(without(z).commitment_loss)
    assert with_idle(z[:, :0]).codebook_loss == 0
    assert with_idle.eval()(z).codebook_loss.equal(without(z).codebook_loss)
    with_idle.freeze_codebook()
    assert with_idle.train()(z).codebook_loss.equal(without(z).codebook_loss)


def test_constant_codebook_is_kept_until_its_maps_change() -> None:
    model = quantizer().eval()
    with torch.no_grad():
        first = model.codebook()
        assert model.codebook() is first
        model.to_head.bias.add_(1)
        assert torch.allclose(model.codebook().heads, first.heads + 1)
        assert model.codebook().modifiers.equal(first.modifiers)
