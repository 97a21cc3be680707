"""Help: the same by both ways, as wide as the terminal, painted on one, every option described and placed."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer

from sweettok_cli.cli.app import app
from sweettok_cli.cli.help import GROUPS

Cli = Callable[..., Any]
COLOUR = re.compile(r"\x1b\[[\d;]*m")


def commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command, with the words that call it."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *path, name)


@pytest.mark.parametrize("path", [path for path, _ in commands(typer.main.get_command(app))], ids=" ".join)
def test_help_is_a_command_and_an_option(cli: Cli, path: tuple[str, ...]) -> None:
    asked, option = cli("help", *path), cli(*path, "--help")
    assert asked.code == option.code == 0
    assert asked.out == option.out and asked.out.startswith(" ".join(("Usage: sweettok", *path, "")))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (["enc"], "sweettok has no command 'enc'; did you mean encode?"),
        (["models", "zzz"], "sweettok models has no command 'zzz'; there are list, pull,"),
        (["encode", "x"], "sweettok encode has no command 'x'."),
    ],
)
def test_help_for_what_is_not_there_is_wrong_usage(cli: Cli, path: list[str], said: str) -> None:
    ran = cli("help", *path)
    assert ran.code == 2 and said in ran.err and ran.out == ""


def test_every_option_is_described_and_every_group_is_used() -> None:
    seen = set()
    for path, command in commands(typer.main.get_command(app)):
        assert command.help or command.short_help, path
        for param in command.params:
            seen |= set(param.opts)
            assert (param.help or "").endswith("."), (path, param.name)
    assert {name for names in GROUPS.values() for name in names} - seen == {"--help"}


def test_options_stand_in_groups(cli: Cli) -> None:
    found = re.findall(r"^(\w+):$", cli("eval", "--help").out, re.M)
    assert found == ["Arguments", "Options", *GROUPS]
    general = cli("eval", "--help").out.split("General:")[1]
    assert re.findall(r"--[\w-]+", general) == ["--json", "--quiet", "--help"]


@pytest.mark.parametrize("columns", [60, 100, 180])
def test_lines_are_as_long_as_the_terminal_is_wide(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = cli("eval", "--help").out.splitlines()
    prose = [len(line) for line in lines if not line.lstrip().startswith(("sweettok", "--", "Usage"))]
    assert columns - 20 < max(prose) <= columns


@pytest.mark.parametrize("no_colour", ["", "1"])
def test_a_terminal_gets_colours_unless_they_are_not_wanted(no_colour: str) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "sweettok_cli", "encode", "--help"],
        stdout=theirs,
        check=True,
        env={**os.environ, "NO_COLOR": no_colour, "TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(theirs)
    shown = ""
    while part := _read(ours):
        shown += part
    os.close(ours)
    assert done.returncode == 0 and "Usage: sweettok encode" in COLOUR.sub("", shown)
    assert bool(COLOUR.search(shown)) == (not no_colour)
    if not no_colour:
        for painted in (
            "\x1b[1;33mOutput",
            "\x1b[36m-o, --output PATH\x1b[0m",
            "\x1b[32m      sweettok encode",
        ):
            assert painted in shown
        assert "\x1b[36mFolders" not in shown  # prose


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode()
    except OSError:  # how Linux says that the other end is closed
        return ""
