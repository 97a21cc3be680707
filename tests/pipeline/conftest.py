"""Data sets of three pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from encoded_dataset import Encoded, picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("a.png", "sub/b.png", "sub/ü c.png")):
        picture(tmp_path / "in" / name, 40 * number)
    return tmp_path / "in"


@pytest.fixture
def encoded(tmp_path: Path) -> Iterator[Encoded]:
    made = Encoded(tmp_path / "out")
    yield made
    assert made.heard() == []  # nothing is said that no test asks for
