"""What an actor tells, and what it makes of those that were there before it; none of it needs Ray."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from small_run import write_clip

from sweettok_cli.holding import claimed
from sweettok_cli.models.registry import read_spec
from sweettok_cli.pipeline.actor import MOST_ENDED, Actor, Orders, Told
from sweettok_cli.pipeline.dataset import Settings
from sweettok_cli.pipeline.manifest import Manifest, journal_in, journals
from sweettok_cli.pipeline.plan import Job
from sweettok_cli.pipeline.row import Row
from sweettok_cli.pipeline.share import Share
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.zoo.load import load


@pytest.fixture
def orders(model_folder: Path, tmp_path: Path) -> Iterator[Orders]:
    """Of a data set that has begun."""
    settings = Settings(read_spec(ModelFolder(model_folder)), model=model_folder)
    Manifest(tmp_path / "out").close()
    logger, threads = logging.getLogger("sweettok_cli"), torch.get_num_threads()
    kept = list(logger.handlers)
    yield Orders(
        partial(load, str(model_folder), "cpu"), settings, tmp_path / "out", Share(), "ab", 1, None, False
    )
    logger.handlers[:] = kept
    torch.set_num_threads(threads)


def told(actor: Actor, job: Job) -> Told:
    answer = actor(pickle.loads(pickle.dumps({"place": 7, "job": pickle.dumps(job)})))
    assert answer["place"] == 7
    return pickle.loads(answer["told"])


@pytest.fixture
def job(small_clip: Path, tmp_path: Path) -> Job:
    return Job(small_clip / "small.mp4", tmp_path / "out" / "small.npz")


def test_it_tells_what_it_made_and_notes_it_first(orders: Orders, job: Job) -> None:
    actor = Actor(pickle.loads(pickle.dumps(orders)))
    first = told(actor, job)
    assert first.result is not None and first.result.status == "done" and first.row is not None
    assert (first.row.status, first.row.output) == ("done", "small.npz")
    (journal,) = journals(orders.folder)
    lines = [Row.read(line) for line in journal.read_bytes().splitlines()]
    assert [line.status for line in lines if line] == ["begun", "done"] and lines[1] == first.row
    none = told(
        actor, replace(job, source=job.source.with_name("none.mp4"), output=job.output.with_name("n.npz"))
    )
    assert (
        none.result is not None and none.row is not None and none.result.status == none.row.status == "failed"
    )
    with claimed(job.claim) as mine:
        assert mine and told(actor, job) == Told()


def test_what_one_before_it_made_is_told_as_made(orders: Orders, job: Job) -> None:
    first = Actor(orders)
    made, inode = told(first, job), job.output.stat().st_ino
    missing = replace(job, source=job.source.with_name("none.mp4"), output=job.output.with_name("n.npz"))
    failed = told(first, missing)
    second = Actor(orders)
    again = told(second, job)
    assert again.result is not None and made.result is not None
    assert (again.row, again.result.status) == (made.row, "done")
    assert again.result.meta == made.result.meta and job.output.stat().st_ino == inode
    assert told(second, missing).row is not None and failed.row is not None
    later = told(Actor(replace(orders, run="cd")), job)  # of another run
    assert later.result is not None and (later.result.status, later.row) == ("skipped", None)


def test_what_ends_processes_again_and_again_is_given_up(orders: Orders, job: Job, tmp_path: Path) -> None:
    write_clip(tmp_path / "fatal.mp4", 8, width=64, height=48)
    fatal = Job(tmp_path / "fatal.mp4", orders.folder / "fatal.npz")
    for number, output in enumerate(["fatal.npz"] * MOST_ENDED + ["small.npz"]):
        with Manifest(orders.folder, journal=journal_in(orders.folder, "ab", f"{number:02}")) as journal:
            journal.add(Row("other", "other.npz", "failed"))
            journal.add(Row("its source", output, "begun", "h", "k"))
    actor = Actor(orders)
    once, given_up = told(actor, job), told(actor, fatal)
    assert once.result is not None and once.result.status == "done"
    assert given_up.result is not None and given_up.row is not None
    assert (given_up.result.status, given_up.row.status) == ("failed", "failed")
    assert "ended the processes that encoded it, 2 of them; try it by itself" in str(given_up.result.error)
    assert not fatal.output.exists()
    again = told(Actor(replace(orders, run="cd")), fatal)  # of another run: it has failed, and that is told
    assert again.result is not None and (again.result.status, again.row) == ("refused", None)


def test_where_nothing_can_be_encoded_no_source_is_blamed(orders: Orders, job: Job, tmp_path: Path) -> None:
    spec = replace(orders.settings.spec, weights_sha256="f" * 64)
    for wrong, says in (
        (replace(orders, folder=tmp_path / "elsewhere"), "elsewhere is another folder on"),
        (replace(orders, here=str(tmp_path / "none")), "none cannot be entered on"),
        (replace(orders, load=partial(load, str(tmp_path / "no-model"), "cpu")), "no-model"),
        (replace(orders, settings=replace(orders.settings, spec=spec)), "has other weights on"),
    ):
        answer = told(Actor(wrong), job)
        assert answer.result is None and says in str(answer.unable)
    assert not job.output.exists() and not (tmp_path / "elsewhere").exists()
    assert (orders.folder / "manifest.jsonl").read_bytes() == b""
