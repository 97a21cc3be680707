from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Tolerances are chosen for one draw of weights and inputs, not for the unluckiest."""
    torch.manual_seed(0)
