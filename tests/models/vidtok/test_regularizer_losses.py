"""What training adds to VidTok's latents, against the definitions written down directly."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from sweettok_cli.models.common.gaussian import GaussianLatents
from sweettok_cli.models.vidtok import regularizers
from sweettok_cli.models.vidtok.regularizers import FiniteScalarQuantizer, entropy_weight


def test_entropies_are_those_of_a_softmax_over_all_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    quantizer = FiniteScalarQuantizer((4, 3))
    latents = (0.02 * torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(0))).requires_grad_()
    levels = [[(d - n // 2) / (n // 2) for d in range(n)] for n in (4, 3)]
    codes = torch.tensor([(a, b) for b, a in itertools.product(levels[1], levels[0])])
    assert torch.allclose(codes, quantizer.indices_to_codes(torch.arange(12)))
    chances = (200 * latents.flatten(0, 1) @ codes.T).softmax(-1)
    logs = chances.clamp(min=1e-5).log()
    mean = chances.mean(0)
    expected = -(chances * logs).sum(-1).mean(), -(mean * mean.clamp(min=1e-5).log()).sum()
    gradient = torch.autograd.grad(expected[0] - expected[1], latents)[0]
    for at_once in (1 << 24, 48, 1):  # all rows, four rows, a row at a time
        monkeypatch.setattr(regularizers, "_PROBABILITIES", at_once)
        found = quantizer.entropies(latents)
        assert [v.item() for v in found] == pytest.approx([v.item() for v in expected], rel=1e-5)
        assert torch.allclose(torch.autograd.grad(found[0] - found[1], latents)[0], gradient, atol=1e-4)
        assert gradient.abs().max() > 0.1


def test_the_loss_weighs_entropies_less_with_time() -> None:
    assert [entropy_weight(step) for step in (0, 500, 2000, 9999)] == pytest.approx([0.3, 0.25, 0.1, 0.1])
    quantizer = FiniteScalarQuantizer((8, 8))
    latents = 0.1 * torch.randn(2, 6, 2, generator=torch.Generator().manual_seed(1))
    single, together = quantizer.entropies(latents)
    codes = quantizer.digits_to_codes(quantizer.digits(latents))
    for step, weight in ((0, 0.3), (2000, 0.1)):
        expected = weight * (single - together) + 0.25 * F.mse_loss(latents, codes)
        assert quantizer.loss(latents, step).item() == pytest.approx(expected.item(), rel=1e-5)


def test_divergence_from_the_normal_distribution() -> None:
    moments = torch.randn(2, 4, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    latents = GaussianLatents.from_moments(moments)
    own = torch.distributions.Normal(latents.mean, latents.std)
    apart = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0))
    assert latents.divergence.item() == pytest.approx(apart.sum().item() / 2, rel=1e-5)
