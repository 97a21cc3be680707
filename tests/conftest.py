"""Where the tests find clips and golden tensors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# As the command line does, and before torch is loaded: threads that spin while they wait take the processor
# from the others, of which many small networks have many (ten times slower on two busy cores).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def examples() -> Path:
    """The shipped clips."""
    return ROOT / "examples"


def reference_root() -> Path:
    """Golden tensors of the published networks: $SWEETTOK_REFERENCE, or the folder beside the checkout."""
    return Path(os.environ.get("SWEETTOK_REFERENCE", ROOT.parent / "shared" / "reference" / "public"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``gpu`` are skipped, and say so, where torch finds no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
