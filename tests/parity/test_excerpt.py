"""The shipped excerpt says the same as the full set it was cut from."""

from __future__ import annotations

import pytest

from .excerpt import EXCERPT
from .rule import TESTS, Case, case_folder


@pytest.mark.parametrize("name", EXCERPT)
def test_excerpt_agrees_with_the_full_set(name: str) -> None:
    full, excerpt = Case(case_folder(name)), Case(TESTS / "golden" / name)
    if full.folder == excerpt.folder or full.salt != excerpt.salt:
        pytest.skip("no full set with the excerpt's salt")
    for output, spec in excerpt.manifest["outputs"].items():
        stored = excerpt.data[output]
        whole = full.data[output]
        assert spec["shape"] == full.manifest["outputs"][output]["shape"]
        if spec["stored"] == "sample":
            whole = whole[: stored.numel()]
        assert stored.equal(whole), output


@pytest.mark.parametrize("name", EXCERPT)
def test_excerpt_is_small(name: str) -> None:
    size = sum(file.stat().st_size for file in (TESTS / "golden" / name).iterdir())
    assert 0 < size < 2_000_000
