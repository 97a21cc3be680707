"""Where the tests find clips and golden tensors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def examples() -> Path:
    """The shipped clips."""
    return ROOT / "examples"


def reference_root() -> Path:
    """Golden tensors of the published networks: $SWEETTOK_REFERENCE, or the folder beside the checkout."""
    return Path(os.environ.get("SWEETTOK_REFERENCE", ROOT.parent / "shared" / "reference" / "public"))
