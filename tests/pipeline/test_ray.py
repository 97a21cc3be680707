"""Real commands with Ray: clusters of several processes, killed where it hurts; they end as one process does.

Needs ``pip install 'sweettok[ray]'``; without it none of this is run.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from encoded_dataset import Look
from small_run import write_clip
from test_killed_dataset import PATIENCE, Command

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.registry import read_spec
from sweettok_cli.pipeline.cluster import Ray
from sweettok_cli.pipeline.dataset import Settings
from sweettok_cli.pipeline.encode_dataset import Sources, Workforce, encode_dataset
from sweettok_cli.pipeline.row import Row
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.video import write_image
from sweettok_cli.zoo.load import load

pytest.importorskip("ray")

BY_RAY = ("--engine", "ray")
STORE = 80 << 20  # bytes; Ray takes few less
MANY, SOME = 600, 160  # clips


@pytest.fixture(autouse=True)
def quiet_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


class Cluster:
    """Two machines as processes of this one: a head, and another, with a core each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster as Local

        small: dict[str, Any] = {"num_cpus": 1, "object_store_memory": STORE}
        self._local = Local(
            initialize_head=True, head_node_args={**small, "include_dashboard": False}, shutdown_at_exit=False
        )
        self.other = self._local.add_node(**small)
        self.address: str = self._local.address

    def actors(self) -> list[psutil.Process]:
        """Those that are at work now, on both."""
        raylets = [node.all_processes["raylet"][0].process.pid for node in self._local.list_all_nodes()]
        found = []
        for pid in raylets:
            with suppress(psutil.NoSuchProcess):  # nor a zombie
                found += [child for child in psutil.Process(pid).children() if _encodes(child)]
        return found

    def lose_other(self) -> None:
        self.other.all_processes["raylet"][0].process.kill()

    def end(self) -> None:
        self._local.shutdown()


def _encodes(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return "MapWorker(Map(Actor))" in "".join(process.cmdline())
    return False


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures, a clip, and one that is none."""
    folder = tmp_path_factory.mktemp("few")
    for number in range(12):
        write_image(folder / f"{number:02}.png", np.full((64, 64, 3), 20 * number, np.uint8))
    (folder / "clips").mkdir()
    write_clip(folder / "clips" / "ü.mp4", 1, frames=40, width=64, height=64)
    (folder / "zz.mp4").write_text("text")
    return folder


def clips(folder: Path, number: int) -> Path:
    """So many clips of several lengths, in folders."""
    for each in range(number):
        (folder / f"{each % 7}").mkdir(exist_ok=True)
        write_clip(folder / f"{each % 7}" / f"{each:03}.mp4", each, frames=3 + each % 20, width=64, height=64)
    return folder


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips(tmp_path_factory.mktemp("some"), SOME)


@pytest.fixture(scope="module")
def alone(some: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process makes of them."""
    command = Command(some, model_folder, tmp_path_factory.mktemp("alone") / "out")
    command.run(code=0)
    return command.outcome()


def begun(out: Path) -> Counter[str]:
    """How often each token file was begun, as lines that are left say."""
    rows = (Row.read(line) for path in out.glob("manifest*.jsonl") for line in path.read_bytes().splitlines())
    return Counter(row.output for row in rows if row is not None and row.status == "begun")


def finished(out: Path) -> Counter[str]:
    """How often each was finished, as the manifest says."""
    lines = (out / "manifest.jsonl").read_bytes().splitlines()
    return Counter(row.output for line in lines if (row := Row.read(line)) and row.status != "begun")


def until(true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_actors_make_what_one_process_makes(few: Path, model_folder: Path, tmp_path: Path) -> None:
    here, there = (Command(few, model_folder, tmp_path / name) for name in ("here", "there"))
    settings = Settings(read_spec(ModelFolder(model_folder)), model=model_folder)
    workforce = Workforce(partial(load, str(model_folder)))
    list(encode_dataset(Sources([few], here.out), settings, workforce, Look(), pytest.fail))
    said = there.run(*BY_RAY, "--workers", "2")
    assert there.outcome() == here.outcome()
    assert len(said.splitlines()) == 1 and "zz.mp4" in said  # nothing of Ray's own
    assert not list(there.out.rglob(".*")) and not list(there.out.glob("manifest-ray-*"))


def test_too_few_cores_are_refused_before_ray_starts(few: Path, model_folder: Path, tmp_path: Path) -> None:
    settings = Settings(read_spec(ModelFolder(model_folder)), model=model_folder)
    workforce = Workforce(partial(load, str(model_folder)), workers=1000, ray=Ray())
    with pytest.raises(SweettokError, match="too few CPUs for 1000 workers"):
        list(encode_dataset(Sources([few], tmp_path / "out"), settings, workforce, Look(), pytest.fail))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["manifest.jsonl"]


@pytest.mark.slow
def test_a_cluster_that_others_use_up_is_refused(
    few: Path, cluster: Cluster, model_folder: Path, tmp_path: Path
) -> None:
    first, second = (Command(few, model_folder, tmp_path / name) for name in ("first", "second"))
    with first.begun(*BY_RAY, "--ray-address", cluster.address) as process:
        until(lambda: first.lines() > 0)
        process.send_signal(signal.SIGSTOP)  # its actors stay
        said = second.run(*BY_RAY, "--ray-address", cluster.address)
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 1  # for the one that is none
    assert len(said.splitlines()) == 1 and "while others use it" in said
    assert not list(second.out.rglob("*.npz"))


@pytest.mark.slow
def test_actors_that_are_killed_cost_nothing(
    some: Path, alone: dict[str, Any], cluster: Cluster, model_folder: Path, tmp_path: Path
) -> None:
    command = Command(some, model_folder, tmp_path / "out")
    with command.begun(*BY_RAY, RAY_ADDRESS=cluster.address) as process:
        for lines in (40, 150, 300):
            until(lambda lines=lines: command.lines() > lines and bool(cluster.actors()))  # type: ignore[misc]
            cluster.actors()[0].kill()
        said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0, said
    assert said == ""
    assert command.outcome() == alone
    assert set(finished(command.out).values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("lines", [60, 300])
def test_a_driver_that_is_killed_leaves_what_is_made(
    some: Path, alone: dict[str, Any], cluster: Cluster, model_folder: Path, tmp_path: Path, lines: int
) -> None:
    command = Command(some, model_folder, tmp_path / "out")
    given = (*BY_RAY, "--ray-address", cluster.address)
    assert command.kill(lines, 0.05, False, *given)
    until(lambda: not cluster.actors())
    made = {path: path.stat().st_ino for path in command.out.rglob("*.npz") if not path.name.startswith(".")}
    command.run(*given, code=0)
    assert command.outcome() == alone
    again = [path for path, inode in made.items() if path.stat().st_ino != inode]
    assert len(made) > 15 and len(again) <= 2  # of each actor that which it was at, written and not yet noted


@pytest.mark.slow
def test_a_machine_that_is_lost_costs_nothing(
    some: Path, alone: dict[str, Any], model_folder: Path, tmp_path: Path
) -> None:
    cluster = Cluster()
    try:
        command = Command(some, model_folder, tmp_path / "out")
        with command.begun(*BY_RAY, "--ray-address", cluster.address) as process:
            until(lambda: command.lines() > 120)
            cluster.lose_other()
            said = process.communicate(timeout=PATIENCE)[1]
        assert process.returncode == 0, said
    finally:
        cluster.end()
    assert command.outcome() == alone
    assert set(finished(command.out).values()) == {1}


@pytest.mark.slow
def test_killed_with_its_own_cluster_all_processes_end(
    some: Path, alone: dict[str, Any], model_folder: Path, tmp_path: Path
) -> None:
    command = Command(some, model_folder, tmp_path / "out")
    with command.begun(*BY_RAY) as process:
        until(lambda: command.lines() > 100)
        children = psutil.Process(process.pid).children(recursive=True)
        children = [child for child in children if "Agent" not in child.name()]  # of Ray, end a minute later
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    command.run(code=0)  # by one process, for a change
    assert command.outcome() == alone
    assert not list(command.out.glob("manifest-ray-*"))


@pytest.mark.slow
def test_an_interruption_ends_all_and_says_how_to_go_on(
    some: Path, model_folder: Path, tmp_path: Path
) -> None:
    command = Command(some, model_folder, tmp_path / "out")
    with subprocess.Popen(
        [*_typed(command), *BY_RAY],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        until(lambda: command.lines() > 60)
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130
    assert "Interrupted" in said.splitlines()[-1] and "--engine ray" in said.splitlines()[-1]
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert not list(command.out.rglob(".*")) and not list(command.out.glob("manifest-ray-*"))
    assert set(begun(command.out).values()) == {1}


def _typed(command: Command) -> list[str]:
    import sys

    given = [str(command.source), "-o", str(command.out), "--model", str(command.model)]
    return [sys.executable, "-m", "sweettok_cli", "encode", *given]


@pytest.mark.slow
def test_six_hundred_clips_by_one_process_by_parts_and_by_ray(
    cluster: Cluster, model_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    source = clips(tmp_path / "in", MANY)
    alone, parts, by_ray = (Command(source, model_folder, tmp_path / name) for name in ("1", "3", "ray"))
    alone.run(code=0)
    for number in range(3):
        parts.run("--shard", f"{number + 1}/3", code=0)
    by_ray.run(*BY_RAY, "--ray-address", cluster.address, code=0)
    outcome = alone.outcome()
    assert len(outcome["rows"]) == MANY
    assert parts.outcome() == outcome
    assert by_ray.outcome() == outcome
