from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sweettok_cli.models.common.attention import rotary_table, rotate
from sweettok_cli.models.common.linear import Linear, by_rows, only_evaluates

SHAPES = [(200, 24), (2, 130, 24), (1, 5, 8, 8, 24)]


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How often oneDNN was called."""
    calls: list[int] = []
    convolve = torch.mkldnn_convolution

    def count(*args: object) -> Tensor:
        calls.append(1)
        return convolve(*args)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "mkldnn_convolution", count)
        yield calls


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64") or not torch.backends.mkldnn.is_available(),
    reason="oneDNN is used on x86 processors",
)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_evaluation_is_the_same_sum(
    shape: tuple[int, ...], bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = Linear(24, 40, bias=bias)
    x = torch.randn(shape)
    with counted(monkeypatch) as calls, torch.inference_mode():
        for given in (x, torch.randn(*shape[:-1], 48)[..., ::2], x.flip(0).transpose(0, -2)):
            out = layer(given)
            assert torch.allclose(out, F.linear(given, layer.weight, layer.bias), atol=1e-5)
            assert out.is_contiguous()
    assert len(calls) == 3


def test_training_narrow_types_and_few_rows_stay_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = Linear(24, 40), torch.randn(200, 24)
    with counted(monkeypatch) as calls:
        layer(x).sum().backward()
        with torch.inference_mode():
            layer(x[:100])
            layer.double()(x.double())
            with torch.autocast("cpu", torch.bfloat16):
                assert layer.float()(x).dtype == torch.bfloat16
    assert not calls
    assert layer.weight.grad is not None


@pytest.mark.parametrize(("at_once", "largest"), [(1, 1), (7, 7), (40, 30), (60, 60), (1000, 60)])
def test_rows_are_mapped_in_even_parts(at_once: int, largest: int) -> None:
    layer, x = Linear(6, 10), torch.randn(3, 4, 5, 6)
    sizes = []

    def mapped(part: Tensor) -> Tensor:
        sizes.append(part.numel() // 6)
        return layer(part)

    with torch.no_grad():
        assert torch.allclose(by_rows(mapped, x, 10, 10 * at_once), layer(x), atol=1e-6)
        assert max(sizes) == largest
    sizes.clear()
    by_rows(mapped, x, 10, 10 * at_once)
    assert sizes == [60]  # a gradient would keep every part anyway


def test_only_what_needs_no_gradient_is_evaluated() -> None:
    x = torch.randn(2)
    assert not only_evaluates(x)
    with torch.no_grad():
        assert only_evaluates(x)
        assert not only_evaluates(x.bfloat16())
        assert not only_evaluates(x.to("meta"))


def test_rotation_by_complex_numbers_is_the_same() -> None:
    table = rotary_table(3, 5, 16, torch.device("cpu"))
    x = torch.randn(2, 15, 4, 16).transpose(1, 2)
    with torch.no_grad():
        assert torch.allclose(rotate(x, table), rotate(x.double(), table).float(), atol=1e-6)
    assert torch.allclose(rotate(x, table), rotate(x.double(), table).float(), atol=1e-6)
