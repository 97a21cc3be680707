"""The one exception that is meant for the user's eyes, and how it shows a value that a file holds."""

from __future__ import annotations

import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 2, 60, 60, 40
_LONGEST = 80


class SweettokError(Exception):
    """Something the user can act on: one sentence that names the file and the remedy.

    The command line prints it as ``error: ...`` and exits with status 1.
    """


def brief(value: object) -> str:
    """A value in at most 80 characters, and in no time, however long and deep it is."""
    try:
        text = _SHORT.repr(value)
    except (ValueError, RecursionError):  # whole numbers of thousands of digits
        text = type(value).__name__
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
