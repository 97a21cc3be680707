"""How far long work is."""

from __future__ import annotations

import io
import sys

import pytest
from stage import Clock, Terminal

from sweettok_cli.cli import progress
from sweettok_cli.cli.output import Output
from sweettok_cli.cli.progress import Overall


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def test_one_line_tells_of_all_files_and_parts_of_one(clock: Clock) -> None:
    lines: list[str] = []
    overall = Overall(lines.append, drawn=False)
    with overall.watch(0, 4, "a.mp4") as update:
        clock.now += 10
        update(20, 40)
        assert lines == []  # no minute is over
        clock.now += 10
        update(40, 40)
    with overall.watch(1, 4, "b.mp4") as update:
        clock.now += 45
        update(12.5, 50)  # within a clip
        update(13, 50)
        clock.now += 59
        update(14, None)
        clock.now += 1
        update(15, None)
    assert lines == [
        "2/4 b.mp4: 12.5/50 frames, 0.8 frames/s, 0:02:23 left",
        "2/4 b.mp4: 15 frames, 0.4 frames/s, 0:06:15 left",
    ]


def test_a_single_job_is_not_numbered(clock: Clock) -> None:
    lines: list[str] = []
    with Overall(lines.append, drawn=False, unit="words").watch(0, 1, "words") as update:
        clock.now += 60
        update(30, 90)
    assert lines == ["words: 30/90 words, 0.5 words/s, 0:02:00 left"]


def test_seconds_of_a_clock_have_no_rate(clock: Clock) -> None:
    lines: list[str] = []
    with Overall(lines.append, drawn=False, unit="s").watch(0, 1, "training") as update:
        clock.now += 60
        update(60, 240)
    assert lines == ["training: 60/240 s, 0:03:00 left"]


def test_bars_are_drawn_on_stderr_and_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, printed = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", drawn)
    monkeypatch.setattr(sys, "stdout", printed)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    overall = Output().overall()
    for place, name in enumerate(("a\x1b[31m.mp4", "b.mp4")):
        with overall.watch(place, 2, name) as update:
            update(3, 6)
            print("within")
        print(f"{name[0]}.npz")
    assert printed.getvalue() == "within\na.npz\nwithin\nb.npz\n"
    assert r"1/2 a\x1b[31m.mp4: " in drawn.getvalue() and "2/2 b.mp4: " in drawn.getvalue()
    assert drawn.getvalue().rstrip("\r").endswith("\x1b[2K")  # the last line is erased


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    with Output(quiet=True).progress("a") as update:
        clock.now += 1000
        update(1, 2)
    assert capsys.readouterr() == ("", "")
