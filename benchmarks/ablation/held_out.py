"""Clips that no variant is trained on, and the list of those that all are."""

from __future__ import annotations

import csv
import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.entry import Entry
from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output
from sweettok_cli.training.samples import centre_clip

# Of one source, at most so many clips are measured; sources with more than a share of all are trained on.
_OF_A_SOURCE, _LARGEST = 2, 0.05


@dataclass(frozen=True)
class HeldOut:
    """What is measured: uint8 clips [t, h, w, 3] by name; and the list of what is trained on."""

    clips: dict[str, np.ndarray]
    train: Path
    trained: int  # clips in that list
    digest: str  # of their names


def hold_out(paths: Sequence[Path], work: Path, count: int, frames: int, side: int) -> HeldOut:
    """Choose up to ``count`` clips of at least ``frames`` frames, and write the list of the others.

    All clips of a source, which is what their names begin with up to the last ``__``, go one way. The choice
    depends on names alone. Measured are the middle ``side`` x ``side`` of the first frames.

    Raises:
        SweettokError: there are too few clips, or too short ones.
    """
    entries = [entry for entry in find_entries(paths) if not entry.is_image]
    sources: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        sources[entry.name.rpartition("__")[0] or entry.name].append(entry)
    names = sorted(sources)
    order = [names[place] for place in np.random.default_rng(0).permutation(len(names))]
    most = max(_OF_A_SOURCE, _LARGEST * len(entries))
    chosen: list[Entry] = []
    apart: set[str] = set()
    for name in order:
        if len(chosen) >= count or len(apart) + 1 == len(sources):
            break
        if len(sources[name]) <= most:
            long = [entry for entry in sources[name] if _frames(entry) >= frames][:_OF_A_SOURCE]
            chosen += long[: count - len(chosen)]
            apart |= {name} if long else set()
    if not chosen:
        raise SweettokError(
            f"None of the {len(entries)} clips can be held out, which takes several sources and clips of "
            f"{frames} frames; give more clips, or fewer --frames."
        )
    rest = [entry for name in names if name not in apart for entry in sources[name]]
    return HeldOut(
        {entry.name: centre_clip(entry, frames, side) for entry in sorted(chosen, key=lambda e: e.name)},
        _write(rest, work / "train.csv"),
        len(rest),
        hashlib.sha256("\n".join(entry.name for entry in rest).encode()).hexdigest(),
    )


def _frames(entry: Entry) -> int:
    """Of its part that counts; none if it cannot be read."""
    try:
        return entry.part(entry.declared())[1]
    except SweettokError:
        return 0


def _write(entries: Sequence[Entry], path: Path) -> Path:
    with atomic_output(path, force=True) as part, open(part, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "shard", "start", "end"))
        for entry in entries:
            file = str(entry.path.absolute())
            ends = "" if entry.end == math.inf else repr(entry.end)
            named = (file, "") if entry.offset < 0 else (entry.name, file)
            writer.writerow((*named, repr(entry.start) if entry.start else "", ends))
    return path
