"""Random numbers of a batch: the same whatever was drawn before, and each process' part of what one draws."""

from __future__ import annotations

import pytest
import torch

from sweettok_cli.models.common.gaussian import GaussianLatents
from sweettok_cli.training import collective, draws


def drawn(number: int, samples: int) -> list[torch.Tensor]:
    draws.begin(7, number)
    like = torch.zeros(samples, 3, 5)
    latents = GaussianLatents(like, like).sample()
    return [draws.normal_like(like), draws.integers(17, samples), torch.rand(4), latents]


def test_they_are_a_function_of_seed_and_number() -> None:
    first, second = drawn(3, 4), drawn(4, 4)
    torch.rand(11)
    assert all(map(torch.equal, first, drawn(3, 4)))
    assert not any(map(torch.equal, first, second))


def test_processes_draw_parts_of_what_one_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = drawn(0, 6)
    monkeypatch.setattr(collective, "processes", lambda: 3)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(collective, "rank", lambda rank=rank: rank)
        parts.append(drawn(0, 2))
    for place in (0, 1, 3):
        assert torch.equal(whole[place], torch.cat([part[place] for part in parts]))
    assert all(torch.equal(whole[2], part[2]) for part in parts), "what is of no sample is the same for all"
