"""The one exception that is meant for the user's eyes, and how it shows values and names options."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from contextlib import contextmanager

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 2, 60, 60, 40
_LONGEST = 80


class SweettokError(Exception):
    """Something the user can act on: one sentence that names the file and the remedy.

    The command line prints it as ``error: ...`` and exits with status 1.
    """


class WrongUsage(SweettokError):
    """What is asked for can never be, whatever files there are: the command line exits with 2.

    Options that exclude or need one another, a number or a rate that is none, the name of an output that ends
    like no file which is written. What is looked up and not found, as models and files are, is no such thing.
    """


_typed = False  # whether what goes wrong is answered to somebody who typed a command


@contextmanager
def on_command_line() -> Iterator[None]:
    """In the block, :func:`option` names options as they are typed."""
    global _typed
    before, _typed = _typed, True
    try:
        yield
    finally:
        _typed = before


def option(name: str, value: object = True) -> str:
    """How to give an option: ``keep_going=True`` in Python, ``--keep-going`` where commands are typed."""
    if not _typed:
        return f"{name}={value!r}"
    return f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")


def brief(value: object) -> str:
    """A value in at most 80 characters, and in no time, however long and deep it is."""
    try:
        text = _SHORT.repr(value)
    except (ValueError, RecursionError):  # whole numbers of thousands of digits
        text = type(value).__name__
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
