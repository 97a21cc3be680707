from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.video.writer import array_writer
from tests.full_disk import disk_of


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
        pytest.raises(SweettokError, match="exists; pass force=True"),
        array_writer(tmp_path / "a.npy", (4, 6, 3)),
    ):
        pass
    assert (tmp_path / "a.npy").read_text() == "mine"


def test_it_is_what_numpy_writes(tmp_path: Path) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
    with array_writer(tmp_path / "a.npy", frames.shape) as write:
        for frame in frames:
            write(frame[:, ::-1][:, ::-1])
    np.save(tmp_path / "b.npy", frames)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


@pytest.mark.parametrize("limit", [0, 200, 3_000])
def test_a_full_disk_is_one_sentence(tmp_path: Path, limit: int) -> None:
    """With a memory-mapped file it was SIGBUS, and the end of the process."""
    with (
        disk_of(limit),
        pytest.raises(SweettokError, match=r"Cannot write .*a\.npy"),
        array_writer(tmp_path / "a.npy", (60, 48, 64, 3)) as write,
    ):
        for _ in range(60):
            write(np.zeros((48, 64, 3), np.uint8))
    assert not list(tmp_path.iterdir())
