"""What is shown in columns: on a terminal no wider than it is, in a pipe a row a line."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence

from sweettok_cli.cli.output import as_text, shown, text_width

_GAP = 2
_LEAST_ROOM = 20  # below which text that is wrapped cannot be read


def lined_up(rows: Iterable[Sequence[str]]) -> str:
    """Rows whose last cells are sentences or paths; one too long for the terminal goes on below itself."""
    cells = [[shown(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) + _GAP for column in list(zip(*cells, strict=True))[:-1]]
    room = text_width() - sum(widths) if sys.stdout.isatty() else 0
    lines = []
    for *first, last in cells:
        begin = "".join(f"{cell:<{width}}" for cell, width in zip(first, widths, strict=True))
        parts = [last]
        if room >= _LEAST_ROOM:  # paths stay whole, to be copied
            parts = textwrap.wrap(last, room, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [(begin + parts[0]).rstrip(), *(" " * len(begin) + part for part in parts[1:])]
    return "\n".join(lines)


def fitted(
    columns: Mapping[str, Sequence[str]],
    spare: Sequence[str],
    wrapped: Mapping[str, int] | None = None,
    right: Collection[str] = (),
) -> str:
    """A table by heading; where there is no room, columns are left out, and named below it.

    Args:
        columns: cells below each heading.
        spare: what may be left out, in this order.
        wrapped: how narrow columns of longer texts may become.
        right: what is set to the right.
    """
    from rich.table import Table

    kept, least = dict(columns), wrapped or {}
    needed = {
        name: min(max(map(len, (name, *cells))), least.get(name, sys.maxsize)) for name, cells in kept.items()
    }
    left_out = []
    for name in spare:
        if sum(needed[each] + _GAP for each in kept) - _GAP > text_width():
            left_out.append(name)
            del kept[name]
    table = Table(box=None, pad_edge=False)
    for name in kept:
        table.add_column(
            name,
            overflow="fold",
            justify="right" if name in right else "left",
            min_width=None if name in least else needed[name],
            no_wrap=name not in least,  # or rich takes room from it, gives it back, and cuts the table
        )
    for row in zip(*kept.values(), strict=True):
        table.add_row(*map(shown, row))
    if not left_out:
        return as_text(table)
    return as_text(table, "", f"not shown for want of width: {', '.join(left_out)}; --json has all")
