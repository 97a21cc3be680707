"""The terms of two players: their values, whom their gradients reach, and averages that are kept."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from sweettok_cli.training.losses.adversarial import (
    Adversary,
    LeCam,
    adaptive_weight,
    feature_matching,
    hinge,
    linear,
    non_saturating,
)
from sweettok_cli.training.recipe import Recipe


class Judge(nn.Module):
    """Two stages: the mean colour times a weight, and the sum of that."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, video: Tensor) -> list[Tensor]:
        features = self.weight * video.mean(dim=(2, 3, 4))
        return [features, features.sum(dim=1, keepdim=True)]


def test_hinge_is_zero_for_logits_beyond_one() -> None:
    assert hinge(torch.tensor([2.0, 1.0]), torch.tensor([-1.0, -5.0])).item() == 0
    assert hinge(torch.tensor([0.5]), torch.tensor([0.25])).item() == 0.5 * (0.5 + 1.25)
    assert linear(torch.tensor([1.0, 2.0])).item() == -1.5


def test_non_saturating_is_the_cross_entropy_of_each_samples_mean() -> None:
    logits = torch.tensor([[[0.0, 2.0]], [[-3.0, -1.0]]])
    expected = -sum(math.log(1 / (1 + math.exp(-mean))) for mean in (1.0, -2.0)) / 2
    assert non_saturating(logits).item() == pytest.approx(expected, rel=1e-6)


def test_features_are_matched_without_the_logits() -> None:
    real, fake = (
        [torch.full((2,), x), torch.full((3,), 2 * x), torch.full((1,), 99 * x)] for x in (1.0, 3.0)
    )
    assert feature_matching(real, fake).item() == 2 + 4
    leaf = torch.ones(2, requires_grad=True)
    assert not feature_matching([leaf, leaf], [torch.zeros(2), leaf]).requires_grad, "real ones do not follow"


def test_adaptive_weight_is_the_ratio_of_gradients() -> None:
    last = nn.Parameter(torch.tensor([1.0, 2.0]))
    assert adaptive_weight((6 * last).sum(), (2 * last).sum(), last).item() == pytest.approx(3, rel=1e-3)
    assert adaptive_weight((9e9 * last).sum(), (0 * last).sum(), last).item() == 1e4


@pytest.mark.parametrize("each", [False, True])
def test_averages_of_logits_are_kept_and_saved(each: bool) -> None:
    lecam = LeCam(decay=0.9, each=each)
    real, fake = torch.tensor([1.0, 3.0], requires_grad=True), torch.tensor([-1.0, 0.0])
    penalty = lecam(real, fake)
    assert lecam.state_dict() == {"real": pytest.approx(0.2), "fake": pytest.approx(-0.05)}
    if each:  # the averages have taken the logits in
        assert penalty.item() == pytest.approx((1.05**2 + 3.05**2) / 2 + (1.2**2 + 0.2**2) / 2)
    else:
        assert penalty.item() == pytest.approx(2.0**2 + 0.5**2)
    penalty.backward()
    assert real.grad is not None and real.grad.abs().min() > 0
    again = LeCam(decay=0.9, each=each)
    again.load_state_dict(lecam.state_dict())
    assert again(real, fake).item() == lecam(real, fake).item() != penalty.item()


def test_one_judgement_teaches_both_sides_their_own() -> None:
    adversary = Adversary(
        Judge(), Recipe(adversarial=0.1, feature_matching=0.2, discriminator=0.5, lecam=0.01)
    )
    wanted = torch.full((2, 3, 1, 2, 2), 0.25)
    made = torch.zeros(2, 3, 1, 2, 2, requires_grad=True)
    of_decoder, own = adversary(made, wanted)
    assert list(of_decoder) == ["adversarial", "features"] and list(own) == ["hinge", "lecam"]
    assert of_decoder["features"].item() == pytest.approx(0.2 * 0.125)
    assert own["hinge"].item() == pytest.approx(0.5 * 0.5 * (1 - 0.375 + 1))
    assert own["lecam"].item() == pytest.approx(0.01 * 0.375**2)
    adversary.lecam = None
    plain = Adversary(Judge(), Recipe(adversarial=0.1))
    assert [list(terms) for terms in plain(made, wanted)] == [["adversarial"], ["hinge"]]
