"""Clips and pictures by turns: each from files of its own kind, as many as were asked for."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.entry import Entry
from sweettok_cli.data.joint import JointSampler
from sweettok_cli.data.sampler import Sampling
from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import ignore_progress

SAMPLING = Sampling(crop=[[32.0, 2.0, 1.0]], frames=5)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Entry]:
    for number in range(4):
        Image.fromarray(np.full((40, 50, 3), 60 * number, np.uint8)).save(tmp_path / f"{number}.png")
    return find_entries([tmp_path])


def test_turns_and_kinds(clips: Path, pictures: list[Entry]) -> None:
    joint = JointSampler([*find_entries([clips]), *pictures], SAMPLING, pictures=3)
    assert joint.describe() == "6 clips and, by turns, 4 pictures"
    for number in range(6):
        batch = joint.batch(number)
        assert batch.frames.shape == ((6, 1, 32, 32, 3) if number % 2 else (2, 5, 32, 32, 3))
        assert all(name.endswith(".png" if number % 2 else ".mp4") for name in batch.clips)
        assert np.array_equal(batch.frames, joint.batch(number).frames)
    ranks = [JointSampler(joint.entries, SAMPLING, 3, rank, 2).batch(1).clips for rank in (0, 1)]
    assert ranks[0] != ranks[1]
    done: list[tuple[int, int]] = []
    joint.check(lambda *found: done.append(found))
    assert done[-1] == (10, 10) and done == sorted(done)
    again = pickle.loads(pickle.dumps(joint))
    assert np.array_equal(again.batch(3).frames, joint.batch(3).frames)
    assert joint.position(4)["epoch"] == round(2 * 2 / 6, 4) and joint.position(4)["clips"] == 10
    assert joint.passes(4) == pytest.approx(2 * 2 / 6)
    added = JointSampler(joint.entries, replace(SAMPLING, accumulate=2), 3)
    assert added.passes(4) == pytest.approx(4 * 2 / 6)


def test_two_processes_cut_what_one_does_of_twice_the_batch(clips: Path, pictures: list[Entry]) -> None:
    entries, twice = [*find_entries([clips]), *pictures], replace(SAMPLING, crop=[[32.0, 4.0, 1.0]])
    for accumulate in (1, 2):
        alone = JointSampler(entries, replace(twice, accumulate=accumulate), 3)
        two = [JointSampler(entries, replace(SAMPLING, accumulate=accumulate), 3, r, 2) for r in (0, 1)]
        for number in range(4):
            parts = [one.batch(number).frames for one in two]
            assert np.array_equal(np.concatenate(parts), alone.batch(number).frames)


def test_of_one_kind_alone_both_are_cut(clips: Path, pictures: list[Entry]) -> None:
    moving = JointSampler(find_entries([clips]), SAMPLING, pictures=2)
    assert moving.describe() == "6 clips and, by turns, their frames"
    assert moving.batch(1).frames.shape == (4, 1, 32, 32, 3)
    still = JointSampler(pictures, SAMPLING, pictures=1)
    frames = still.batch(0).frames
    assert frames.shape == (2, 5, 32, 32, 3) and np.array_equal(frames[:, 0], frames[:, 4])


def test_what_cannot_be_read_is_known_of_either_kind(
    clips: Path, pictures: list[Entry], tmp_path: Path
) -> None:
    (tmp_path / "0.png").write_bytes(b"no picture")
    joint = JointSampler([*find_entries([clips]), *pictures], SAMPLING, pictures=2)
    joint.check(ignore_progress)
    assert list(joint.unreadable) == ["0.png"]
    assert set(joint.batch(1).skipped) <= {6}
    assert joint.describe() == "6 clips and, by turns, 3 pictures"
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"no picture")
    with pytest.raises(SweettokError, match="3 of 10 training clips cannot be read"):
        JointSampler([*find_entries([clips]), *pictures], SAMPLING, pictures=2).check(ignore_progress)
