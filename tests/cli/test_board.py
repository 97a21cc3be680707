"""The table of a training, on a terminal: what is drawn, what is said above it, and what a signal leaves."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest

from sweettok_cli.training.recipe import Recipe

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals")

# A training's records, as fast as the table is drawn, and a signal whose handler speaks.
RECORDS = """
import os, signal, sys, time
from sweettok_cli.cli.board import voice_of
from sweettok_cli.cli.output import Output

voice = voice_of(Output())
losses = {"l1": 0.25, "l2": 5e-4, "discriminator/feature_matching": 12345.0}
books = {"spatial_modifier": {"use": 0.83}, "temporal_head": {"use": 1.0}}
looked_at = {"kind": "validate", "clips": 2, "frames": 17}
signal.signal(signal.SIGUSR1, lambda *_: voice.say("a signal speaks"))
voice.record({**looked_at, "step": 1000, "psnr": 31.5}, "of before", False)
with voice.watch("steps") as on_progress:
    for step in range(1, 4):
        on_progress(step - 1, 3)
        voice.record(
            {
                "kind": "train", "step": 1000 + step, "loss": 0.5 * step, "losses": losses, "psnr": 25.125,
                "lr": 3e-4, "grad_norm": 1.5, "codebooks": books, "seconds_per_step": 2.0, "data_wait": 0.5,
                "clips_per_second": 4.0, "minutes": 1.0, "unreadable": 7, "proxy_hits": 0.125,
            },
            f"line {step}", True,
        )
        time.sleep(0.3)
    voice.record({"kind": "warning", "step": 3, "event": "skipping \\x1b[2Jclip.mp4"}, "", True)
    print("a library speaks", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGUSR1)
    voice.record({**looked_at, "step": 1003, "psnr": 30.5}, "validated", True)
voice.say("after all")
"""


CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(command: list[str], columns: int, env: dict[str, str] | None = None) -> Iterator[str]:
    """What a command writes on a terminal as wide, piece by piece; at its end, its exit code."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def begin() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores it

    # Rich believes these before the terminal.
    given = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**given, "TERM": "xterm-256color", **(env or {})},
        preexec_fn=begin,
    )  # fmt: skip
    os.close(theirs)
    giving_up = Timer(120, process.kill)
    giving_up.start()
    try:
        while True:
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # how Linux says that nobody writes any more
                piece = b""
            if not piece:
                break
            pressed = yield piece.decode(errors="replace")
            if pressed:
                os.write(ours, pressed.encode())
        yield f"exit {process.wait()}"
    finally:
        giving_up.cancel()
        process.kill()
        process.wait()
        os.close(ours)


def screen(written: str) -> list[str]:
    """What is on an endless screen in the end: of control codes, the lines up and the lines emptied."""
    lines, row, column = [""], 0, 0
    for part in re.findall(rf"{CONTROL.pattern}|\r|\n|[^\x1b\r\n]+", written):
        if part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row == len(lines))
        elif part == "\r":
            column = 0
        elif part.startswith("\x1b["):
            if part[-1] == "A":
                row = max(0, row - int(part[2:-1] or 1))
            elif part[-1] == "K":
                lines[row] = ""
        else:
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines]


@pytest.mark.parametrize("columns", [60, 100, 140])
def test_the_table_has_it_all_and_talk_stands_above_it(columns: int) -> None:
    *pieces, end = on_terminal([sys.executable, "-c", RECORDS], columns)
    written = "".join(pieces)
    assert end == "exit 0" and "Traceback" not in written
    assert "\x1b[2J" not in written, "what a file's name does to terminals"
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l"), "the cursor is back"
    found = screen(written)
    table = next(number for number, line in enumerate(found) if line.startswith("training: "))
    talk = ["warning: skipping \\x1b[2Jclip.mp4", "a signal speaks", "validated"]
    assert [line for line in found[:table] if line in talk] == talk
    assert "a library speaks" in found[:table]
    assert found[-2:] == ["after all", ""]
    drawn = found[table:-2]
    assert max(map(len, drawn)) <= columns
    text = "\n".join(drawn)
    for name, value in {
        "step": "1,003", "loss": "1.500", "  l1": "0.2500", "  l2": "5.00e-04", "psnr": "25.12 dB",
        "validation (1,003)": "30.50 dB", "best (1,000)": "31.50 dB", "clips a second": "4.00",
        "waiting for data": "25%", "learning rate": "3.00e-04", "gradient": "1.500", "unreadable clips": "7",
        "  spatial_modifier": "83%", "  temporal_head": "100%", "proxy_hits": "0.1250",
    }.items():  # fmt: skip
        assert re.search(rf"{re.escape(name)} +{re.escape(value)}( |$)", text, re.MULTILINE), (name, text)
    assert re.search(r"  discriminator/f[a-z_]*… 1\.23e\+04", text)
    assert not re.search("line [123]", written), "lines of figures are the table's"


def test_a_terminal_that_cannot_be_drawn_on_has_lines() -> None:
    *pieces, end = on_terminal([sys.executable, "-c", RECORDS], 80, {"TERM": "dumb"})
    found = screen("".join(pieces))
    assert end == "exit 0" and {"line 1", "line 2", "line 3", "validated", "after all"} <= {*found}
    assert "of before" not in found


@pytest.mark.slow
def test_a_real_training_is_shown_and_stopped_by_ctrl_c(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(dataclasses.replace(tiny, steps=100_000, log_every=1).as_toml())
    given = ["--data", str(clips), "--prior", str(prior), "--config", str(recipe)]
    command = [sys.executable, "-m", "sweettok_cli", "train", *given, "--out", str(tmp_path / "run")]
    running, written, pressed = on_terminal(command, 60), "", False
    piece = next(running)
    while not piece.startswith("exit "):
        written += piece
        press = not pressed and re.search(r"step +[1-9]", CONTROL.sub("", written)) is not None
        pressed = pressed or press
        piece = running.send("\x03" if press else None)
    found = screen(written)
    assert piece == f"exit {128 + signal.SIGINT}"
    table = next(number for number, line in enumerate(found) if line.startswith("training: "))
    assert any(line.startswith("Stopping after this step, to save it") for line in found[:table])
    assert any(line.startswith("Interrupted; the run is saved up to step") for line in found[table:])
    assert not re.search(r"^step \d+  loss", "\n".join(found), re.MULTILINE)
    assert max(len(line) for line in found[table : table + 6]) <= 60
