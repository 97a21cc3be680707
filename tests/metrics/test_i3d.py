"""The I3D: published counts and names, and its layers against a computation written down plainly."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.metrics.i3d import I3D, LEAST_FRAMES, MIXED, Mixed, Pool, Unit, same_padding


@pytest.fixture(scope="module")
def network() -> I3D:
    torch.manual_seed(0)
    return I3D().eval()


def shaken(layer: nn.Module) -> nn.Module:
    """With normalisation that does something."""
    for tensor in layer.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 0.6)
    return layer.eval()


def padded(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """TensorFlow's rule, from the number of outputs."""
    for axis in range(3):
        side = x.shape[2 + axis]
        total = max((math.ceil(side / stride[axis]) - 1) * stride[axis] + kernel[axis] - side, 0)
        shape = list(x.shape)
        shape[2 + axis] = total // 2
        before = torch.zeros(shape)
        shape[2 + axis] = total - total // 2
        x = torch.cat([before, x, torch.zeros(shape)], dim=2 + axis)
    return x


def test_it_has_the_published_number_of_parameters(network: I3D) -> None:
    assert sum(tensor.numel() for tensor in network.parameters()) == 12_697_264
    tensors = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    assert 0 < 50_939_526 - tensors < 100_000  # the published file: its tensors and their names


def test_names_are_the_published_ones(network: I3D) -> None:
    names = set(network.state_dict())
    parts = {name.split(".")[0] for name in names}
    assert parts == {"Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3", "logits", *MIXED}
    assert {name for name in names if name.startswith("logits")} == {
        "logits.conv3d.weight",
        "logits.conv3d.bias",
    }
    inner = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    unit = {"conv3d.weight", *(f"bn.{name}" for name in inner)}
    branches = ("b0", "b1a", "b1b", "b2a", "b2b", "b3b")
    expected = {f"Mixed_4b.{branch}.{name}" for branch in branches for name in unit}
    assert {name for name in names if name.startswith("Mixed_4b")} == expected
    assert network.Mixed_5c.b1b.conv3d.weight.shape == (384, 192, 3, 3, 3)
    assert network.Conv3d_1a_7x7.conv3d.weight.shape == (64, 3, 7, 7, 7)


@pytest.mark.parametrize("shape", [(9, 16, 15), (8, 7, 10), (1, 5, 4)])
@pytest.mark.parametrize(
    ("kernel", "stride"), [((7, 7, 7), (2, 2, 2)), ((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (1, 1, 1))]
)
def test_padding_is_tensorflows(
    shape: tuple[int, ...], kernel: tuple[int, int, int], stride: tuple[int, int, int]
) -> None:
    x = torch.rand(1, 2, *shape)
    assert torch.equal(same_padding(x, kernel, stride), padded(x, kernel, stride))


def test_a_unit_is_convolution_normalisation_and_relu() -> None:
    unit = shaken(Unit(2, 3, (3, 3, 3), (2, 1, 2)))
    x = torch.randn(1, 2, 4, 5, 6)
    state = unit.state_dict()
    y = F.conv3d(padded(x, (3, 3, 3), (2, 1, 2)), state["conv3d.weight"], stride=(2, 1, 2))

    def channelwise(name: str) -> Tensor:
        return state[f"bn.{name}"][:, None, None, None]

    y = (y - channelwise("running_mean")) / (channelwise("running_var") + 1e-5).sqrt()
    expected = (y * channelwise("weight") + channelwise("bias")).clamp(min=0)
    assert expected.shape == (1, 3, 2, 5, 3)
    torch.testing.assert_close(unit(x), expected)


def test_a_mixed_block_joins_its_branches_in_order() -> None:
    block = shaken(Mixed(4, (1, 2, 3, 2, 2, 5)))
    x = torch.rand(1, 4, 3, 4, 4)
    pooled = F.max_pool3d(padded(x, (3, 3, 3), (1, 1, 1)), 3, 1)
    expected = [
        block.b0(x),
        block.b1b(block.b1a(x)),
        block.b2b(block.b2a(x)),
        block.b3b(pooled),
    ]
    assert [part.shape[1] for part in expected] == [1, 3, 2, 5]
    torch.testing.assert_close(block(x), torch.cat(expected, dim=1))
    torch.testing.assert_close(Pool((3, 3, 3), (1, 1, 1))(x), pooled)


@torch.inference_mode()
def test_logits_are_means_over_time(network: I3D) -> None:
    """Seventeen frames leave three steps, of which the last pooling makes two."""
    last: list[Tensor] = []
    hook = network.Mixed_5c.register_forward_hook(lambda *given: last.append(given[2]))
    logits = network(torch.rand(1, 3, 17, 224, 224) * 2 - 1)
    hook.remove()
    assert logits.shape == (1, 400)
    assert last[0].shape == (1, 1024, 3, 7, 7)
    steps = last[0].mean(dim=(3, 4), keepdim=True)
    pairs = (steps[:, :, :-1] + steps[:, :, 1:]) / 2
    torch.testing.assert_close(logits, network.logits(pairs).mean(dim=2).flatten(1), rtol=1e-5, atol=1e-7)


@torch.inference_mode()
def test_layers_are_in_the_published_order(network: I3D) -> None:
    order = [name for name, _ in network.named_children()]
    assert [name for name in order if "Pool" in name] == [
        "MaxPool3d_2a_3x3",
        "MaxPool3d_3a_3x3",
        "MaxPool3d_4a_3x3",
        "MaxPool3d_5a_2x2",
    ]
    assert order.index("MaxPool3d_4a_3x3") == order.index("Mixed_3c") + 1
    assert order.index("MaxPool3d_5a_2x2") == order.index("Mixed_4f") + 1


@torch.inference_mode()
def test_the_shortest_clip_has_nine_frames(network: I3D) -> None:
    video = torch.rand(1, 3, LEAST_FRAMES, 224, 224)
    assert network(video).shape == (1, 400)
    with pytest.raises(RuntimeError):
        network(video[:, :, : LEAST_FRAMES - 1])
