from __future__ import annotations

import logging
import os
import shutil
import threading
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from torch import Tensor
from video import torture

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.streams import WaitingClips
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.pipeline import crew
from sweettok_cli.pipeline.batch import Result
from sweettok_cli.pipeline.folder import encode_job
from sweettok_cli.pipeline.helper import Helper, Unable
from sweettok_cli.pipeline.plan import Job
from sweettok_cli.pipeline.shared_model import Filling
from sweettok_cli.tokens import read_tokens
from sweettok_cli.video.pixels import write_video
from sweettok_cli.zoo.load import load


def test_a_process_that_is_ended_costs_the_source_that_it_was_at(
    small_clip: Path, model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    helper = Helper(partial(load, str(model_folder), "cpu"), {"overlap": 2}, 1)
    lost = torture.make(tmp_path / "lost.mkv", frames=60, options={"g": "10"})
    torture.scribble(lost, 0.5, 600)
    one, two = (Job(small_clip / "small.mp4", tmp_path / name) for name in ("one.npz", "two.npz"))
    try:
        first = helper.encode(one)
        assert first.status == "done" and first.meta is not None and first.meta.overlap == 2
        with caplog.at_level(logging.WARNING):
            assert helper.encode(Job(lost, tmp_path / "lost.npz")).status == "done"
        assert "lost.mkv" in caplog.text  # what is logged there is said here
        failed = helper.encode(Job(tmp_path / "none.mp4", tmp_path / "none.npz"))
        assert failed.status == "failed" and "does not exist; check the name" in str(failed.error)
        child = psutil.Process(helper._process._process.pid)
        child.suspend()  # so that it is at the job when it ends
        threading.Timer(0.5, child.kill).start()
        ended = helper.encode(two)
        assert ended.status == "failed" and "ended the process that encoded it (by signal 9)" in str(
            ended.error
        )
        again = helper.encode(two)
        assert again.status == "done"
    finally:
        helper.stop()
    assert helper._process.code is not None
    tokenizer = load(str(model_folder), "cpu")
    here = Job(small_clip / "small.mp4", tmp_path / "here.npz")
    assert encode_job(here, tokenizer, overlap=2).status == "done"
    assert one.output.read_bytes() == two.output.read_bytes() == here.output.read_bytes()


def test_of_several_in_one_process_only_who_ends_it_fails(
    small_clip: Path, model_folder: Path, tmp_path: Path
) -> None:
    filling = Filling(4, 1, 4)
    helper = Helper(partial(load_but_end, str(model_folder)), {}, 1, filling)
    jobs = [Job(tmp_path / f"{number}.mp4", tmp_path / f"{number}.npz") for number in range(7)]
    for job in jobs:
        shutil.copy(small_clip / "small.mp4", job.source)
    black = jobs[2]
    write_video(black.source, np.zeros((20, 64, 64, 3), np.uint8), rate=24, force=True)
    with crew.Crew([helper] * 4) as group:
        results = [result for _, result in group.work(jobs, lambda job, lane: lane.encode(job), lambda: None)]
    assert [result.status for result in results if result] == [*["done"] * 2, "failed", *["done"] * 4]
    assert results[2] is not None and "ended the process that encoded it (with code 7)" in str(
        results[2].error
    )
    tokens = [read_tokens(job.output).arrays for job in jobs if job is not black]
    assert all(np.array_equal(each[name], tokens[0][name]) for each in tokens for name in each)
    assert not black.output.exists() and not list(tmp_path.glob(".*"))


def load_but_end(folder: str) -> Tokenizer:
    """A model whose process ends when it is shown black."""
    tokenizer = load(folder, "cpu")
    whole = tokenizer.encode_waiting

    def encode_waiting(clips: WaitingClips) -> dict[str, Tensor]:
        if not all(clip[0].any() for clip in clips.clips):
            os._exit(7)
        return whole(clips)

    tokenizer.encode_waiting = encode_waiting  # type: ignore[method-assign]
    return tokenizer


def test_a_process_that_is_ended_while_it_starts_is_replaced_some_times(
    small_clip: Path, model_folder: Path, tmp_path: Path
) -> None:
    times = tmp_path / "times"
    job = Job(small_clip / "small.mp4", tmp_path / "small.npz")
    for most, filling in ((1, None), (2, Filling(4, 1, 4))):
        times.write_bytes(b"")
        helper = Helper(partial(load_late, str(model_folder), str(times), most), {}, 1, filling)
        try:
            assert helper.encode(job).status == "done" and len(times.read_bytes()) == most + 1
        finally:
            helper.stop()
    times.write_bytes(b"")
    helper = Helper(partial(load_late, str(model_folder), str(times), 100), {}, 1)
    try:
        with pytest.raises(Unable, match="ended with code 7 before it could"):
            helper.encode(job)
    finally:
        helper.stop()
    assert len(times.read_bytes()) == 3


def load_late(folder: str, times: str, most: int) -> Tokenizer:
    """A model whose process ends so many times before it is loaded."""
    with open(times, "ab") as stream:
        stream.write(b"x")
    if Path(times).stat().st_size <= most:
        os._exit(7)
    return load(folder, "cpu")


def test_a_model_that_is_none_is_not_the_sources_fault(tmp_path: Path) -> None:
    helper = Helper(partial(load, str(tmp_path / "no-model"), "cpu"), {}, 1)
    try:
        with pytest.raises(Unable, match="no-model"):
            helper.encode(Job(tmp_path / "a.mp4", tmp_path / "a.npz"))
    finally:
        helper.stop()


class Sleeper:
    """A lane that does nothing."""

    def begin(self) -> None: ...

    def rest(self) -> None: ...

    def stop(self) -> None: ...


def test_results_come_in_the_order_of_the_jobs_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "MOST_WAITING", 3)
    jobs = [Job(tmp_path / str(number), tmp_path) for number in range(20)]
    gate = threading.Event()

    def one(job: Job, lane: object) -> Result:
        if job.source.name == "5":
            assert gate.wait(600)
        if job.source.name == "19":
            gate.set()
        return Result(job.source, None, "done")

    with crew.Crew([Sleeper(), Sleeper()]) as group:  # type: ignore[list-item]
        told = [int(job.source.name) for job, _ in group.work(jobs, one, lambda: None)]
    assert sorted(told) == list(range(20))
    assert told[:5] == [0, 1, 2, 3, 4] and told.index(5) > 10  # the others did not wait for it
    assert [number for number in told if number != 5] == [*range(5), *range(6, 20)]
    with crew.Crew([Sleeper(), Sleeper()]) as group:  # type: ignore[list-item]
        assert list(group.work([], one, lambda: None)) == []


def test_an_error_of_no_job_ends_the_work(tmp_path: Path) -> None:
    def one(job: Job, lane: object) -> Result:
        raise Unable(SweettokError("no model"))

    jobs = [Job(tmp_path / str(number), tmp_path) for number in range(4)]
    with crew.Crew([Sleeper(), Sleeper()]) as group, pytest.raises(SweettokError, match="no model"):  # type: ignore[list-item]
        list(group.work(jobs, one, lambda: None))
    assert not [thread for thread in threading.enumerate() if thread.name == "crew"]
