"""Real commands on a data set, killed at any moment and run again: they end as one that was left alone."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from small_run import write_clip

from sweettok_cli.pipeline.manifest import Manifest
from sweettok_cli.pipeline.row import Row
from sweettok_cli.pipeline.share import Share
from sweettok_cli.video import write_image

PATIENCE = 600  # seconds; only what is broken takes them


class Command:
    """``sweettok encode`` of a folder by a small model."""

    def __init__(self, source: Path, model: Path, out: Path) -> None:
        self.source, self.model, self.out = source, model, out

    @contextmanager
    def begun(self, *more: str, **env: str) -> Iterator[subprocess.Popen[str]]:
        given = ["encode", str(self.source), "-o", str(self.out), "--model", str(self.model), "--quiet"]
        with subprocess.Popen(
            [sys.executable, "-m", "sweettok_cli", *given, *more],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **env},
        ) as process:
            yield process

    def run(self, *more: str, code: int = 1, **env: str) -> str:
        with self.begun(*more, **env) as process:
            said = process.communicate(timeout=PATIENCE)[1]
        assert process.returncode == code, said
        return said

    def kill(self, lines: int, wait: float, group: bool, *more: str) -> bool:
        """Kill it so long after so many lines; whether it had not ended before."""
        with self.begun(*more) as process:
            give_up, before = time.monotonic() + PATIENCE, self.lines()
            while process.poll() is None and self.lines() < before + lines:
                assert time.monotonic() < give_up
                time.sleep(0.005)
            time.sleep(wait)
            ended = process.poll() is not None
            # Processes that it started have to end by themselves, where it alone is killed.
            with suppress(ProcessLookupError):  # it has ended
                (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        return not ended

    def lines(self) -> int:
        return sum(path.read_bytes().count(b"\n") for path in self.out.glob("manifest*.jsonl"))

    def outcome(self) -> dict[str, Any]:
        """All that is left, but for times."""
        with Manifest(self.out) as manifest:
            rows = [replace(row, seconds=0.0, at=0.0) for row in manifest.rows()]
        parquet = pytest.importorskip("pyarrow.parquet").read_table(self.out / "manifest.parquet")
        assert [(row["output"], row["key"]) for row in parquet.to_pylist()] == [
            (r.output, r.key) for r in rows
        ]
        files = {
            path.relative_to(self.out).as_posix(): path.read_bytes()
            for path in sorted(self.out.rglob("*"))
            if path.is_file() and not path.name.startswith("manifest")
        }
        assert files.keys() == {row.output for row in rows if row.status == "done"}
        return {"rows": rows, **files}


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures, four clips of several lengths, and one that is none."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(40):
        write_image(folder / f"{number:02}.png", np.full((64, 64, 3), 6 * number, np.uint8))
    for number, frames in enumerate((3, 17, 18, 40)):
        (folder / "clips").mkdir(exist_ok=True)
        write_clip(folder / "clips" / f"ü {number}.mp4", number, frames=frames, width=64, height=64)
    (folder / "zz.mp4").write_text("text")
    return folder


@pytest.fixture(scope="session")
def undisturbed(videos: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    command = Command(videos, model_folder, tmp_path_factory.mktemp("undisturbed") / "out")
    command.run()
    return command.outcome()


def suffer(command: Command, kills: int, seed: int, *more: str) -> None:
    draw = random.Random(seed)
    done = 0
    for _ in range(kills):
        lines, wait, group = draw.randrange(1, 70 // kills), draw.uniform(0, 0.15), draw.random() < 0.5
        done += command.kill(lines, wait, group, *more)
    assert done >= max(1, kills - 1)  # one may come too late
    command.run(*more)


@pytest.mark.parametrize("more", [[], ["--batch-clips", "3"]], ids=["alone", "together"])
def test_killed_and_resumed_it_ends_the_same(
    videos: Path, model_folder: Path, tmp_path: Path, undisturbed: dict[str, Any], more: list[str]
) -> None:
    command = Command(videos, model_folder, tmp_path / "out")
    suffer(command, 1, 1, *more)
    assert command.outcome() == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("more", [[], ["--batch-clips", "3"]], ids=["alone", "together"])
def test_killed_again_and_again_with_workers(
    videos: Path, model_folder: Path, tmp_path: Path, undisturbed: dict[str, Any], seed: int, more: list[str]
) -> None:
    command = Command(videos, model_folder, tmp_path / "out")
    suffer(command, 6, seed, "--workers", "2", *more)
    assert command.outcome() == undisturbed


@pytest.mark.slow
def test_parts_and_workers_make_what_one_process_makes(
    videos: Path, model_folder: Path, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    parts, workers = (Command(videos, model_folder, tmp_path / name) for name in ("parts", "workers"))
    launched = {"RANK": "2", "WORLD_SIZE": "3", "LOCAL_RANK": "2"}
    with (
        parts.begun("--shard", "1/3") as one,
        parts.begun("--shard", "2/3") as two,
        parts.begun(**launched) as three,
    ):
        codes = [process.wait(PATIENCE) for process in (one, two, three)]
    assert codes == [int(Share(part, 3).owns(Path("zz.npz"))) for part in (1, 2)] + [0]
    assert parts.outcome() == undisturbed
    workers.run("--workers", "3")
    assert workers.outcome() == undisturbed


@pytest.mark.slow
def test_the_same_command_twice_at_once_shares_the_work(
    videos: Path, model_folder: Path, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    command = Command(videos, model_folder, tmp_path / "out")
    with command.begun() as one, command.begun() as two:
        assert [process.wait(PATIENCE) for process in (one, two)] == [1, 1]
    assert command.outcome() == undisturbed
    lines = (command.out / "manifest.jsonl").read_bytes().splitlines()
    begun = [row.output for line in lines if (row := Row.read(line)) and row.status == "begun"]
    assert len(begun) == len({*begun}) == 45  # each once


@pytest.mark.slow
@pytest.mark.parametrize("lines", [1, 8])  # 1: while processes start
@pytest.mark.parametrize("more", [[], ["--batch-clips", "3"]], ids=["alone", "together"])
def test_an_interruption_ends_all_processes_and_says_how_to_go_on(
    videos: Path, model_folder: Path, tmp_path: Path, more: list[str], lines: int
) -> None:
    command = Command(videos, model_folder, tmp_path / "out")
    with command.begun("--workers", "2", *more) as process:
        while command.lines() < lines:
            time.sleep(0.01)
        while len(children := psutil.Process(process.pid).children()) < 3:  # one keeps track of the others
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130, said
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert not list(command.out.rglob(".*"))


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_ends_it(videos: Path, model_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(model_folder, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    command = Command(videos, tmp_path / "model", tmp_path / "out")
    weights.write_bytes(weights.read_bytes()[:-7])
    said = command.run("--workers", "2")
    assert len(said.splitlines()) == 1 and "model.safetensors" in said
    assert not list(command.out.rglob("*.npz"))
