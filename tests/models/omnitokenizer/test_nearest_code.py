from __future__ import annotations

import pytest
import torch

from sweettok_cli.models.omnitokenizer.quantizer import NearestCode


@pytest.mark.parametrize("shape", [(0,), (1,), (256,), (257,), (2, 3, 100)])
def test_nearest_is_the_nearest(shape: tuple[int, ...]) -> None:
    code = NearestCode(50, 4)
    code.embeddings.mul_(0.5 + torch.rand(50, 1))  # rows of unequal length, as training makes them
    z = torch.randn(*shape, 4)
    indices = code.nearest(z)
    assert indices.shape == shape
    assert indices.dtype == torch.int64
    distances = torch.cdist(z.reshape(-1, 4).double(), code.embeddings.double())
    assert indices.flatten().equal(distances.argmin(-1))


def test_rows_are_compared_as_they_are() -> None:
    code = NearestCode(2, 2)
    code.embeddings.copy_(torch.tensor([[9.0, 0.0], [0.6, 0.6]]))
    assert (
        code.nearest(torch.tensor([1.0, 0.0])).item() == 1
    )  # normalised, the first would be the same vector


def test_the_first_of_equal_codes_wins() -> None:
    code = NearestCode(300, 8)
    code.embeddings[100:200] = code.embeddings[:100]
    code.embeddings[200:] = code.embeddings[:100]
    assert code.nearest(code.embeddings[200:]).equal(torch.arange(100))


def test_distances_are_float32_under_autocast() -> None:
    code = NearestCode(4096, 8)
    z = torch.randn(500, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert code.nearest(z).equal(code.nearest(z.clone()))
        under_autocast = code.nearest(z)
    assert under_autocast.equal(code.nearest(z))


def test_gradient_passes_straight_and_the_loss_pulls_the_latents() -> None:
    code = NearestCode(20, 4)
    z = torch.randn(2, 5, 4, requires_grad=True)
    coded = code(z)
    assert coded.vectors.equal(code.codes(coded.indices))
    coded.vectors.sum().backward(retain_graph=True)
    assert z.grad is not None
    assert z.grad.equal(torch.ones_like(z))
    z.grad = None
    coded.loss.backward()
    pull = 0.25 * 2 * (z - coded.vectors).detach() / z.numel()
    assert torch.allclose(z.grad, pull)
    assert not any(parameter.requires_grad for parameter in code.parameters())
