"""What a command says: results, errors in one sentence, progress, tables."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweettok_cli.cli.progress import Overall
from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import OnProgress

if TYPE_CHECKING:
    from rich.console import RenderableType


#: Exit codes, beside 0; that of wrong usage is Typer's. A signal that ended the command adds its number.
FAILED, MISUSED, BY_SIGNAL = 1, 2, 128
INTERRUPTED = BY_SIGNAL + 2


def shown(text: str) -> str:
    """A line for people: what moves the cursor, begins a line, turns writing or is no text is spelt out."""
    return _UNSHOWN.sub(_spelt, text)


#: Control characters, ends of lines, marks that turn the direction of what follows, and halves of pairs, as
#: which Python keeps the bytes of names that are no text.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _spelt(found: re.Match[str]) -> str:
    code = ord(found[0])
    return (
        f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else found[0].encode("unicode_escape").decode()
    )


def printed(path: Path) -> str:
    """A path on stdout: as it is for programs, and for people as it may be shown."""
    return shown(str(path)) if sys.stdout.isatty() else str(path)


def debugging() -> bool:
    """Whether the user wants tracebacks (``SWEETTOK_DEBUG=1``)."""
    return os.environ.get("SWEETTOK_DEBUG") == "1"


#: What a disk says that is full, or a file that may not grow.
_FULL = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG") if hasattr(errno, name)}

#: What file systems say of names that they do not take, and of places that may not be entered.
_NAMES = {
    errno.ENAMETOOLONG,
    errno.EACCES,
    errno.EPERM,
    errno.ELOOP,
    errno.EILSEQ,
    errno.ENOTDIR,
    errno.EROFS,
}


def explain(error: Exception) -> str:
    """One line for any error: our own sentences as they are, others with what a user can do about them."""
    if isinstance(error, SweettokError):
        return _cut(" ".join(str(error).split()))
    # torch.OutOfMemoryError by name, because torch may never have been imported; on the CPU it is another.
    exhausted = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    if isinstance(error, MemoryError) or exhausted:
        return "There is not enough memory; pass --batch-clips 1, a smaller video, or another --device."
    if isinstance(error, OSError) and error.errno in _FULL:
        what = error.filename or "what is to be printed"
        return f"Cannot write {what} ({error.strerror}); free some space, or write elsewhere."
    if isinstance(error, OSError) and error.errno in _NAMES and error.filename:
        return _cut(f"{error.filename} cannot be used ({error.strerror}); check its name and permissions.")
    first = (str(error).strip().splitlines() or [""])[0]
    what = f"{type(error).__name__}: {first}".rstrip(": ")
    return f"Something went wrong inside sweettok ({what}); run again with SWEETTOK_DEBUG=1 to see where."


_LONGEST = 1000


def _cut(sentence: str) -> str:
    """A sentence that can be read; what a file says of itself may be megabytes long."""
    half = _LONGEST // 2 - 3
    return sentence if len(sentence) <= _LONGEST else f"{sentence[:half]} ... {sentence[-half:]}"


def tell(text: str) -> None:
    """A line on stderr, for whoever reads it: work does not end because nobody does."""
    with suppress(OSError, ValueError):
        print(shown(text), file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Output:
    """The voice of one command."""

    json: bool = False  # print one JSON object on stdout in place of text
    quiet: bool = False  # no talk and no progress bars; warnings and errors are still shown

    def say(self, text: str) -> None:
        """A line of talk on stderr."""
        if not self.quiet:
            tell(text)

    def warn(self, text: str) -> None:
        """A line that is shown even when quiet."""
        tell(f"warning: {text}")

    def error(self, text: str) -> None:
        """A failure that does not end the command, shown even when quiet."""
        tell(f"error: {text}")

    def watch(self, unit: str) -> AbstractContextManager[OnProgress]:
        """The bar of a training."""
        return self.progress("training", unit)

    def record(self, record: Mapping[str, Any], sentence: str, new: bool) -> None:
        """What a training's log holds."""
        if new and record["kind"] == "warning":
            self.warn(record["event"])
        elif new:
            self.say(sentence)

    def result(self, data: dict[str, Any], text: str | None) -> None:
        """What the command was asked for: ``data`` with ``--json``, else ``text`` (nothing when None)."""
        if self.json:
            # Not-a-number and infinity are not JSON; a program that reads this must not choke on them.
            text = json.dumps(data, ensure_ascii=False, allow_nan=False)
            # What may not be shown stands inside strings.
            print(_UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
        elif text is not None:
            print(text)

    def watched(self) -> bool:
        """Whether there is somebody to draw bars for."""
        return not self.quiet and sys.stderr.isatty()

    def overall(self, unit: str = "frames") -> Overall:
        """The bar of many jobs on stderr, or now and then a line in a file."""
        return Overall(self.say, self.watched(), unit, shown)

    def progress(self, label: str, unit: str = "frames") -> AbstractContextManager[OnProgress]:
        """The bar of one job, driven by the callback this yields."""
        return self.overall(unit).watch(0, 1, label)


def picked(thing: Any, *names: str) -> dict[str, Any]:
    """Some of a thing's attributes, by name."""
    return {name: getattr(thing, name) for name in names}


def count(number: int, noun: str) -> str:
    """``1 frame``, ``2 frames``."""
    return f"{number} {noun}{'s' * (number != 1)}"


_WIDTH_OF_FILES = 160  # nothing is cut off in a file or a pipe that a terminal would have shown


def text_width() -> int:
    """Columns that results may take: those of the terminal."""
    from rich.console import Console

    return Console().width if sys.stdout.isatty() else _WIDTH_OF_FILES


def as_text(*parts: RenderableType) -> str:
    """What rich makes of ``parts``, one under the other, without the last line's end."""
    from rich.console import Console

    watched = sys.stdout.isatty()
    console = Console(
        file=io.StringIO(), force_terminal=watched, width=text_width(), highlight=False, markup=False
    )
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))
