from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.video.writer import array_writer


@pytest.mark.parametrize("shape", [(3, 4, 6, 3), (4, 6, 3)])
def test_frames_are_the_array(tmp_path: Path, shape: tuple[int, ...]) -> None:
    frames = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    with array_writer(tmp_path / "a.npy", shape) as write:
        for frame in frames.reshape(-1, 4, 6, 3):
            write(frame)
    assert np.array_equal(np.load(tmp_path / "a.npy"), frames)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_nothing_is_left_of_a_short_one(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="1 frames instead of 2"),
        array_writer(tmp_path / "a.npy", (2, 4, 6, 3)) as write,
    ):
        write(np.zeros((4, 6, 3), np.uint8))
    assert not list(tmp_path.iterdir())


def test_too_many_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than 1"), array_writer(tmp_path / "a.npy", (4, 6, 3)) as write:
        for _ in range(2):
            write(np.zeros((4, 6, 3), np.uint8))


def test_what_exists_stays(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_text("mine")
    with (
        pytest.raises(SweettokError, match="exists; pass --force"),
        array_writer(tmp_path / "a.npy", (4, 6, 3)),
    ):
        pass
    assert (tmp_path / "a.npy").read_text() == "mine"
