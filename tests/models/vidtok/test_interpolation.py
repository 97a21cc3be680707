from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sweettok_cli.models.vidtok.memory import FrameDoubler, regroup


def resized(x: Tensor) -> Tensor:
    """Torch's own linear resizing of [b, t, h, w, c] in time."""
    volume = x.permute(0, 4, 1, 2, 3)
    return F.interpolate(volume, scale_factor=(2.0, 1.0, 1.0), mode="trilinear").permute(0, 2, 3, 4, 1)


def doubled(doubler: FrameDoubler, parts: list[Tensor], closed: bool) -> Tensor:
    return torch.cat(list(doubler.push(parts, closed)), 1)


@pytest.mark.parametrize("cut", [1, 2, 3, 5])
def test_the_first_latent_and_the_rest_are_resized_apart(cut: int) -> None:
    x = torch.randn(1, 8, 1, 2, 3)
    expected = torch.cat([resized(x[:, :2]), resized(x[:, 2:])], 1)
    assert doubled(FrameDoubler(2), list(x.split(cut, 1)), closed=True).allclose(expected, atol=1e-6)


def test_pushes_leave_no_trace_but_when_frames_come() -> None:
    x = torch.randn(1, 9, 1, 1, 2)
    whole = doubled(FrameDoubler(1), [x], closed=True)
    doubler = FrameDoubler(1)
    parts = [doubled(doubler, [part], closed=False) for part in (x[:, :1], x[:, 1:4], x[:, 4:9])]
    assert [part.shape[1] for part in parts] == [2, 4, 10]
    last = doubled(doubler, [], closed=True)
    assert torch.cat([*parts, last], 1).allclose(whole, atol=1e-6)


def test_regroup_keeps_order() -> None:
    x = torch.arange(12.0).reshape(1, 12, 1, 1, 1)
    pieces = [x[:, :5], x[:, 5:9], x[:, 9:11]]
    groups = [piece.flatten().tolist() for piece in regroup(pieces, 3, 2)]
    assert groups == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10]]
    assert [piece.shape[1] for piece in regroup(pieces[:2], None)] == [9]
