"""Tables as text for stdout: coloured for a terminal, plain for a file."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDTH_OF_FILES = 160  # nothing is cut off in a file or a pipe that a terminal would have shown


def as_text(*parts: RenderableType) -> str:
    """What rich makes of ``parts``, one under the other, without the last line's end."""
    from rich.console import Console

    watched = sys.stdout.isatty()
    width = None if watched else _WIDTH_OF_FILES
    console = Console(file=io.StringIO(), force_terminal=watched, width=width, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))
