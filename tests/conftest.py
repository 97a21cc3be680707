"""Where the tests find clips and golden tensors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweettok_cli.cli.threads import let_waiting_threads_sleep, use_one_blas_thread

# As the command line does, before torch and NumPy load, here and in the processes that tests start.
let_waiting_threads_sleep()
use_one_blas_thread()

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
