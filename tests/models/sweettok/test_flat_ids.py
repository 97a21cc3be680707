from __future__ import annotations

import pytest
import torch

from sweettok_cli.models.sweettok.flat_ids import from_flat, to_flat


def test_modifier_pairs_are_interleaved_and_heads_follow() -> None:
    spatial = torch.tensor([[[1, 2, 3], [4, 5, 6]]])
    temporal = torch.tensor([[[7, 8, 9]]])
    assert to_flat(spatial, temporal).tolist() == [[1, 2, 4, 5, 3, 6, 7, 8, 9]]


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("moving", [0, 7])
def test_there_and_back(batch: int, moving: int) -> None:
    spatial, temporal = torch.randint(99, (batch, 4, 3)), torch.randint(99, (batch, moving, 3))
    again = from_flat(to_flat(spatial, temporal), 4)
    assert again[0].equal(spatial)
    assert again[1].equal(temporal)


@pytest.mark.parametrize("tokens", [2, 5])
def test_length_must_fit(tokens: int) -> None:
    with pytest.raises(ValueError, match="three ids each"):
        from_flat(torch.zeros(1, 13, dtype=torch.int64), tokens)
