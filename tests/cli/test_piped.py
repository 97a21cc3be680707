"""`sweettok encode` of a part, of a pipe, of an address, clip by clip: what is said, printed and left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from video import torture
from video.test_pipe import MADE

from sweettok_cli.tokens import read_tokens
from sweettok_cli.video.selection import Selection

Cli = Callable[..., Any]


@pytest.fixture
def piped(cli: Cli) -> Callable[..., Any]:
    """``piped(data, "encode", "-")``: the command with these bytes on its stdin."""

    def run(data: bytes, *arguments: object) -> Any:
        taken, given = os.pipe()
        before = os.dup(0)
        os.dup2(taken, 0)
        os.close(taken)

        def write() -> None:
            with open(given, "wb") as stream:
                try:
                    stream.write(data)
                except BrokenPipeError:
                    return

        writer = threading.Thread(target=write)
        writer.start()
        try:
            return cli(*arguments)
        finally:
            os.dup2(before, 0)  # which closes the end that was read
            os.close(before)
            writer.join()

    return run


@pytest.fixture
def long(tmp_path: Path, blocks: list[Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return MADE["a.mkv"](tmp_path / "long.mkv")


def test_a_part_is_encoded_and_told(cli: Cli, long: Path) -> None:
    part = "--start", "0:00.4", "--end", "2", "--fps", "10", "--short-side", "40", "--max-frames", "12"
    ran = cli("encode", long, "-m", "blocks", *part)
    assert ran.code == 0 and "12 frames, 1 clip" in ran.err
    meta = read_tokens(long.parent / "long.mkv.npz").meta
    assert meta.selection == Selection("0.4", 2, 10, 40, 12) and (meta.width, meta.height) == (53, 40)
    told = json.loads(cli("info", "long.mkv.npz", "--json").out)
    assert told["selection"]["begins"] == 0.4 and told["selection"]["fps"] == "10/1"
    assert "from 0.4 s to 2 s, 10 frames a second" in cli("info", "long.mkv.npz").out
    assert json.loads(cli("encode", long, "-m", "blocks", *part, "--skip-existing", "--json").out)["skipped"]
    ran = cli("encode", long, "-m", "blocks", "--skip-existing")
    assert ran.code == 1 and "is of another part of long.mkv: from 0.4 s to 2 s" in ran.err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--start", "2", "--end", "1"], 2, "--end 1 does not come after --start 2; give a later end."),
        (
            ["--end", "0.0000001"],
            2,
            "--end 0.0000001 comes less than a millionth of a second after --start 0;",
        ),
        (["--start", "-1"], 2, "--start -1 is no time in a video"),
        (["--end", "nan"], 2, "--end nan is no time in a video"),
        (["--fps", "0"], 2, "--fps 0 is no rate"),
        (["--short-side", "0"], 2, "--short-side 0 is no number from 1"),
        (["--max-frames", "-3"], 2, "--max-frames -3 is no number from 1"),
        (["--start", "9"], 1, "long.mkv ends after 2.4 s, before --start 9; choose an earlier start."),
        (["--start", "1.01", "--end", "1.02"], 1, "has no frame from 1.01 s to 1.02 s"),
        (["--stream", "--json"], 2, "--stream encodes one video"),
        (["--stream", "--skip-existing"], 2, "--stream encodes one video"),
        (["--stream", "other.mkv"], 2, "--stream encodes one video"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    cli: Cli, long: Path, options: list[str], code: int, said: str
) -> None:
    ran = cli("encode", long, "-m", "blocks", *options)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err and ran.err.startswith("error: ") and ran.err.count("\n") == 1
    assert not list(long.parent.glob("*.npz"))


def test_a_pipe_is_a_file_without_a_name(piped: Any, cli: Cli, long: Path) -> None:
    assert cli("encode", long, "-m", "blocks", "-o", "file.npz").code == 0
    ran = piped(long.read_bytes(), "encode", "-", "-m", "blocks")
    assert (ran.code, ran.out) == (0, "stdin.npz\n")
    ran = piped(long.read_bytes(), "encode", "-", "-m", "blocks", "-o", "named.npz", "--max-frames", "20")
    assert (ran.code, ran.out) == (0, "named.npz\n")
    file, whole, part = (read_tokens(Path(name)) for name in ("file.npz", "stdin.npz", "named.npz"))
    assert all(np.array_equal(array, whole.arrays[name]) for name, array in file.arrays.items())
    assert (whole.meta.source, part.meta.frames) == ("stdin", 20)
    assert piped(b"", "encode", "-", "-m", "blocks", "--skip-existing").code == 0


@pytest.mark.parametrize("data", [b"", b"no video\n", MADE])
def test_a_pipe_that_fails_is_one_sentence(piped: Any, long: Path, data: Any) -> None:
    if data is MADE:
        data = long.read_bytes()[:-100]
    for more in ([], ["-o", "new/"], ["--stream", "-o", "live.npz"]):
        ran = piped(data, "encode", "-", "-m", "blocks", *more)
        assert ran.code == 1 and ran.err.startswith("error: stdin ") and ran.err.count("\n") == 1
    assert not list(long.parent.rglob("*.npz"))


@pytest.mark.parametrize("model", ["blocks", "stairs"])
def test_lines_hold_what_the_token_file_does(piped: Any, long: Path, model: str) -> None:
    ran = piped(long.read_bytes(), "encode", "-", "-m", model, "--stream", "-o", "live.npz")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 0 and "4 clips, tokens" in ran.err and "live.npz is written" in ran.err
    assert [line["frames"] for line in lines] == [[0, 17], [17, 34], [34, 51], [51, 60]]
    assert [line["clip"] for line in lines] == [0, 1, 2, 3] and lines[1]["seconds"] == [0.68, 1.36]
    tokens = read_tokens(Path("live.npz"))
    for name, array in tokens.arrays.items():
        parts = [line["arrays"][name] for line in lines]
        dense = name + "_counts" not in tokens.arrays
        assert np.array_equal(np.array(parts) if dense else np.concatenate(parts), array)
    assert all(0 < line["latency"] < 60 and line["tokens"] and line["bits"] for line in lines)


def test_a_file_is_streamed_and_nothing_is_written(cli: Cli, long: Path) -> None:
    ran = cli("encode", long, "-m", "blocks", "--stream", "--start", "1", "--quiet")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 0 and ran.err == "" and lines[0]["seconds"][0] == 1 and lines[-1]["frames"][1] == 35
    assert not list(long.parent.glob("*.npz"))


def test_an_address_becomes_a_file_here(cli: Cli, long: Path) -> None:
    for name in ("a.mkv", "sub/b.mkv"):
        with fsspec.open(f"memory://site/{name}", "wb") as stream:
            stream.write(long.read_bytes())
    ran = cli("encode", "memory://site/a.mkv", "-m", "blocks", "--end", "1")
    assert (ran.code, ran.out) == (0, "a.mkv.npz\n")
    assert read_tokens(Path("a.mkv.npz")).meta.frames == 25
    ran = cli("encode", "memory://site/", "-m", "blocks", "-o", "out", "--json")
    assert [record["source"] for record in json.loads(ran.out)["encoded"]] == [
        "memory:///site/a.mkv",
        "memory:///site/sub/b.mkv",
    ]
    assert Path("out/sub/b.mkv.npz").is_file()
    ran = cli("encode", "memory://site/none.mkv", "-m", "blocks")
    assert ran.code == 1 and ran.err == "error: memory://site/none.mkv does not exist; check the address.\n"


def test_lines_come_while_the_pipe_is_open(model_folder: Path, tmp_path: Path) -> None:
    data = torture.make(tmp_path / "a.y4m", "wrapped_avframe", frames=60).read_bytes()
    command = [sys.executable, "-m", "sweettok_cli", "encode", "-", "--stream", "-m", str(model_folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write(data[: len(data) // 2])
        running.stdin.flush()
        first = json.loads(running.stdout.readline())
        running.stdin.write(data[len(data) // 2 :])
        running.stdin.close()
        rest = running.stdout.read().splitlines()
    assert running.returncode == 0 and first["frames"] == [0, 17] and len(rest) == 3
