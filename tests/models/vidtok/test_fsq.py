from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sweettok_cli.models.vidtok.regularizers import FiniteScalarQuantizer


def to_indices(quantizer: FiniteScalarQuantizer, codes: Tensor) -> Tensor:
    middle = torch.tensor([n // 2 for n in quantizer.levels])
    return quantizer.digits_to_indices((codes.double() * middle).round().long() + middle)


@pytest.mark.parametrize("channels", [4, 5, 6])
def test_every_index_comes_back(channels: int) -> None:
    quantizer = FiniteScalarQuantizer((8,) * channels)
    indices = torch.arange(8**channels)
    codes = quantizer.indices_to_codes(indices)
    assert codes.shape == (8**channels, channels)
    assert set(codes[:, -1].tolist()) == {-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75}
    assert to_indices(quantizer, codes).equal(indices)
    assert codes.unique(dim=0).shape[0] == 8**channels


def test_first_channel_counts_least() -> None:
    quantizer = FiniteScalarQuantizer((8,) * 5)
    assert quantizer.digits_to_indices(torch.tensor([3, 1, 0, 0, 7])).item() == 3 + 8 + 7 * 8**4
    assert quantizer.indices_to_codes(torch.tensor(1)).tolist() == [-0.75, -1.0, -1.0, -1.0, -1.0]


def test_indices_that_float32_cannot_hold() -> None:
    quantizer = FiniteScalarQuantizer((8,) * 10)  # up to 2^30
    indices = torch.tensor([2**24 + 1, 2**30 - 1, 2**29 + 3])
    assert to_indices(quantizer, quantizer.indices_to_codes(indices)).equal(indices)


def test_halves_go_to_the_even_neighbour() -> None:
    quantizer = FiniteScalarQuantizer((8,) * 6)
    digits = quantizer.round_bounded(torch.tensor([-3.5, -2.5, -0.5, 0.5, 1.5, 2.5]))
    assert (digits - 4).tolist() == [-4, -2, 0, 0, 2, 2]


def test_zero_is_the_middle_and_far_values_are_the_ends() -> None:
    quantizer = FiniteScalarQuantizer((8,) * 3)
    assert quantizer.bound(torch.zeros(3)).abs().max() < 1e-6
    assert quantizer.digits(torch.tensor([-100.0, 0.0, 100.0])).tolist() == [0, 4, 7]


def test_bound_follows_its_formula() -> None:
    z = torch.linspace(-4, 4, 1001, dtype=torch.float64)
    half = 7 * 1.001 / 2
    expected = torch.tanh(z + math.atanh(0.5 / half)) * half - 0.5
    bounded = FiniteScalarQuantizer((8,)).bound(z.float()[:, None])[:, 0]
    assert (bounded - expected).abs().max() < 2e-6


def test_odd_levels() -> None:
    quantizer = FiniteScalarQuantizer((5, 3))
    indices = torch.arange(15)
    assert to_indices(quantizer, quantizer.indices_to_codes(indices)).equal(indices)
    assert quantizer.digits(torch.tensor([[-9.0, -9.0], [0.0, 0.0], [9.0, 9.0]])).tolist() == [
        [0, 0],
        [2, 1],
        [4, 2],
    ]


def test_half_precision_latents_are_bounded_in_float32() -> None:
    quantizer = FiniteScalarQuantizer((8,) * 4)
    z = torch.randn(1000, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert quantizer.bound(z).dtype == torch.float32
        assert quantizer.digits(z).equal(quantizer.digits(z.float()))


@pytest.mark.parametrize("index", [-1, 4096])
def test_index_out_of_range(index: int) -> None:
    with pytest.raises(ValueError, match=r"0\.\.4095"):
        FiniteScalarQuantizer((8,) * 4).indices_to_codes(torch.tensor([0, index]))
