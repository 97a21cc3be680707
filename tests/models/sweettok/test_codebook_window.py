"""Use and perplexity over a sliding window."""

from __future__ import annotations

import math

import pytest
import torch

from sweettok_cli.models.sweettok.codebook_window import CodebookWindow

SIZES = {"spatial": [4, 4, 8], "temporal": [2, 2, 5]}


def ids(*tokens: tuple[int, int, int]) -> torch.Tensor:
    return torch.tensor(tokens, dtype=torch.int64).reshape(1, len(tokens), 3)


def test_figures_count_both_modifiers_and_the_head() -> None:
    use = CodebookWindow(SIZES, 10, torch.device("cpu"))
    use.add({"spatial": ids((0, 1, 7), (0, 3, 7)), "temporal": ids((1, 0, 4), (0, 1, 2))})
    figures = use.figures()
    assert set(figures) == {"spatial_modifier", "spatial_head", "temporal_modifier", "temporal_head"}
    entropy = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25))
    assert figures["spatial_modifier"] == {"use": 0.75, "perplexity": round(math.exp(entropy), 1)}
    assert figures["spatial_head"] == {"use": 0.125, "perplexity": 1.0}
    assert figures["temporal_modifier"] == {"use": 1.0, "perplexity": 2.0}
    assert figures["temporal_head"] == {"use": 0.4, "perplexity": 2.0}


def test_window_forgets() -> None:
    use = CodebookWindow(SIZES, 2, torch.device("cpu"))
    for head in (1, 2, 3):
        use.add({"spatial": ids((0, 1, head)), "temporal": ids()})
    assert use.figures()["spatial_head"]["use"] == pytest.approx(2 / 8)
    assert "temporal_head" not in use.figures()


def test_state_carries_the_window_over() -> None:
    one, two = (CodebookWindow(SIZES, 2, torch.device("cpu")) for _ in range(2))
    for head in (1, 2):
        one.add({"spatial": ids((0, 1, head)), "temporal": ids((0, 1, 1))})
    two.load_state_dict(one.state_dict())
    for use in (one, two):
        use.add({"spatial": ids((0, 1, 5)), "temporal": ids((0, 1, 2))})
    assert one.figures() == two.figures()
    fresh = CodebookWindow(SIZES, 2, torch.device("cpu"))
    fresh.load_state_dict(CodebookWindow(SIZES, 2, torch.device("cpu")).state_dict())
    assert fresh.figures() == {}
