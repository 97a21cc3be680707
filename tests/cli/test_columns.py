"""Tables and lists on terminals of several widths, and in a pipe."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweettok_cli.cli.columns import fitted, lined_up
from sweettok_cli.zoo.catalogue import CATALOGUE

Cli = Callable[..., Any]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """``terminal(60)``: from now on stdout is one of 60 columns."""

    def of(width: int) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)

    return of


def lines_of(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_of_any_command_is_wider_than_the_terminal(
    cli: Cli, terminal: Callable[[int], None], clip: Path, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for paths, which stay whole."""
    assert cli("encode", clip).code == 0
    monkeypatch.chdir(clip.parent)
    shutil.copy("clip.npz", "a rather long name of a clip.npz")
    terminal(width)
    for command in (
        "models list",
        "models verify",
        "info sweettok-small",
        "info clip.npz",
        "info clip.mp4",
        "doctor",
        "words clip.npz",
        "words .",
        "train --keys",
        "roundtrip clip.mp4",
        "eval clip.mp4",
    ):
        ran = cli(*command.split())
        assert ran.code == 0, ran.err
        for line in lines_of(ran.out):
            assert len(line) <= width or len(max(line.split(), key=len)) > width / 2, (command, line)
        assert "\u2026" not in ran.out, command


@pytest.mark.parametrize(("width", "left_out"), [(60, "note, family, licence"), (80, "note, family")])
def test_the_list_of_models_leaves_out_what_matters_least(
    cli: Cli, terminal: Callable[[int], None], width: int, left_out: str
) -> None:
    terminal(width)
    text = cli("models", "list").out
    said = " ".join(" ".join(lines_of(text)).split())
    assert said.endswith(f"not shown for want of width: {left_out}; --json has all")
    names = [line.split()[0] for line in lines_of(text) if line.strip()]
    assert [model.name for model in CATALOGUE] == names[1 : 1 + len(CATALOGUE)]


def test_in_a_pipe_nothing_is_left_out_or_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    long = "word " * 60
    assert lined_up([["a", long.strip()], ["longer", "b\nc"]]) == f"a       {long.strip()}\nlonger  b\\nc"
    table = fitted({"name": ["x"], "note": ["y"]}, ("note",))
    assert [line.split() for line in table.splitlines()] == [["name", "note"], ["x", "y"]]


def test_what_is_too_long_goes_on_below_itself(terminal: Callable[[int], None]) -> None:
    terminal(40)
    path = "/a/" + "b" * 50
    assert lined_up([["of", f"some words and {path} and more words"], ["longer", ""]]).splitlines() == [
        "of      some words and",
        f"        {path}",
        "        and more words",
        "longer",
    ]
    terminal(20)  # too narrow to be wrapped
    assert lined_up([["of", "some words and more words"]]) == "of  some words and more words"
