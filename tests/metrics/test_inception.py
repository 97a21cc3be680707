"""Inception-2015: published counts, names and sizes, and the two places where it is not torchvision's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sweettok_cli.metrics.inception import BlockA, BlockE, Inception2015, mean_of_neighbours


@pytest.fixture(scope="module")
def network() -> Inception2015:
    torch.manual_seed(0)
    return Inception2015().eval()


def test_it_has_the_published_number_of_parameters(network: Inception2015) -> None:
    """torchvision counts 27 161 264: less its classifier for 1000 classes and its second classifier."""
    assert sum(tensor.numel() for tensor in network.parameters()) == 27_161_264 - 2_049_000 - 3_326_696
    tensors = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    classifier = 4 * 1008 * 2049
    assert 0 < 95_628_359 - classifier - tensors < 200_000  # the published file


def test_names_are_the_published_ones(network: Inception2015) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert len([name for name in shapes if name.endswith(".conv.weight")]) == 94
    for name, shape in {
        "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3),
        "Conv2d_4a_3x3.bn.running_mean": (192,),
        "Mixed_5b.branch5x5_2.conv.weight": (64, 48, 5, 5),
        "Mixed_5d.branch_pool.conv.weight": (64, 288, 1, 1),
        "Mixed_6a.branch3x3dbl_3.conv.weight": (96, 96, 3, 3),
        "Mixed_6b.branch7x7_2.conv.weight": (128, 128, 1, 7),
        "Mixed_6e.branch7x7dbl_2.conv.weight": (192, 192, 7, 1),
        "Mixed_7a.branch7x7x3_4.conv.weight": (192, 192, 3, 3),
        "Mixed_7b.branch3x3_2a.conv.weight": (384, 384, 1, 3),
        "Mixed_7c.branch3x3dbl_3b.conv.weight": (384, 384, 3, 1),
        "Mixed_7c.branch3x3dbl_1.conv.weight": (448, 2048, 1, 1),
    }.items():
        assert shapes[name] == shape


@torch.inference_mode()
def test_stages_have_the_published_sizes(network: Inception2015) -> None:
    sizes = {}
    hooks = [
        layer.register_forward_hook(lambda _, __, out, name=name: sizes.update({name: tuple(out.shape[1:])}))
        for name, layer in network.named_children()
    ]
    assert network(torch.rand(1, 3, 299, 299) * 2 - 1).shape == (1, 2048)
    for hook in hooks:
        hook.remove()
    assert sizes["Conv2d_2b_3x3"] == (64, 147, 147)
    assert sizes["Conv2d_4a_3x3"] == (192, 71, 71)
    assert [sizes[f"Mixed_5{step}"] for step in "bcd"] == [(256, 35, 35), (288, 35, 35), (288, 35, 35)]
    assert {sizes[f"Mixed_6{step}"] for step in "abcde"} == {(768, 17, 17)}
    assert [sizes[f"Mixed_7{step}"] for step in "abc"] == [(1280, 8, 8), (2048, 8, 8), (2048, 8, 8)]


def test_means_leave_out_the_padding() -> None:
    means = mean_of_neighbours(torch.ones(1, 1, 4, 5))
    assert torch.equal(means, torch.ones(1, 1, 4, 5))
    block = BlockA(3, 8).eval()
    x = torch.rand(1, 3, 5, 5)
    counted = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    torch.testing.assert_close(block(x)[:, -8:], block.branch_pool(counted))


def test_only_the_last_block_takes_the_maximum(network: Inception2015) -> None:
    x = torch.rand(1, 3, 4, 4)
    for block, pooled in (
        (network.Mixed_7b, F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)),
        (network.Mixed_7c, F.max_pool2d(x, 3, 1, 1)),
    ):
        torch.testing.assert_close(block.pool(x), pooled)
    block = BlockE(3, network.Mixed_7c.pool).eval()
    torch.testing.assert_close(block(x)[:, -192:], block.branch_pool(F.max_pool2d(x, 3, 1, 1)))
    assert block(x).shape == (1, 2048, 4, 4)


@torch.inference_mode()
def test_the_features_are_the_mean_over_the_picture(network: Inception2015) -> None:
    last: list[torch.Tensor] = []
    hook = network.Mixed_7c.register_forward_hook(lambda *given: last.append(given[2]))
    features = network(torch.rand(2, 3, 107, 107))
    hook.remove()
    torch.testing.assert_close(features, last[0].flatten(2).mean(dim=2))
