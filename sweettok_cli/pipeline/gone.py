"""Sources that could not be encoded and are no longer there: their failures no longer count."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from sweettok_cli.pipeline.manifest import Manifest
from sweettok_cli.pipeline.plan import Refusal
from sweettok_cli.pipeline.row import Row
from sweettok_cli.video.inputs import Given
from sweettok_cli.video.sequence import is_pattern


def note_gone(
    manifest: Manifest, failures: Collection[Row], inputs: Sequence[Given], refused: Sequence[Refusal]
) -> str | None:
    """Note which failed sources are gone; of tar files that were listed, members that are no more, too.

    Args:
        manifest: in which that is noted.
        failures: rows of what was not found this time.
        inputs: what was given.
        refused: what was found and cannot be read, tar files among them.

    Returns:
        A sentence about them; None where there are none.
    """
    given = [each for each in inputs if isinstance(each, Path)]
    unread = {Path(str(each.source)) for each in refused}
    gone = [row for row in failures if _is_gone(row, given, unread)]
    for row in gone:
        manifest.add(replace(row, status="gone"))
    if not gone:
        return None
    before = "could not be encoded before and"
    if len(gone) == 1:
        return f"{gone[0].source} {before} is no longer there; it no longer counts as a failure."
    return (
        f"{gone[0].source} and {len(gone) - 1} more {before} are no longer there; they no longer count as "
        "failures."
    )


def _is_gone(row: Row, given: Sequence[Path], unread: Collection[Path]) -> bool:
    """Whether a source is not there, as far as that can be known.

    A name without a root means nothing by itself, for it may be of another working folder; and what never was
    there, a list may name again.
    """
    source = Path(row.source)
    looked_at = any(map(source.is_relative_to, given))
    if not (looked_at or (source.is_absolute() and row.hash)):
        return False
    place = source.parent if is_pattern(source) else source
    tar = next((path for path in source.parents if path.is_file()), None)
    if tar is not None:  # and the source was a member
        return looked_at and tar not in unread
    return not os.path.lexists(place)
