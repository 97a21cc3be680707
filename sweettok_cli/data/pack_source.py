"""The sources of a pack: what each is called there, how it is known again, which are set aside."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweettok_cli.data.entry import Entry
from sweettok_cli.data.pieces import Packing
from sweettok_cli.errors import SweettokError
from sweettok_cli.files import sha256_file

TRAIN, VAL = "train", "val"
_VERSION = 1  # of what packing makes of a source


@dataclass(frozen=True)
class PackSource:
    """A clip to be packed."""

    entry: Entry
    stem: str  # how its pieces are called in the shards
    content: str  # SHA-256 of its bytes; empty where they cannot be read

    def key(self, packing: Packing) -> str:
        """Under what its pieces are kept: the same for the same bytes, of which the same is made."""
        part = [self.content, self.entry.start, self.entry.end, self.entry.is_image]
        return digest([_VERSION, part, packing.as_json()])


def pack_sources(entries: Sequence[Entry], contents: Mapping[int, str]) -> list[PackSource]:
    """One of every entry; ``contents`` are their digests by place."""
    named = enumerate(zip(entries, _stems(entries), strict=True))
    return [PackSource(entry, stem, contents.get(place, "")) for place, (entry, stem) in named]


def content_of(entry: Entry) -> str:
    """SHA-256 of its bytes.

    Raises:
        OSError: they cannot be read.
        SweettokError: likewise, in a shard.
    """
    source = entry.source()
    return sha256_file(source) if isinstance(source, Path) else hashlib.sha256(source.getvalue()).hexdigest()


def digest(value: Any) -> str:
    """SHA-256 of what JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def shared_out(sources: Sequence[PackSource], share: float, seed: int) -> dict[str, list[PackSource]]:
    """The sources by folder of shards, with a share of them set aside, if any.

    Which they are depends on the seed and on what each holds: parts and copies of one stay together.

    Raises:
        SweettokError: there is but one.
    """
    if not share:
        return {"": list(sources)}
    ranked = sorted({source.content for source in sources}, key=lambda content: digest([seed, content]))
    if len(ranked) < 2:
        raise SweettokError("One clip alone cannot be shared out; leave out --val, or give more clips.")
    aside = {*ranked[: min(len(ranked) - 1, max(1, round(share * len(ranked))))]}
    return {
        TRAIN: [source for source in sources if source.content not in aside],
        VAL: [source for source in sources if source.content in aside],
    }


def _stems(entries: Iterable[Entry]) -> Iterator[str]:
    """A name for each source, without dots, which WebDataset ends a sample's name at; no two are the same."""
    taken: Counter[str] = Counter()
    for entry in entries:
        stem = re.sub(r"[.\\:\s]+", "_", str(Path(entry.name).with_suffix(""))).lstrip("/")
        taken[stem] += 1
        yield stem if taken[stem] == 1 else f"{stem}~{taken[stem]}"
