"""The command in a process of its own: signals, and many processes at once."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sweettok_cli.training.recipe import Recipe


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM cannot be caught there")
def test_command_saves_on_sigterm_and_resumes(tiny: Recipe, clips: Path, prior: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(dataclasses.replace(tiny, steps=100_000, log_every=1).as_toml())
    command = [
        sys.executable,
        "-m",
        "sweettok_cli",
        "train",
        "--data",
        str(clips),
        "--out",
        str(tmp_path / "run"),
    ]
    with subprocess.Popen(
        [*command, "--config", str(recipe), "--prior", str(prior), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None and process.stdout is not None
        for line in process.stderr:
            if line.startswith("step 2 "):
                process.send_signal(signal.SIGTERM)
                break
        rest = process.stderr.read()
        summary = json.loads(process.stdout.read())
    assert process.returncode == 130 and summary["interrupted"] and summary["step"] >= 2
    assert "Stopping after this step" in rest
    assert f"go on: sweettok train --out {tmp_path / 'run'} --resume" in rest
    done = subprocess.run(
        [*command[:4], *command[6:], "--resume", "--quiet", "--set", f"steps={summary['step'] + 1}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(f"{tmp_path / 'run' / 'model'}: {summary['step'] + 1} steps")
    newest = max((tmp_path / "run" / "checkpoints").iterdir())
    assert newest.name == f"{summary['step'] + 1:08d}"


@pytest.mark.slow
def test_two_processes_train_as_one(tiny: Recipe, clips: Path, prior: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(dataclasses.replace(tiny, steps=2).as_toml())
    train = ["-m", "sweettok_cli", "train", "--json", "--quiet", "--data", str(clips), "--prior", str(prior)]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", *train]
    out = tmp_path / "run"
    done = subprocess.run(
        [*command, "--config", str(recipe), "--out", str(out)],
        capture_output=True, text=True, timeout=900, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["step"] == 2
    assert len(list((out / "checkpoints" / "00000002").glob("rng-*.pt"))) == 2
    assert "2 x cpu" in json.loads((out / "log.jsonl").read_text().splitlines()[0])["event"]
