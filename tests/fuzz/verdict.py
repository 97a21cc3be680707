"""What a command may make of a hostile file: what it was asked for, or one sentence that names the file."""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweettok_cli.cli import app
from sweettok_cli.cli.output import explain, shown
from sweettok_cli.errors import SweettokError

#: In the name of every file and folder that is tried.
NAME = "case"
#: In front of the name of some.
ODD = ("\n", "\x1b[2J", os.fsdecode(b"\xff"), "\u202e", "\x9b", "%s", "'\"", " ", "ü", "x" * 180)
LONGEST = 1020
_RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


#: What libtiff says past Python, and can be told by no setting of Pillow to keep to itself.
_LIBTIFF = re.compile(
    r"(tempfile\.tif|MissingRequired|[A-Za-z0-9]+(Decode|Setup|Directory|Strip|Tile)[A-Za-z0-9]*): "
)


class Verdict:
    """Runs commands of the command line in this process, and notes what is wrong with what they do."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def command(self, *arguments: object) -> str | None:
        """What ``sweettok ARGUMENTS -q`` prints; None where it fails, which it may in a sentence."""
        words = [*map(str, arguments), "-q"]
        code, out, err = _run(words)
        asked = " ".join(words)
        if err and (wrong := _wrong_errors(err, code)):
            self.fault(f"{wrong}: {asked}\n{err[-1500:]}")
        elif code not in (0, 1) or (code == 1 and not err and "damaged" not in out):
            self.fault(f"exit code {code}: {asked}\n{out[-500:]}{err[-500:]}")
        if "--json" in words and code == 0:
            self._json(out, asked)
        elif raw := _RAW.search(_without_paths(out)):
            self.fault(f"{raw[0]!r} on stdout: {asked}\n{out[:1500]}")
        return out if code == 0 else None

    def call(self, what: str, function: Callable[[], Any]) -> Any:
        """What ``function`` gives; None where it raises what is meant for the user."""
        try:
            return function()
        except SweettokError as error:
            if wrong := _wrong_sentence(shown(explain(error))):
                self.fault(f"{wrong}: {what}\n{error}"[:1500])
        except Exception:
            self.fault(f"INTERNAL: {what}\n{traceback.format_exc()[-1500:]}")
        return None

    def holds(self, fact: bool, what: str) -> None:
        """Note ``what`` where it is not so."""
        if not fact:
            self.fault(what)

    def fault(self, what: str) -> None:
        """Note what is wrong."""
        self.faults.append(what)

    def left(self, folder: Path, *wanted: Path) -> None:
        """Note files in ``folder`` that nobody asked for."""
        names = {path.name for path in wanted}
        if others := [path.name for path in folder.iterdir() if path.name not in names]:
            self.fault(f"LEFT: {others[:3]!r}")

    def _json(self, out: str, asked: str) -> None:
        try:
            json.loads(out, parse_constant=lambda name: self.fault(f"{name} in JSON: {asked}"))
            out.encode()
        except ValueError as error:
            self.fault(f"no JSON ({error}): {asked}\n{out[:1500]}")


def _run(words: list[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr, with what libraries write past Python; see :mod:`fuzz.workers`."""
    for number in (1, 2):
        os.ftruncate(number, 0)
        os.lseek(number, 0, os.SEEK_SET)
    sys.argv = ["sweettok", *words]
    try:
        app.main()
        code: Any = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = -1
    sys.stdout.flush()
    sys.stderr.flush()
    return code, *(os.pread(n, 1 << 22, 0).decode("utf-8", "surrogateescape") for n in (1, 2))


def _wrong_errors(err: str, code: int) -> str | None:
    """What is wrong with stderr."""
    lines = err.removesuffix("\n").split("\n")
    if "Traceback (most recent call last)" in err or "Something went wrong" in err:
        return "INTERNAL"
    if "not enough memory" in err:
        return "MEMORY"
    lines = [line for line in lines if not _LIBTIFF.match(line)]
    if foreign := [line for line in lines if not line.startswith(("error: ", "warning: "))]:
        return f"foreign on stderr ({foreign[0][:80]!r})"
    errors = [line for line in lines if line.startswith("error: ")]
    if len(errors) != (code == 1):
        return f"{len(errors)} errors with exit code {code}"
    return next(filter(None, map(_wrong_sentence, lines)), None)


def _wrong_sentence(sentence: str) -> str | None:
    """What is wrong with what is said to the user."""
    if "Something went wrong" in sentence:
        return "INTERNAL"
    if len(sentence) > LONGEST:
        return f"{len(sentence)} characters"
    if raw := _RAW.search(sentence):
        return f"{raw[0]!r} in a sentence"
    return None if NAME in sentence else "no name"


def _without_paths(out: str) -> str:
    """Output without lines that are the path of a file that was written: those are for programs."""
    return "\n".join(line for line in out.split("\n") if not line.endswith((".mp4", ".png", ".npz")))
