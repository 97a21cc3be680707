"""What went wrong, in one sentence."""

from __future__ import annotations

import os

from sweettok_cli.errors import SweettokError


def debugging() -> bool:
    """Whether the user wants tracebacks (``SWEETTOK_DEBUG=1``)."""
    return os.environ.get("SWEETTOK_DEBUG") == "1"


def explain(error: Exception) -> str:
    """One line for any error: our own sentences as they are, others with what a user can do about them."""
    if isinstance(error, SweettokError):
        return " ".join(str(error).split())
    # torch.OutOfMemoryError by name, because torch may never have been imported.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "There is not enough memory; pass --batch-clips 1, a smaller video, or another --device."
    first = (str(error).strip().splitlines() or [""])[0]
    what = f"{type(error).__name__}: {first}".rstrip(": ")
    return f"Something went wrong inside sweettok ({what}); run again with SWEETTOK_DEBUG=1 to see where."
