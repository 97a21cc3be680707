"""Runs and their data: who looks for it, what makes batches, and what becomes of a run when it changes."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import torch.distributed as dist
from small_run import Heard, write_clip

from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.pack import Plan, pack
from sweettok_cli.data.sampler import Sampler
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.task import SweetTokTask
from sweettok_cli.storage.torch_file import load_torch
from sweettok_cli.training.collective import from_first
from sweettok_cli.training.loop import RunOptions, train
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.record import RunRecord

pytestmark = pytest.mark.usefixtures("one_run_a_process")

Run = Callable[..., Heard]


@pytest.fixture
def run(clips: Path, prior: Path, tmp_path: Path) -> Run:
    """Train, and give back what was said."""

    def run(recipe: Recipe, data: Path = clips, out: str = "run", **options: Any) -> Heard:
        record, heard = RunRecord.of([data], None, None, prior), Heard()
        task = SweetTokTask(recipe, None, prior)
        assert train(RunOptions(task, recipe, record, tmp_path / out, **options), heard) is not None
        return heard

    return run


@pytest.fixture
def brief(tiny: Recipe) -> Recipe:
    return dataclasses.replace(tiny, steps=2, accumulate=2, crop=[[64.0, 2.0, 1.0]], crops_per_clip=1)


def test_a_checkpoint_says_where_in_the_data_it_is(
    run: Run, brief: Recipe, clips: Path, tmp_path: Path
) -> None:
    shutil.copytree(clips, tmp_path / "data")
    run(brief, tmp_path / "data")
    state = load_torch(tmp_path / "run" / "checkpoints" / "00000002" / "state.pt")
    sampler = Sampler(find_entries([tmp_path / "data"]), brief.sampling)
    assert state["position"] == sampler.position(4)
    assert state["position"]["epoch"] == round(2 * 4 / 6, 4)

    moved = tmp_path / "data"
    moved.rename(tmp_path / "moved")
    same = run(dataclasses.replace(brief, steps=3), tmp_path / "moved", resume=True)
    assert not same.warned
    (tmp_path / "moved" / "inner" / "loose0.mp4").unlink()
    other = run(dataclasses.replace(brief, steps=4), tmp_path / "moved", resume=True)
    (said,) = other.warned
    assert said.startswith(
        "the data are others than at batch 6, in epoch 2.00, where the run was saved (6 clips"
    )
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [line["step"] for line in map(json.loads, lines) if line["kind"] == "warning"] == [3]


def test_clips_to_validate_on_are_never_trained_on(brief: Recipe, prior: Path, tmp_path: Path) -> None:
    """Neither those that are looked at nor the others, whichever process asks; what is left out is said."""
    for name in ("train/a.mp4", "train/b.mp4", "val/c.mp4", "val/d.mp4"):
        (tmp_path / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        write_clip(tmp_path / "all" / name, ord(name[-5]))
    recipe, data, heard = dataclasses.replace(brief, validate_clips=1), tmp_path / "all", Heard()
    task = SweetTokTask(recipe, None, prior)
    for rank in range(2):
        sampler = task.batches([data], data / "val", rank, 2, heard)
        assert [entry.path.name for entry in sampler.entries] == ["a.mp4", "b.mp4"]
        found = task.found()
        assert (found["clips"], found["held_out"], found["learned_too"]) == (2, 1, 0)
    said = "2 clips of --val lie in --data and are left out"
    assert heard.said.count(said) == 2, "once by each of these two, which are alone"
    task.batches([data], data / "val" / "c.mp4", 0, 1, heard)
    assert "1 clip of --val lies in --data and is left out" in heard.said
    wanted = rf"All clips of --data {data / 'val'} lie in --val {data}, too, .* give other ones"
    with pytest.raises(SweettokError, match=wanted):
        task.batches([data / "val"], data, 0, 1, heard)
    quiet = Heard()
    task.batches([data / "train"], data / "val", 0, 1, quiet)
    assert not any("--val" in line for line in quiet.said)


def test_checkpoints_from_before_positions_go_on(run: Run, brief: Recipe, tmp_path: Path) -> None:
    run(brief)
    path = tmp_path / "run" / "checkpoints" / "00000002" / "state.pt"
    state = load_torch(path)
    del state["position"]
    torch.save(state, path)
    assert not run(dataclasses.replace(brief, steps=3), resume=True).warned


def test_packed_clips_are_not_opened(run: Run, brief: Recipe, clips: Path, tmp_path: Path) -> None:
    plan = Plan([clips], tmp_path / "shards")
    record = pack(plan, Heard().progress, lambda _: None)
    assert record["clips"] == 6
    heard = run(brief, tmp_path / "shards")
    assert any(line == "6 clips are known by their index" for line in heard.said)
    assert not any(line.startswith("opening") for line in heard.said)


@pytest.mark.slow
def test_threads_and_processes_train_the_same(run: Run, brief: Recipe, tmp_path: Path) -> None:
    run(brief, out="threads")
    run(dataclasses.replace(brief, loader="processes", workers=2), out="processes")
    made = [(tmp_path / out / "model" / "model.safetensors").read_bytes() for out in ("threads", "processes")]
    assert made[0] == made[1]


@pytest.mark.slow
def test_ctrl_c_reaches_processes_that_make_batches_and_does_no_harm(
    tiny: Recipe, prior: Path, tmp_path: Path
) -> None:
    write_clip(tmp_path / "clip.mp4", 0)
    recipe = dataclasses.replace(tiny, steps=100_000, log_every=1, loader="processes", workers=1)
    (tmp_path / "tiny.toml").write_text(recipe.as_toml())
    where = ["--data", tmp_path / "clip.mp4", "--prior", prior, "--out", tmp_path / "run"]
    command = [sys.executable, "-m", "sweettok_cli", "train", "--config", tmp_path / "tiny.toml", *where]

    def heeding_ctrl_c() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    process = subprocess.Popen(
        [str(part) for part in command],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heeding_ctrl_c,
    )
    assert process.stderr is not None
    while "step 2 " not in (line := process.stderr.readline()):
        assert line, "ended early"
    os.killpg(process.pid, signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait() == 130, rest
    assert "Traceback" not in rest and "the run is saved up to step" in rest
    until = time.monotonic() + 20
    while left := running(process.pid):
        assert time.monotonic() < until, left
        time.sleep(0.1)


def running(group: int) -> list[str]:
    """The processes of a group that have not ended."""
    found = []
    for one in psutil.process_iter(["pid", "cmdline", "status"]):
        try:
            if os.getpgid(one.pid) == group and one.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(" ".join(one.info["cmdline"]))
        except ProcessLookupError:
            continue
    return found


def met(rank: int, folder: str) -> None:
    """One of two processes: what the first one makes, and what it raises, reaches both."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    made = from_first(lambda: {"by": rank})
    raised = ""
    try:
        from_first(lambda: find_entries([Path(folder) / f"absent{rank}"]))
    except SweettokError as error:
        raised = str(error)
    Path(folder, f"{rank}.json").write_text(json.dumps([made, raised]))
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_the_first_process_looks_for_all(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(met, (str(tmp_path),), nprocs=2)
    one, two = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert one == two and one[0] == {"by": 0}
    assert "absent0 do not exist" in one[1]
