"""Ctrl-C, at any time."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from stage import interrupted

from sweettok_cli.video import write_image

Cli = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        write_image(tmp_path / "in" / f"{name}.png", np.full((16, 16, 3), ord(name), np.uint8))
    return tmp_path / "in"


def test_a_batch_says_what_is_done_and_how_to_go_on(
    cli: Cli, blocks: list[BlockTokenizer], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command, method in (("encode", "encode_batch"), ("decode", "decode_batch")):
        with monkeypatch.context() as patch:
            patch.setattr(BlockTokenizer, method, interrupted(getattr(BlockTokenizer, method), 2))
            ran = cli(command, folder, "--model", "blocks")
        assert ran.code == 130
        line = (
            f"Interrupted: 1 {command}d, 0 skipped, 0 failed, 2 left. To go on: sweettok {command} {folder} "
        )
        assert ran.err.splitlines()[-1] == f"{line}--model blocks --skip-existing"
        assert not list(folder.glob(".*"))
        ran = cli(command, folder, "--model", "blocks", "--skip-existing")
        assert ran.code == 0 and f"2 {command}d, 1 skipped, 0 failed" in ran.err


def test_a_single_file_says_that_there_is_nothing(
    cli: Cli, blocks: list[BlockTokenizer], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BlockTokenizer, "encode_batch", interrupted(BlockTokenizer.encode_batch, 1))
    ran = cli("encode", folder / "a.png", "--model", "blocks")
    assert ran.code == 130
    assert ran.err == (
        f"Interrupted; nothing was written. To start again: sweettok encode {folder}/a.png --model blocks\n"
    )
    shutil.rmtree(folder)


# Before there is anything to count: while the commands' own modules are imported.
EARLY = {
    "encode": "sweettok_cli.pipeline.folder.encode_folder",
    "decode": "sweettok_cli.pipeline.decode_folder.decode_folder",
    "eval": "sweettok_cli.evaluation.plan.make_plan",
    "roundtrip": "sweettok_cli.zoo.load.load",
    "words": "sweettok_cli.words.reader.WordReader",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", EARLY)
def test_before_anything_is_done_that_is_said(
    cli: Cli, clip: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: signal.Signals
) -> None:
    monkeypatch.setattr(EARLY[name], lambda *_, **__: signal.raise_signal(number))
    before = {*clip.parent.iterdir()}
    ran = cli(name, clip)
    assert (ran.code, ran.out) == (128 + number, "")
    assert ran.err == f"Interrupted; nothing was written. To start again: sweettok {name} {clip}\n"
    assert {*clip.parent.iterdir()} == before
    assert cli(name, clip, "--quiet").err == ""


def test_a_batch_whose_output_nobody_reads_says_what_is_done(
    cli: Cli, blocks: list[BlockTokenizer], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by ``| head -1``: the second path finds the pipe closed."""
    shown: list[str] = []

    def closed(path: Path) -> str:
        shown.append(path.name)
        if len(shown) == 2:
            raise BrokenPipeError(32, "Broken pipe")
        return str(path)

    monkeypatch.setattr("sweettok_cli.cli.batch.printed", closed)
    ran = cli("encode", folder, "--model", "blocks")
    assert (ran.code, ran.out) == (1, f"{folder}/a.png.npz\n")
    line = "Nobody reads the output any more: 2 encoded, 0 skipped, 0 failed, 1 left. To go on: sweettok"
    assert ran.err.splitlines()[-1] == f"{line} encode {folder} --model blocks --skip-existing"
    ran = cli("encode", folder, "--model", "blocks", "--skip-existing")
    assert ran.code == 0 and "1 encoded, 2 skipped, 0 failed" in ran.err


def test_a_real_pipe_that_is_closed(folder: Path, model_folder: Path) -> None:
    for number in range(100):
        shutil.copy(folder / "a.png", folder / f"{number}.png")
    command = [sys.executable, "-m", "sweettok_cli", "encode", str(folder), "--model", str(model_folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    first = process.stdout.readline()
    process.stdout.close()
    talk = process.stderr.read()
    assert process.wait() == 1 and first.endswith(".npz\n")
    assert "Nobody reads the output any more: " in talk and talk.endswith(" --skip-existing\n")


# Ctrl-C while the command line is imported: when it asks for Typer.
WHILE_LOADING = """
import os, signal, sys, time

class Finder:
    def find_spec(self, name, *_):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
from sweettok_cli.__main__ import main
sys.meta_path.insert(0, Finder())
main()
"""
# In code that is run by exec, as modules have it while they load.
WITHIN_EXEC = """
from sweettok_cli.cli import app
app.app = lambda **_: exec("raise KeyboardInterrupt")
app.main()
"""


@pytest.mark.parametrize("program", [WHILE_LOADING, WITHIN_EXEC])
@pytest.mark.parametrize("quiet", [False, True])
def test_no_traceback_and_130(program: str, quiet: bool) -> None:
    command = [sys.executable, "-c", program, *["--quiet"] * quiet]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 130 and done.stderr.startswith("" if quiet else "Interrupted; nothing was")
    assert len(done.stderr.splitlines()) == (not quiet)


def test_an_ignored_interrupt_stays_ignored() -> None:
    """As under nohup, and of what a script starts in the background."""
    program = WHILE_LOADING.replace("signal.default_int_handler", "signal.SIG_IGN")
    command = [sys.executable, "-c", f"import sys; sys.argv.append('--version'){program}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("sweettok ")
