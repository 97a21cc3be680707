"""What is said when a command is ended from outside: what is done, and what to type to go on."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sweettok_cli.cli.output import FAILED, INTERRUPTED, tell


class Told(SystemExit):
    """The end of a command of which all has been said."""


@contextmanager
def ended_by(say: Callable[[str], None], words: Callable[[str], str]) -> Iterator[None]:
    """In the block, Ctrl-C, a signal, or stdout that nobody reads any more ends the command with ``words``.

    They are given what ended it, as a sentence begins, and say what is done by then.
    """
    try:
        yield
    except BrokenPipeError:
        say(words("Nobody reads the output any more"))
        raise Told(FAILED) from None
    except (KeyboardInterrupt, SystemExit) as end:
        if _speaks():
            say(words("Interrupted"))
        raise Told(INTERRUPTED if isinstance(end, KeyboardInterrupt) else end.code) from None


def tell_of_end(end: SystemExit) -> None:
    """Say that a command was ended by a signal, if that has not been said, before it had done anything."""
    quiet = {"-q", "--quiet"} & {*sys.argv}
    if not isinstance(end, Told) and not quiet and _speaks():
        tell(f"Interrupted; nothing was written. To start again: {command()}")


def _speaks() -> bool:
    """Whether this is the first of the processes that train together, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def command(*more: str, without: str = "") -> str:
    """The command as it was given, to be typed again; with ``more`` options where it lacks them."""
    given = [each for each in sys.argv[1:] if each != without]
    return shlex.join(["sweettok", *given, *(option for option in more if option not in given)])
