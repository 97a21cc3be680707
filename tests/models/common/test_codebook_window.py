"""Use and perplexity over a sliding window."""

from __future__ import annotations

import math

import pytest
import torch

from sweettok_cli.models.common.codebook_window import CodebookWindow

SIZES = {"modifier": 4, "head": 8}


def ids(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int64)


def test_figures_count_each_codebook_for_itself() -> None:
    use = CodebookWindow(SIZES, 10, torch.device("cpu"))
    use.add({"modifier": ids(0, 1, 0, 3).reshape(1, 2, 2), "head": ids(7, 7)})
    figures = use.figures()
    entropy = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25))
    assert figures["modifier"] == {"use": 0.75, "perplexity": round(math.exp(entropy), 1)}
    assert figures["head"] == {"use": 0.125, "perplexity": 1.0}


def test_window_forgets() -> None:
    use = CodebookWindow(SIZES, 2, torch.device("cpu"))
    for head in (1, 2, 3):
        use.add({"modifier": ids(), "head": ids(head)})
    assert use.figures()["head"]["use"] == pytest.approx(2 / 8)
    assert "modifier" not in use.figures()


def test_state_carries_the_window_over() -> None:
    one, two = (CodebookWindow(SIZES, 2, torch.device("cpu")) for _ in range(2))
    for head in (1, 2):
        one.add({"modifier": ids(0, 1), "head": ids(head)})
    two.load_state_dict(one.state_dict())
    for use in (one, two):
        use.add({"modifier": ids(0, 2), "head": ids(5)})
    assert one.figures() == two.figures()
    fresh = CodebookWindow(SIZES, 2, torch.device("cpu"))
    fresh.load_state_dict(CodebookWindow(SIZES, 2, torch.device("cpu")).state_dict())
    assert fresh.figures() == {}
