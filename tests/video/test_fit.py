from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweettok_cli.video.fit import Fit


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 64), st.lists(st.integers(1, 2), max_size=2))
def test_crop_undoes_pad(width: int, height: int, multiple: int, batch: list[int]) -> None:
    fit = Fit.to_multiple(width, height, multiple)
    frames = np.random.default_rng(0).integers(0, 256, (*batch, height, width, 3), dtype=np.uint8)
    padded = fit.pad(frames)
    assert padded.shape == (*batch, fit.padded_height, fit.padded_width, 3)
    assert fit.padded_width % multiple == 0 and fit.padded_height % multiple == 0
    assert fit.padded_width - width < multiple and fit.padded_height - height < multiple
    assert np.array_equal(fit.crop(padded), frames)
    assert (padded[..., :height, width:, :] == frames[..., :, -1:, :]).all()
    assert (padded[..., height:, :, :] == padded[..., height - 1 : height, :, :]).all()


def test_sizes_that_do_not_match_are_refused() -> None:
    fit = Fit.to_multiple(60, 50, 64)
    with pytest.raises(ValueError, match="expected 50 rows of 60"):
        fit.pad(np.zeros((60, 50, 3), np.uint8))
    with pytest.raises(ValueError, match="expected 64 rows of 64"):
        fit.crop(np.zeros((50, 60, 3), np.uint8))
    with pytest.raises(ValueError, match="empty"):
        Fit.to_multiple(0, 5, 64)
