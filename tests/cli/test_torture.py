"""The real command with a real (untrained, tiny) network over files that break video programs.

Each file comes back with its size, frame count and rate or times, or the command ends with one sentence, exit
code 1 and nothing half-written.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_network import small_network, word_prior
from video import torture

from sweettok_cli.models.sweettok.folder import save_model_folder
from sweettok_cli.tokens import Tokens, read_tokens, write_tokens
from sweettok_cli.video import VideoReader, probe
from tests.full_disk import disk_of

Cli = Callable[..., Any]

#: What `sweettok` must give back, beside the set that the reader's tests share.
FURTHER: dict[str, Callable[[Path], Path]] = {
    "turned.mp4": lambda p: torture.turn(torture.make(p), (0, 1, -1, 0)),
    "long.mp4": lambda p: torture.make(p, frames=40),
    "pause.mkv": lambda p: torture.make(
        p, pts=[0, 49_000, 50_000, 51_000, 7_200_000, 7_200_040], clock=Fraction(1, 1000)
    ),
    "voice.mp4": lambda p: torture.make(p, sound=("aac", 0)),
    "naïve 100% [x] 'q' #1:2.mp4": lambda p: torture.make(p),
    "no ending": lambda p: torture.make(p, kind="mp4"),
}
SET = torture.READABLE | FURTHER

BAD: dict[str, Callable[[Path], object]] = {
    "empty.mp4": lambda p: p.write_bytes(b""),
    "text.mp4": lambda p: p.write_text("a text, renamed\n" * 50),
    "noise.mkv": lambda p: p.write_bytes(np.random.default_rng(0).bytes(5000)),
    "zeros.avi": lambda p: p.write_bytes(bytes(5000)),
    "truncated.mp4": lambda p: torture.cut_short(torture.make(p), 0.6),
    "truncated.mov": lambda p: torture.cut_short(torture.make(p, container={"movflags": "faststart"}), 0.6),
    "truncated.gif": lambda p: p.write_bytes(b"GIF89a\x40\x00"),
    "truncated.png": lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    "sound.m4v": lambda p: torture.audio_only(p.with_suffix(".m4a")).rename(p),
    "playlist.ts": lambda p: p.write_text("#EXTM3U\n#EXTINF:1,\n/etc/hostname\n#EXT-X-ENDLIST\n"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that takes no time to run and needs no training."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    words = word_prior()
    save_model_folder(folder, small_network(words), words)
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that can be encoded."""
    folder = tmp_path_factory.mktemp("sources")
    for name, build in SET.items():
        build(folder / name)
    return folder


def only_sentence(err: str) -> str:
    """The one line that a failed command may say."""
    (line,) = err.splitlines()
    assert line.startswith("error: ") and line.endswith((".", "[train]'")), line
    assert "Something went wrong" not in line and "Traceback" not in line
    return line


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- What can be read comes back as it was.


@pytest.fixture(scope="module")
def encoded(sources: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Token files by the name of their source, made by one command."""
    out = tmp_path_factory.mktemp("tokens")
    given = sorted(str(path) for path in sources.iterdir())
    command = ["encode", *given, "-o", f"{out}/", "--model", str(model), "--json", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "sweettok_cli", *command],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0
    [told] = done.stderr.splitlines()
    assert "resized.h264" in told and "are scaled to" in told
    summary = json.loads(done.stdout)
    assert names(out) == sorted(Path(record["output"]).name for record in summary["encoded"])
    return {Path(record["source"]).name: Path(record["output"]) for record in summary["encoded"]}


@pytest.mark.parametrize("name", SET)
def test_what_goes_in_comes_out(
    cli: Cli, encoded: dict[str, Path], sources: Path, model: Path, tmp_path: Path, name: str
) -> None:
    meta = read_tokens(encoded[name]).meta
    target = tmp_path / ("back.png" if meta.image else "back.mp4")
    ran = cli("decode", encoded[name], "-o", target, "--model", model, "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, f"{target}\n", "")
    assert names(tmp_path) == [target.name]
    with VideoReader(sources / name) as before, VideoReader(target) as after:
        times = [frame.time for frame in before]
        shown = [(frame.time, frame.rgb.shape) for frame in after]
    assert [shape for _, shape in shown] == [(before.info.height, before.info.width, 3)] * len(times)
    if meta.image:
        return
    if meta.times is None:
        assert after.info.rate == before.info.rate
    else:
        assert [time for time, _ in shown] == pytest.approx(times, abs=1e-6)


@pytest.mark.parametrize("name", SET)
def test_every_file_can_be_described(cli: Cli, sources: Path, name: str) -> None:
    ran = cli("info", sources / name, "--json")
    assert (ran.code, ran.err) == (0, "")
    info = json.loads(ran.out)
    assert (info["width"], info["height"]) == (probe(sources / name).width, probe(sources / name).height)


@pytest.mark.parametrize("name", ["odd.mkv", "variable.mp4", "one.gif", "turned.mp4", "tiny.mkv"])
def test_round_trips_show_everything(cli: Cli, sources: Path, model: Path, tmp_path: Path, name: str) -> None:
    ran = cli("roundtrip", sources / name, "-o", tmp_path, "--model", model, "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    record = json.loads(ran.out)
    assert names(tmp_path) == sorted(Path(path).name for path in record["files"].values())
    shown = probe(record["files"]["decoded"])
    assert (shown.width, shown.height) == (record["width"], record["height"])


def test_a_name_that_is_no_text(cli: Cli, model: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    try:
        torture.make(tmp_path / "plain.mp4").rename(os.fsdecode(name))
    except OSError:
        pytest.skip("this file system takes text only")
    done = subprocess.run(
        [sys.executable, "-m", "sweettok_cli", "encode", name, "--model", model],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},  # what most locales come down to
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == name.replace(b".mp4", b".npz") + b"\n", "paths, for programs"
    for command in ("info", "words", "eval", "roundtrip"):  # and what is for people
        given = [name, "--quiet", *["--model", model] * (command != "info")]
        done = subprocess.run([sys.executable, "-m", "sweettok_cli", command, *given], capture_output=True)
        assert done.returncode == 0, done.stderr
        assert b"\xe9" not in done.stdout and (command == "words") == (b"caf\\xe9" not in done.stdout)


# --- What cannot be read ends in one sentence.


@pytest.mark.parametrize("command", ["encode", "roundtrip", "eval", "info"])
@pytest.mark.parametrize("name", BAD)
def test_what_is_broken_is_told_in_one_sentence(
    cli: Cli, model: Path, tmp_path: Path, name: str, command: str
) -> None:
    BAD[name](tmp_path / name)
    ran = cli(command, tmp_path / name, *([] if command == "info" else ["--model", model]))
    if command == "info" and name == "truncated.mov" and ran.code == 0:
        return  # its head, which is all that is asked for, is whole
    assert ran.code == 1
    assert name in only_sentence(ran.err)
    assert names(tmp_path) == [name]
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_one_broken_file_costs_no_other(cli: Cli, model: Path, tmp_path: Path) -> None:
    for name, build in BAD.items():
        build(tmp_path / name)
    torture.make(tmp_path / "good.mp4")
    ran = cli("encode", tmp_path, "--model", model, "--json", "--quiet")
    assert ran.code == 1
    summary = json.loads(ran.out)
    assert [Path(record["output"]).name for record in summary["encoded"]] == ["good.npz"]
    assert sorted(Path(record["source"]).name for record in summary["failed"]) == sorted(BAD)
    assert names(tmp_path) == sorted([*BAD, "good.mp4", "good.npz"])


# --- What may not be read or written.


@pytest.fixture
def open_folder(
    cli: Cli, sources: Path, encoded: dict[str, Path], model: Path, tmp_path: Path
) -> Iterator[Path]:
    """A folder that everybody may use, with a video and its tokens."""
    # Run everything once: nobody may not be allowed to import what is imported late.
    plain, tokens = sources / "plain.mp4", encoded["plain.mp4"]
    cli("roundtrip", plain, "-o", tmp_path / "warm", "--model", model)
    cli("eval", plain, "--model", model)
    cli("info", tokens)
    folder = Path(tempfile.mkdtemp())
    shutil.copy(plain, folder / "plain.mp4")
    shutil.copy(tokens, folder / "plain.npz")
    (folder / "closed").mkdir()
    for path in (folder, *folder.iterdir()):
        path.chmod(0o777)
    yield folder
    for path in folder.rglob("*"):
        path.chmod(0o777)
    shutil.rmtree(folder)


@contextmanager
def nobody() -> Iterator[None]:
    """No more rights than anybody has."""
    root = os.geteuid() == 0
    if root:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)


def test_what_may_not_be_read(cli: Cli, open_folder: Path) -> None:
    closed, plain = open_folder / "closed", open_folder / "plain.mp4"
    shutil.copy(plain, closed / "a.mp4")
    closed.chmod(0)
    plain.chmod(0)
    for command in ("encode", "eval"):
        with nobody():
            ran = cli(command, closed, "--quiet")
        assert ran.code == 1
        assert "closed cannot be read (Permission denied)" in only_sentence(ran.err)
    for command in ("encode", "roundtrip", "eval", "info"):
        with nobody():
            ran = (
                cli(command, plain, "--force") if command in ("encode", "roundtrip") else cli(command, plain)
            )
        assert ran.code == 1
        assert "plain.mp4 may not be read" in only_sentence(ran.err)
    assert names(open_folder) == ["closed/a.mp4", "plain.mp4", "plain.npz"]


def test_what_may_not_be_written(cli: Cli, open_folder: Path) -> None:
    closed, plain = open_folder / "closed", open_folder / "plain.mp4"
    closed.chmod(0o555)
    for command, source, target in (
        ("encode", plain, "x.npz"),
        ("encode", plain, "new/"),
        ("decode", open_folder / "plain.npz", "x.mp4"),
        ("roundtrip", plain, "new"),
    ):
        with nobody():  # without a model: it must be told before one is loaded
            ran = cli(command, source, "-o", f"{closed}/{target}", "--model", "unheard-of")
        assert ran.code == 1
        assert "closed" in only_sentence(ran.err) and "Permission denied" in ran.err


@pytest.mark.parametrize("command", ["encode", "decode", "roundtrip"])
def test_a_full_disk_leaves_what_was_there(
    cli: Cli, model: Path, sources: Path, encoded: dict[str, Path], tmp_path: Path, command: str
) -> None:
    source, target = {
        "encode": (sources / "long.mp4", tmp_path / "old.npz"),
        "decode": (encoded["long.mp4"], tmp_path / "old.mp4"),
        "roundtrip": (sources / "long.mp4", tmp_path / "old.mp4"),
    }[command]
    target.write_text("old")
    with disk_of(1024):
        ran = cli(command, source, "-o", target, "--force", "--model", model, "--quiet")
    assert ran.code == 1
    assert "free some space" in only_sentence(ran.err)
    assert target.read_text() == "old"
    assert names(tmp_path) == [target.name]


@pytest.mark.parametrize("name", ["a.gif", "a.webm", "a.mkv", "a.npy", "new/%04d.png", "a_%d.jpg"])
def test_a_full_disk_leaves_nothing_of_any_kind(
    cli: Cli, model: Path, encoded: dict[str, Path], tmp_path: Path, name: str
) -> None:
    with disk_of(100):
        ran = cli("decode", encoded["long.mp4"], "-o", tmp_path / name, "--model", model, "--quiet")
    assert ran.code == 1
    assert "free some space" in only_sentence(ran.err)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_of_a_round_trip(
    cli: Cli, model: Path, sources: Path, tmp_path: Path
) -> None:
    """Though its tokens are written before."""
    ran = cli("roundtrip", sources / "long.mp4", "-o", tmp_path / "whole", "--model", model)
    assert ran.code == 0
    largest = max(path.stat().st_size for path in (tmp_path / "whole").iterdir())
    assert (tmp_path / "whole" / "long.npz").stat().st_size < largest // 2
    with disk_of(largest // 2):
        ran = cli(
            "roundtrip", sources / "long.mp4", "-o", tmp_path / "new/below", "--model", model, "--quiet"
        )
    assert ran.code == 1
    assert "free some space" in only_sentence(ran.err)
    assert names(tmp_path) == [name for name in names(tmp_path) if name.startswith("whole")]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("option", ["--csv", "--markdown", "--report"])
def test_a_full_disk_leaves_no_table(
    cli: Cli, model: Path, sources: Path, tmp_path: Path, option: str
) -> None:
    command = "eval", sources / "plain.mp4", "--model", model, option, tmp_path / "out.html", "--quiet"
    journal = "--journal", tmp_path / "journal"
    assert cli(*command, *journal).code == 0
    (tmp_path / "out.html").unlink()
    with disk_of(100):
        ran = cli(*command, *journal)
    assert ran.code == 1
    assert "free some space" in only_sentence(ran.err)
    assert [name for name in names(tmp_path) if not name.startswith("journal")] == []


@pytest.mark.parametrize("buffered", [True, False])
def test_a_full_disk_behind_stdout(encoded: dict[str, Path], buffered: bool) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    command = [sys.executable, "-m", "sweettok_cli", "info", str(encoded["plain.mp4"]), "--json"]
    with open("/dev/full", "w") as full:
        env = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=env)
    assert done.returncode == 1
    assert "free some space" in only_sentence(done.stderr)


# --- What is no file.


@pytest.mark.parametrize(
    "command",
    [
        ("encode", "pipe.mp4"),
        ("encode", "."),
        ("encode", "--frames-of", "pipe.png"),
        ("decode", "pipe.npz"),
        ("info", "pipe.mp4"),
        ("roundtrip", "pipe.png"),
        ("eval", "pipe.mp4"),
        ("words", "pipe.npz"),
        ("train", "--stage", "2", "--data", "pipe.mp4", "--out", "out"),
        ("train", "--config", "pipe.toml", "--data", ".", "--out", "out"),
    ],
)
def test_nobody_waits_for_a_pipe(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    for ending in ("mp4", "png", "npz", "toml"):
        if not any(word.endswith(ending) for word in command) and command[1] != ".":
            continue
        os.mkfifo(tmp_path / f"pipe.{ending}")
    signal.alarm(300)  # ends the tests, where one waits
    ran = cli(*command, *([] if command[0] in ("info", "train", "decode", "words") else ["--quiet"]))
    signal.alarm(0)
    assert ran.code == 1
    assert "pipe." in ran.err and "Something went wrong" not in ran.err
    assert "out" not in {path.name for path in tmp_path.iterdir()}


# --- What is ended half-way.


@pytest.fixture(scope="module")
def endless(encoded: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokens of a video that takes longer to decode than anybody waits."""
    tokens = read_tokens(encoded["long.mp4"])
    clips = 4000
    arrays = {name: np.resize(array, (clips, *array.shape[1:])) for name, array in tokens.arrays.items()}
    path = tmp_path_factory.mktemp("endless") / "endless.npz"
    write_tokens(path, Tokens(arrays, dataclasses.replace(tokens.meta, frames=clips * 17)))
    return path


def test_ended_half_way_nothing_is_left(
    cli: Cli, endless: Path, encoded: dict[str, Path], model: Path, tmp_path: Path
) -> None:
    ends = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129, signal.SIGKILL: -9}
    running = {}
    for number in ends:
        folder = tmp_path / number.name
        folder.mkdir()
        (folder / "back.mp4").write_text("old")
        command = ["decode", str(endless), "-o", str(folder / "back.mp4"), "--force", "--model", str(model)]
        running[number] = subprocess.Popen(
            [sys.executable, "-m", "sweettok_cli", *command],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=not_ignoring_signals,
        )
    for number, process in running.items():
        folder = tmp_path / number.name
        wait_for(lambda: any(folder.glob(".*.part*")), process)  # noqa: B023
        process.send_signal(number)
    for number, process in running.items():
        _, err = process.communicate(timeout=600)
        assert process.returncode == ends[number], err
        assert "Traceback" not in err
        folder = tmp_path / number.name
        assert (folder / "back.mp4").read_text() == "old"
        left = [name for name in names(folder) if name != "back.mp4"]
        if number is signal.SIGKILL:
            assert len(left) == 2 and all(name.startswith(".") for name in left)  # part and claim
            ran = cli("decode", encoded["long.mp4"], "-o", folder / "back.mp4", "--force", "--model", model)
            assert ran.code == 0 and names(folder) == ["back.mp4"]  # the next one clears that away
        else:
            assert left == []


def test_a_batch_that_was_ended_goes_on(cli: Cli, sources: Path, model: Path, tmp_path: Path) -> None:
    for number in range(400):
        (tmp_path / f"{number:03}.mp4").hardlink_to(sources / "plain.mp4")
    command = [sys.executable, "-m", "sweettok_cli", "encode", str(tmp_path), "--model", str(model)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = Path(process.stdout.readline().strip())
    process.send_signal(signal.SIGTERM)
    talk = process.communicate(timeout=600)[1]
    assert process.returncode == 143, talk
    done = sorted(tmp_path.glob("*.npz"))
    assert first in done and len(done) < 400
    for path in done:
        read_tokens(path)  # whole
    assert not list(tmp_path.glob(".*"))
    for path in list(tmp_path.glob("*.mp4"))[len(done) + 3 :]:
        path.unlink()
    (tmp_path / ".left.part.mp4").write_bytes(b"what SIGKILL leaves is no source")
    ran = cli("encode", tmp_path, "--model", model, "--skip-existing", "--json", "--quiet")
    assert ran.code == 0
    assert all(record["output"] not in map(str, done) for record in json.loads(ran.out)["encoded"])
    assert not list(tmp_path.glob(".*-claim"))


def not_ignoring_signals() -> None:
    """What tests that run in the background, or under nohup, would hand on to what they start."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 600
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
