"""``sweettok data pack`` as it is typed: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from small_run import write_clip

if TYPE_CHECKING:
    from conftest import Ran


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    for number in range(2):
        write_clip(tmp_path / "videos" / f"{number}.mp4", number, frames=8, width=64, height=48)
    return tmp_path / "videos"


def test_it_prints_what_to_train_on(cli: Callable[..., Ran], videos: Path, tmp_path: Path) -> None:
    ran = cli("data", "pack", videos, "-o", tmp_path / "s", "--val", 0.5, "--short-side", 32)
    assert ran.code == 0 and ran.out.split() == [str(tmp_path / "s" / part) for part in ("train", "val")]
    assert "packed: 2 clips as 2 pieces, 16 frames" in ran.err
    ran = cli("data", "pack", videos, "-o", tmp_path / "s", "--val", 0.5, "--short-side", 32)
    assert ran.code == 1 and "exists; pass --force to replace it" in ran.err
    ran = cli(
        *("data", "pack", videos, "-o", tmp_path / "s", "--val", 0.5, "--short-side", 32),
        *("--skip-existing", "--json"),
    )
    found = json.loads(ran.out)
    assert ran.code == 0 and found["skipped"] and found["clips"] == 2 and "packed before" in ran.err


def test_what_is_left_out_is_listed_and_the_code_says_so(
    cli: Callable[..., Ran], videos: Path, tmp_path: Path
) -> None:
    (videos / "bad.mp4").write_bytes(b"no video")
    ran = cli("data", "pack", videos, "-o", tmp_path / "s", "--json", "--quiet")
    assert ran.code == 1 and [one["clip"] for one in json.loads(ran.out)["unreadable"]] == ["bad.mp4"]
    assert ran.err.startswith("error: bad.mp4: cannot be read as a video") and ran.err.count("\n") == 1
    assert (tmp_path / "s" / "clips-000.tar").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--codec", "copy", "--fps", "8"], "--codec copy takes files as they are; leave out --fps"),
        (["--fps", "fast"], "--fps fast is no rate"),
        (["--sample", "256"], "--sample 256 is no side"),
        (["--sample", "64x17", "--seconds", "2"], "leave out --seconds"),
        (["--teacher", "omnitokenizer-imagenet-ucf"], "say with --sample"),
        (["--strict", "--keep-going"], "give one of them"),
        (["--codec", "av1"], "av1"),
    ],
)
def test_what_makes_no_sense_is_refused(
    cli: Callable[..., Ran], videos: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    ran = cli("data", "pack", videos, "-o", tmp_path / "s", *options)
    assert ran.code == 2 and words in ran.err and not (tmp_path / "s").exists()


def test_missing_input_leaves_nothing(cli: Callable[..., Ran], tmp_path: Path) -> None:
    ran = cli("data", "pack", tmp_path / "none", "-o", tmp_path / "s")
    assert ran.code == 1 and "none do not exist" in ran.err and not (tmp_path / "s").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_goes_on_after_any_end(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "v").mkdir()
    for seed in range(6):
        write_clip(tmp_path / "v" / f"{seed}.mp4", seed, frames=60)
    command = [sys.executable, "-m", "sweettok_cli", "data", "pack", str(tmp_path / "v"), "--workers", "1"]
    subprocess.run([*command, "-o", str(tmp_path / "whole")], check=True, capture_output=True)

    def heeding_ctrl_c() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    again = [*command, "-o", str(tmp_path / "s")]
    with subprocess.Popen(again, stderr=subprocess.PIPE, text=True, preexec_fn=heeding_ctrl_c) as process:
        while not [*(tmp_path / "s").glob(".pieces/[!.]*.json")]:
            assert process.poll() is None
        os.kill(process.pid, number)
        assert process.stderr is not None
        rest = process.stderr.read()
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert "Traceback" not in rest
    assert number == signal.SIGKILL or "what is packed so far is kept. To go on: sweettok data pack" in rest
    done = subprocess.run(again, check=True, capture_output=True, text=True)
    assert "clips were packed before" in done.stderr
    shards = [{p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("whole", "s")]
    assert shards[0] == shards[1] and len(shards[0]) == 3
