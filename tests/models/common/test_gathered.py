from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.models.common.gathering import Gathered


@pytest.mark.parametrize("expected", [None, 1, 7, 10**12])
def test_batches_are_joined(expected: int | None) -> None:
    random = np.random.default_rng(0)
    sizes = (3, 1, 4, 1)
    batches = [
        {
            "spatial": random.integers(0, 9, (size, 5, 3)).astype(np.uint16),
            "temporal": np.zeros((size, 0, 3), np.uint16),
        }
        for size in sizes
    ]
    gathered = Gathered(expected)
    for batch in batches:
        gathered.add(batch)
    arrays = gathered.arrays()
    assert gathered.clips == 9
    assert arrays["temporal"].shape == (9, 0, 3)
    assert (arrays["spatial"] == np.concatenate([batch["spatial"] for batch in batches])).all()
    assert arrays["spatial"].dtype == np.uint16
    assert gathered.nbytes == 9 * 5 * 3 * 2


def test_more_clips_than_expected_move_few_times() -> None:
    gathered = Gathered(1)
    moved, before = 0, None
    for number in range(1000):
        gathered.add({"indices": np.full((1, 2), number, np.uint16)})
        base = gathered.arrays()["indices"].base
        moved += base is not before
        before = base
    assert moved < 15
    assert (gathered.arrays()["indices"][:, 0] == np.arange(1000)).all()
