"""What opening the clips of a training set tells before its first step: how long each is, what cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sweettok_cli.data.entry import Entry, Facts
from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import OnProgress
from sweettok_cli.video.images import count_pictures, is_picture

_THREADS = 8


@dataclass(frozen=True)
class Survey:
    """What was found out, by place among the entries."""

    facts: dict[int, Facts] = field(default_factory=dict)
    unreadable: dict[int, str] = field(default_factory=dict)  # why


def survey(entries: Sequence[Entry], on_progress: OnProgress) -> Survey:
    """Open every clip of which an index does not tell, and read no more than its header.

    A part that begins behind its clip's end cannot be read either.
    """
    found = Survey()
    unknown = [place for place, entry in enumerate(entries) if entry.facts is None or entry.is_part]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="check") as pool:
        told = pool.map(_look, [entries[place] for place in unknown])
        for done, (place, seen) in enumerate(zip(unknown, told, strict=True), 1):
            if isinstance(seen, Facts):
                found.facts[place] = seen
            else:
                found.unreadable[place] = seen
            on_progress(done, len(unknown))
    return found


def _look(entry: Entry) -> Facts | str:
    """Its facts, or why it cannot be read."""
    try:
        facts = entry.facts or _opened(entry)
        entry.part(facts)
        return facts
    except MemoryError:
        raise
    except Exception as error:  # whatever a decoder makes of one damaged clip
        return entry.why(error)


def _opened(entry: Entry) -> Facts:
    if entry.is_image and _opens_as_picture(entry):
        return Facts(1, 1.0)
    facts = entry.header()
    return Facts(1, 1.0) if entry.is_image else facts


def _opens_as_picture(entry: Entry) -> bool:
    """Whether this is what its name says; False if it may be a video all the same.

    The content is only searched where the header is none: of a million pictures, no more is read.
    """
    source = entry.source()
    try:
        return count_pictures(source) > 0
    except SweettokError:
        if is_picture(source):
            raise
        return False
