"""The perceptual term: one random frame of each sample, and what happens where its network cannot be had."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import sha256_file
from sweettok_cli.metrics import convnext
from sweettok_cli.metrics.convnext import ConvNeXt, LogitDistance
from sweettok_cli.metrics.network_files import CONVNEXT_SMALL
from sweettok_cli.training.losses import perceptual
from sweettok_cli.training.losses.perceptual import perceptual_distance, perceptual_loss
from sweettok_cli.training.recipe import Recipe


class Seen(nn.Module):
    """Keeps the pictures that it is given."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        self.pairs = first, second
        return F.l1_loss(first, second)


def test_one_frame_of_each_sample_is_compared_and_the_same_of_both() -> None:
    wanted = torch.arange(5.0).div(10)[None, None, :, None, None].expand(64, 3, 5, 2, 2) - 0.3
    made = (wanted + 0.4).requires_grad_()
    seen = Seen()
    torch.manual_seed(0)
    perceptual_loss(seen, made, wanted).backward()
    first, second = seen.pairs
    assert second.unique().tolist() == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.6], abs=1e-6)
    assert torch.allclose(first, (second + 0.4).clamp(max=1))
    assert made.grad is not None
    per_frame = made.grad.abs().sum(dim=(1, 3, 4))
    assert ((per_frame > 0).sum(dim=1) <= 1).all() and per_frame.sum() > 0
    torch.manual_seed(0)
    perceptual_loss(seen, made, wanted)
    assert torch.equal(seen.pairs[1], second), "the frames follow from the seed"


def test_logits_are_compared_at_the_published_size() -> None:
    torch.manual_seed(0)
    network = ConvNeXt((8, 12), (1, 2)).eval()
    distance = LogitDistance(network)
    one, two = torch.rand(2, 2, 3, 40, 56)
    shift, scale = (torch.tensor(v)[:, None, None] for v in (convnext.MEAN, convnext.DEVIATION))
    logits = [
        network((F.interpolate(p, (224, 224), mode="bilinear", antialias=True) - shift) / scale)
        for p in (one, two)
    ]
    assert logits[0].shape == (2, 1000)
    assert distance(one, two).item() == pytest.approx(F.mse_loss(*logits).item(), rel=1e-4)
    assert distance(one, one).item() == 0


def test_the_classifier_is_the_published_network() -> None:
    """Parameters of torchvision's ``convnext_small`` and some of their names."""
    with torch.device("meta"):
        state = ConvNeXt().state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == 50_223_688
    assert state["features.5.26.block.3.weight"].shape == (1536, 384)
    assert state["features.5.26.layer_scale"].shape == (384, 1, 1)
    assert state["features.6.1.weight"].shape == (768, 384, 2, 2)
    assert state["classifier.2.weight"].shape == (1000, 768)


RECIPE = Recipe(perceptual=0.1)


@pytest.fixture(autouse=True)
def nothing_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_where_there_is_no_network_the_recipe_decides() -> None:
    said: list[str] = []
    with pytest.raises(SweettokError, match=r"--set features=.*--set without_features=train") as error:
        perceptual_distance(RECIPE, torch.device("cpu"), warn=said.append)
    assert "--features" not in str(error.value) and said == []
    without = dataclasses.replace(RECIPE, without_features="train")
    assert perceptual_distance(without, torch.device("cpu"), warn=said.append) is None
    assert len(said) == 1 and said[0].startswith("training without the perceptual term: convnext_small")


def test_files_are_found_by_folder_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network, file = ConvNeXt((8, 12), (1, 1)), tmp_path / CONVNEXT_SMALL.name
    torch.save(network.state_dict(), file)
    recipe = dataclasses.replace(RECIPE, features=str(tmp_path))
    with pytest.raises(SweettokError, match="is not the published convnext_small"):
        perceptual_distance(recipe, torch.device("cpu"), print)
    pinned = dataclasses.replace(CONVNEXT_SMALL, sha256=sha256_file(file))
    monkeypatch.setattr(perceptual, "CONVNEXT_SMALL", pinned)
    monkeypatch.setattr(convnext, "ConvNeXt", lambda: ConvNeXt((8, 12), (1, 1)))
    distance = perceptual_distance(recipe, torch.device("cpu"), print)
    assert distance is not None and not distance.training
    assert not any(p.requires_grad for p in distance.parameters())
    video = torch.rand(2, 3, 1, 32, 32) - 0.5
    assert perceptual_loss(distance, video, video).item() == 0


def test_samples_too_small_for_lpips_are_refused() -> None:
    small = dataclasses.replace(RECIPE, perceptual_network="lpips-vgg", crop=[[8.0, 1.0, 1.0]])
    with pytest.raises(SweettokError, match="lpips-vgg needs samples of at least 16 pixels, and crop has"):
        perceptual_distance(small, torch.device("cpu"), print)
