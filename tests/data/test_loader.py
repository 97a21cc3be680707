"""Batches made ahead are those that were asked for, by whatever and however many they are made."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.loader import prefetched
from sweettok_cli.data.sampler import Batch, Sampler, Sampling
from sweettok_cli.errors import SweettokError


@pytest.fixture
def sampling() -> Sampling:
    crop = [[48.0, 2.0, 1.0], [64.0, 4.0, 0.5]]
    return Sampling(crop, crops_per_clip=2, synthetic=0.2, flip=True, frames=5, pictures=0.2)


@pytest.mark.parametrize(
    ("loader", "workers", "prefetch"), [("threads", 1, 1), ("threads", 3, 5), ("processes", 2, 3)]
)
def test_batches_are_the_same_for_any_number_and_kind_of_workers(
    clips: Path, sampling: Sampling, loader: str, workers: int, prefetch: int
) -> None:
    entries = find_entries([clips])
    alone = Sampler(entries, sampling, 1, 2)
    with prefetched(Sampler(entries, sampling, 1, 2), 3, workers, prefetch, loader) as batches:
        for number, (batch, waited) in zip(range(3, 11), batches, strict=False):
            wanted = alone.batch(number)
            assert np.array_equal(batch.frames, wanted.frames) and batch.clips == wanted.clips
            assert isinstance(batch.frames, np.ndarray) and batch.frames.dtype == np.uint8 and waited >= 0
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("loader", ["threads", "processes"])
def test_what_a_worker_cannot_read_is_known_here(
    clips: Path, sampling: Sampling, tmp_path: Path, loader: str
) -> None:
    for number in range(3):
        (tmp_path / f"bad{number}.mp4").write_bytes(b"no video")
    entries = find_entries([tmp_path, clips])
    settings = dataclasses.replace(sampling, synthetic=0.0, skip_unreadable=0.4)
    sampler = Sampler(entries, settings)
    with prefetched(sampler, 0, 1, 2, loader) as batches:
        taken = [batch for batch, _ in islice(batches, 12)]
    assert all(not name.startswith("bad") for batch in taken for name in batch.clips)
    assert sorted(sampler.unreadable) == ["bad0.mp4", "bad1.mp4", "bad2.mp4"]
    few = Sampler(entries, dataclasses.replace(settings, skip_unreadable=0.1))
    wanted = r"^\d of 9 training clips cannot be read \(bad"
    with prefetched(few, 0, 1, 2, loader) as batches, pytest.raises(SweettokError, match=wanted):
        list(islice(batches, 12))
    assert not multiprocessing.active_children()


class Slow:
    """Batches of which every second one is long in coming."""

    def batch(self, number: int) -> Batch:
        time.sleep(0.2 * (number % 2))
        return Batch(np.full((1, 1, 2, 2, 3), number, np.uint8), (f"{number} by {os.getpid()}",))

    def note(self, unreadable: Mapping[int, str]) -> None:
        assert not unreadable


def test_processes_are_several_and_keep_the_order() -> None:
    with prefetched(Slow(), 0, 2, 4, "processes") as batches:
        taken = [batch for batch, _ in islice(batches, 6)]
    assert [int(batch.frames[0, 0, 0, 0, 0]) for batch in taken] == list(range(6))
    makers = {batch.clips[0].split()[-1] for batch in taken}
    assert len(makers) == 2 and str(os.getpid()) not in makers


def test_a_process_that_is_killed_is_one_sentence() -> None:
    with prefetched(Slow(), 0, 1, 1, "processes") as batches:
        batch, _ = next(batches)
        os.kill(int(batch.clips[0].split()[-1]), signal.SIGKILL)
        with pytest.raises(
            SweettokError, match=r"^A process that makes batches has ended \(.*loader=threads"
        ):
            for _ in range(9):
                next(batches)


class Broken:
    def batch(self, number: int) -> Any:
        raise RuntimeError("a fault of ours")

    note = batch


@pytest.mark.parametrize("loader", ["threads", "processes"])
def test_faults_of_ours_stay_what_they_are(loader: str) -> None:
    with (
        prefetched(Broken(), 0, 1, 1, loader) as batches,
        pytest.raises(RuntimeError, match="fault of ours"),
    ):
        next(batches)


@pytest.mark.gpu
@pytest.mark.parametrize("loader", ["threads", "processes"])
def test_frames_lie_in_pinned_memory(clips: Path, sampling: Sampling, loader: str) -> None:
    sampler = Sampler(find_entries([clips]), sampling)
    with prefetched(sampler, 0, 2, 2, loader, pinned=True) as batches:
        for number, (batch, _) in zip(range(4), batches, strict=False):
            frames = torch.from_numpy(batch.frames)
            assert frames.is_pinned()
            there = frames.to("cuda", non_blocking=True)
            assert np.array_equal(there.cpu().numpy(), sampler.batch(number).frames)
