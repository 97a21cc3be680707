from __future__ import annotations

import torch

from sweettok_cli.models.common.gaussian import GaussianLatents


def test_moments() -> None:
    moments = torch.zeros(1, 4, 1, 1, 1)
    moments[0, :, 0, 0, 0] = torch.tensor([1.0, -2.0, 2 * torch.log(torch.tensor(3.0)).item(), -100.0])
    latents = GaussianLatents.from_moments(moments)
    assert latents.mean.flatten().tolist() == [1.0, -2.0]
    assert latents.std.flatten().allclose(torch.tensor([3.0, torch.exp(torch.tensor(-15.0)).item()]))


def test_samples_are_reproducible_and_have_the_moments() -> None:
    latents = GaussianLatents(torch.full((1, 1, 1, 200, 200), 5.0), torch.full((1, 1, 1, 200, 200), -2.0))
    first, second = (latents.sample(torch.Generator().manual_seed(1)) for _ in range(2))
    assert first.equal(second)
    assert abs(first.mean() - 5) < 0.01
    assert abs(first.std() - latents.std.mean()) < 0.01
