from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sweettok_cli

Cli = Callable[..., "object"]
COMMANDS = (
    "encode",
    "decode",
    "roundtrip",
    "info",
    "words",
    "eval",
    "recognise",
    "train",
    "doctor",
    "codebook build",
)
HEAVY = ("torch", "av", "numpy", "transformers", "accelerate", "PIL", "matplotlib")


def processor_seconds(*arguments: str) -> float:
    """Of a Python of its own, the least of some; what else runs lengthens it less than a clock's time."""
    took = []
    for _ in range(5):
        before = os.times()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        after = os.times()
        took.append(after[2] + after[3] - before[2] - before[3])
    return min(took)


def test_help_imports_nothing_heavy_and_is_quick() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "sweettok_cli", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert imported & set(HEAVY) == set()
    # A ratio to what the library alone takes, on any machine, however busy: 2, and far more with torch.
    assert processor_seconds("-m", "sweettok_cli", "--help") < 5 * processor_seconds(
        "-c", "import typer.main"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_examples(cli: Cli, command: str) -> None:
    ran = cli(*command.split(), "--help")
    assert ran.code == 0
    examples = ran.out.split("Examples:")[1].split("Options:")[0]
    assert f"sweettok {command}" in examples


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_read_by_programs_and_kept_quiet(cli: Cli, command: str) -> None:
    ran = cli(*command.split(), "--help")
    assert "--json" in ran.out
    assert "--quiet" in ran.out


def test_version(cli: Cli) -> None:
    ran = cli("--version")
    assert (ran.code, ran.out) == (0, f"sweettok {sweettok_cli.__version__}\n")


def test_no_arguments_is_help(cli: Cli) -> None:
    ran = cli()
    assert "Usage: sweettok" in ran.out + ran.err


@pytest.mark.parametrize(
    "arguments", [["unheard-of"], ["encode"], ["encode", "--batch-clips", "0", "a"], ["info", "--x"]]
)
def test_wrong_usage_is_two(cli: Cli, arguments: list[str]) -> None:
    ran = cli(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert "Error" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--init", "a", "--prior", "b"], "give --init or --prior"),
        (["train", "--init", "a", "--set", "model.dim=3"], "leave out --set model.dim=3"),
        (["train", "--resume"], "give it with --out"),
        (["train", "--resume", "--out", "a", "--init", "b"], "leave out --init"),
        (["roundtrip", "a.mp4", "--fps", "24"], "add --frames-of"),
        (["encode", "%04d.png", "--fps", "0/0"], "--fps 0/0 is no rate"),
        (["encode", "a.mp4", "--fps", "1001"], "--fps 1001 is no rate from 0.001 to 1000; give frames"),
        (["encode", "http://"], "http:// names no host; give an address such as https://host/clip.mp4."),
        (["encode", "https:///a.mp4"], "https:///a.mp4 names no host"),
        (["encode", "s3://", "-o", "b/"], "s3:// names no file"),
        (["encode", "http://me:secret@/a.mp4"], "error: http:///a.mp4 names no host"),
        (["encode", "http://[x/a.mp4"], "http://[x/a.mp4 names no host"),
        (["encode", "a.mp4", "-o", "a.mp4"], "a.mp4 does not end in .npz; name it so, or end it with /"),
    ],
)
def test_what_no_files_could_make_right_is_wrong_usage(cli: Cli, arguments: list[str], said: str) -> None:
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ") and said in ran.err and ran.err.count("\n") == 1


def test_an_error_is_one_sentence_on_stderr(cli: Cli) -> None:
    ran = cli("info", "missing.npz")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "error: missing.npz does not exist; check the name.\n"


def test_debug_shows_where(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sweettok_cli", "info", "missing.npz"],
        capture_output=True,
        text=True,
        env={**os.environ, "SWEETTOK_DEBUG": "1"},
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "Interrupted; nothing was written."),
        (MemoryError(), 1, "--batch-clips 1"),
        (ZeroDivisionError("over\nzero"), 1, "ZeroDivisionError: over)"),
        (BrokenPipeError(32, "Broken pipe"), 1, ""),
    ],
)
def test_what_was_not_foreseen_ends_in_a_sentence(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    def fail(path: Path) -> None:
        raise error

    monkeypatch.setattr("sweettok_cli.packing.token_file.looks_like_tokens", fail)
    monkeypatch.delenv("SWEETTOK_DEBUG", raising=False)
    ran = cli("info", "a.npz")
    assert ran.code == code
    assert said in ran.err
    assert len(ran.err.splitlines()) == bool(said)


@pytest.mark.parametrize("letter", ["a", "\u5b57"])
@pytest.mark.parametrize(
    "command", [("info",), ("encode",), ("eval",), ("words",), ("encode", "--frames-of")]
)
def test_names_that_no_file_system_takes_are_one_sentence(
    cli: Cli, command: tuple[str, ...], letter: str
) -> None:
    ran = cli(*command, letter * 300)
    assert (ran.code, ran.out) == (1, "")
    assert "cannot be used (File name too long); check its name" in ran.err


def test_a_closed_pipe_is_no_drama(examples: Path) -> None:
    source = min(examples.glob("*.mp4"))
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "sweettok_cli", "info", source],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        # Buffered, as ordinarily: the pipe is found closed only when the buffer is flushed.
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1


def test_module_and_script_are_the_same_program(process: Cli) -> None:
    assert process("--version", check_code=0).out == f"sweettok {sweettok_cli.__version__}\n"


def test_warnings_are_lines_of_ours() -> None:
    code = """
import logging, sys, warnings
from sweettok_cli.cli import app

def command(prog_name):
    warnings.warn("of a library")
    logging.getLogger("PIL.TiffImagePlugin").error("of a library, too")
    logging.getLogger("sweettok_cli").warning("%s: gone", "a\\nb\\x1b[2J.mp4")

app.app = command
app.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "warning: a\\nb\\x1b[2J.mp4: gone\n"


@pytest.mark.parametrize(
    ("option", "like"),
    [
        ("--metrics", None),
        ("--forse", "--force"),
        ("--jason", "--json"),
        ("--audio", None),
        ("--batch", None),
    ],
)
def test_only_what_is_alike_is_suggested(cli: Callable[..., Any], option: str, like: str | None) -> None:
    ran = cli("encode", "a.mp4", option)
    assert ran.code == 2 and f"No such option: {option}" in ran.err
    assert re.findall(r"options: (.*)\)", ran.err) == ([] if like is None else [like])
