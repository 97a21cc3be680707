"""The terms of the loss: zero where pictures agree, weighted as the recipe says, differentiable."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from sweettok_cli.training.losses.reconstruction import (
    mean_squared_error,
    reconstruction_losses,
    spectral_error,
    structural_similarity,
)
from sweettok_cli.training.recipe import Recipe


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    wanted = torch.rand(2, 3, 5, 16, 24, generator=generator) - 0.5
    return wanted + 0.1 * torch.randn(wanted.shape, generator=generator), wanted


def test_terms_are_weighted_and_named(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    made, wanted = pair
    recipe = Recipe(l1=2.0, l2=3.0, ssim=0.5, frequency=0.25)
    terms = reconstruction_losses(made, wanted, recipe)
    assert list(terms) == ["l1", "l2", "ssim", "frequency"]
    error = (made - wanted).numpy()
    assert terms["l1"].item() == pytest.approx(2 * np.abs(error).mean(), rel=1e-5)
    assert terms["l2"].item() == pytest.approx(3 * np.square(error).mean(), rel=1e-5)
    spectrum = np.abs(np.fft.rfft2(error, norm="ortho")).mean()
    assert terms["frequency"].item() == pytest.approx(0.25 * spectrum, rel=1e-4)
    assert list(reconstruction_losses(made, wanted, Recipe(l2=1.0))) == ["l2"]


def test_decibels_count_alike_whatever_the_error_of_a_frame(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    made, wanted = pair
    recipe = Recipe(l2=0.0, log_l2=2.0, log_floor=1e-3)
    of_frames = np.square((made - wanted).numpy()).mean(axis=(1, 3, 4))
    expected = 2 * np.log(of_frames + 1e-3).mean()
    assert reconstruction_losses(made, wanted, recipe)["log_l2"].item() == pytest.approx(expected, rel=1e-5)
    # The second clip is ten times as far off: its gain by a hundredth of its error is the first one's.
    error, fine = made - wanted, dataclasses.replace(recipe, log_floor=1e-12)
    far = wanted + error * torch.tensor([1.0, 10.0]).view(2, 1, 1, 1, 1)
    gains = [
        reconstruction_losses(far, wanted, fine)["log_l2"]
        - reconstruction_losses(far - 0.01 * (far - wanted) * which.view(2, 1, 1, 1, 1), wanted, fine)[
            "log_l2"
        ]
        for which in torch.eye(2)
    ]
    assert gains[0].item() == pytest.approx(gains[1].item(), rel=1e-2) and gains[0] > 0


def test_similarity_follows_its_definition(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    made, wanted = (v.double().numpy() + 0.5 for v in pair)
    values = []
    for y in range(0, 9, 4):
        for x in range(0, 17, 4):
            a, b = (v[..., y : y + 8, x : x + 8] for v in (made, wanted))
            axes = (-2, -1)
            mean_a, mean_b = a.mean(axes), b.mean(axes)
            cov = (a * b).mean(axes) - mean_a * mean_b
            values.append(
                (2 * mean_a * mean_b + 1e-4)
                * (2 * cov + 9e-4)
                / ((mean_a**2 + mean_b**2 + 1e-4) * (a.var(axes) + b.var(axes) + 9e-4))
            )
    assert structural_similarity(*pair).item() == pytest.approx(np.mean(values), abs=1e-5)
    assert structural_similarity(pair[1], pair[1]).item() == pytest.approx(1.0, abs=1e-6)


def test_gradients_are_finite_where_pictures_agree() -> None:
    made = torch.zeros(1, 3, 1, 8, 8, requires_grad=True)
    loss = (
        spectral_error(made, torch.zeros(1, 3, 1, 8, 8))
        + 1
        - structural_similarity(made, torch.zeros_like(made))
    )
    loss.backward()
    assert made.grad is not None and torch.isfinite(made.grad).all()


def test_loss_falls_along_its_gradient(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    made, wanted = pair
    made = made.clone().requires_grad_()
    recipe = Recipe(l1=1.0, l2=1.0, log_l2=1.0, ssim=1.0, frequency=1.0)
    before = torch.stack(list(reconstruction_losses(made, wanted, recipe).values())).sum()
    before.backward()
    assert made.grad is not None
    moved = (made - 10 * made.grad).detach()
    for name, value in reconstruction_losses(moved, wanted, recipe).items():
        assert value < reconstruction_losses(made, wanted, dataclasses.replace(recipe))[name]


def test_logged_error_is_that_of_the_shown_picture() -> None:
    wanted = torch.full((1, 3, 1, 2, 2), 0.5)
    assert mean_squared_error(wanted + 7, wanted).item() == 0
    assert mean_squared_error(wanted - 0.5, wanted).item() == 0.25
