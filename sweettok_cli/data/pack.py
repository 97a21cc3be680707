"""Clips made small and quick to read, in tar shards that are each a random mix: ``sweettok data pack``.

Every source becomes pieces in a hidden folder, kept under what the source holds and what is done to it; once
all are there, they are put into shards in an order that only the seed decides. A pack that was interrupted
goes on with the pieces that there are, and ends in the same bytes.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.entry import Entry
from sweettok_cli.data.pack_source import TRAIN, VAL, PackSource, content_of, digest, pack_sources, shared_out
from sweettok_cli.data.pieces import Encode, Packing, Piece, PieceMaker
from sweettok_cli.data.shards import Member, Packed, write_shard
from sweettok_cli.data.work import Work
from sweettok_cli.errors import SweettokError, option
from sweettok_cli.files import TargetExists, WriteError, atomic_output, read_json
from sweettok_cli.holding import claimed, let_go, temporary_file
from sweettok_cli.runtime import OnProgress
from sweettok_cli.video.source import source_name

#: Opened around long work, with what it is and what it counts.
Progress = Callable[[str, str], AbstractContextManager[OnProgress]]
RECORD = "pack.json"
_PIECES = ".pieces"
_FORMAT = 1  # of the record
_OURS = re.compile(rf"clips-\d+(\.tar|\.index\.json)|{re.escape(RECORD)}|{TRAIN}|{VAL}|\..*")


@dataclass(frozen=True)
class Plan:
    """What is packed, and how."""

    inputs: Sequence[Path]
    out: Path
    packing: Packing = field(default_factory=Packing)
    shard_bytes: int = 1_000_000_000  # of a shard, about
    val: float = 0.0  # share of the sources that go into shards of their own
    seed: int = 0  # of the order, and of what is set aside
    workers: int = 1
    force: bool = False
    skip_existing: bool = False
    encode: Encode | None = None  # gives the codes of ``packing.teacher``


def pack(plan: Plan, progress: Progress, say: Callable[[str], None]) -> dict[str, Any]:
    """Pack clips into shards; returns what ``pack.json`` says of them.

    Args:
        plan: what is to be done.
        progress: given what is done and what it counts, opens what is told how far it is.
        say: told what is left from before.

    Raises:
        SweettokError: there is nothing to pack or none of it can be read, or the folder holds anything else,
            is packed already, or cannot be written.
    """
    out = plan.out.absolute()
    _check(out, plan)
    entries = [e for e in find_entries(plan.inputs, "clips to pack") if out not in e.path.absolute().parents]
    if not entries:
        raise SweettokError(f"All clips lie in {plan.out} itself; name other ones to pack.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with claimed(out / RECORD) as mine:
            if not mine:
                raise SweettokError(f"Another program packs into {plan.out}; wait for it to end.")
            return _pack(plan, out, entries, progress, say)
    except OSError as error:
        raise WriteError(plan.out, error) from error


def _check(out: Path, plan: Plan) -> None:
    """Refuse a folder that holds anything else, or a pack that may not be replaced."""
    if out.exists() and not out.is_dir():
        raise SweettokError(f"{plan.out} is a file; name a folder for the shards.")
    names = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    foreign = next((name for name in names if not _OURS.fullmatch(name)), None)
    if foreign is not None:
        raise SweettokError(f"{plan.out} holds {foreign}, which is no part of a pack; name another folder.")
    if RECORD in names and not (plan.force or plan.skip_existing):
        raise TargetExists(plan.out)


def _pack(
    plan: Plan, out: Path, entries: Sequence[Entry], progress: Progress, say: Callable[[str], None]
) -> dict[str, Any]:
    work, packing, shelf = Work(plan.workers), plan.packing, out / _PIECES
    everything = range(len(entries))
    with progress("reading clips, to know them again", "clips") as on_progress:
        found = work.each(everything, entries, lambda place: content_of(entries[place]), on_progress)
        sources = pack_sources(entries, dict(found))
    how = [plan.val, plan.seed, plan.shard_bytes, [[s.stem, s.key(packing)] for s in sources]]
    key = digest(how)
    if (out / RECORD).exists() and plan.skip_existing:
        record = read_json(out / RECORD, f"delete it, or replace the pack with {option('force')}")
        if record.get("key") == key:
            return {**record, "skipped": True}
        if not plan.force:
            raise SweettokError(
                f"{plan.out} holds a pack of other clips, or made in another way; replace it with "
                f"{option('force')}, or write elsewhere."
            )
    shelf.mkdir(exist_ok=True)
    readable = [place for place in everything if place not in work.unreadable]
    known = {place: kept for place in readable if (kept := _kept(shelf, sources[place], packing))}
    if known:
        say(f"{len(known)} of {len(sources)} clips were packed before")
    left = [place for place in readable if place not in known]
    maker = PieceMaker(packing, shelf, work.called_off, plan.encode)
    with progress("packing", "clips") as on_progress:
        made = work.each(left, entries, lambda place: _make(sources[place], maker), on_progress)
        pieces = {**known, **dict(made)}
    unreadable = [{"clip": entries[place].name, "why": why} for place, why in sorted(work.unreadable.items())]
    if not pieces:
        first = "{clip}: {why}".format(**unreadable[0])
        raise SweettokError(f"None of the {len(entries)} clips can be packed ({first}); give others.")
    splits = shared_out([sources[place] for place in sorted(pieces)], plan.val, plan.seed)
    _clear(out)
    by_source = {sources[place]: found for place, found in pieces.items()}
    record = {
        "sweettok_pack": _FORMAT,
        "key": key,
        "packing": packing.as_json(),
        "seed": plan.seed,
        "clips": len(pieces),
        "pieces": sum(map(len, pieces.values())),
        "frames": sum(piece.frames for made in pieces.values() for piece in made),
        "shards": [
            shard
            for split, chosen in splits.items()
            for shard in _shards(out, split, _members(shelf, chosen, by_source), plan)
        ],
        "unreadable": unreadable,
    }
    with atomic_output(out / RECORD, force=True) as part:
        part.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(shelf)
    return record


def _kept(shelf: Path, source: PackSource, packing: Packing) -> list[Piece] | None:
    """The pieces that there are of a source from before, if all of them are."""
    path = shelf / f"{source.key(packing)}.json"
    if not path.exists():
        return None
    pieces = [Piece(**one) for one in read_json(path, "delete it")["pieces"]]
    whole = all((file := shelf / p.file).exists() and file.stat().st_size == p.size for p in pieces)
    return pieces if whole else None


def _make(source: PackSource, maker: PieceMaker) -> list[Piece]:
    """Make the pieces of a source, and note that they are there."""
    key, found, shelf = source.key(maker.packing), source.entry.source(), maker.folder
    if isinstance(found, Path):
        pieces = maker.make(found, source.entry, key)
    else:
        with _unpacked(found, shelf / Path(source.entry.name).name) as path:
            pieces = maker.make(path, source.entry, key)
    with atomic_output(shelf / f"{key}.json", force=True) as part:
        part.write_text(json.dumps({"pieces": [asdict(piece) for piece in pieces]}), encoding="utf-8")
    return pieces


@contextmanager
def _unpacked(data: BytesIO, like: Path) -> Iterator[Path]:
    """A file of these bytes beside ``like``, for as long as the block lasts; errors name it no file."""
    try:
        file, held = temporary_file(like)
    except OSError as error:
        raise WriteError(like, error) from error
    try:
        try:
            file.write_bytes(data.getbuffer())
        except OSError as error:
            raise WriteError(like, error) from error
        yield file
    except SweettokError as error:
        if isinstance(error, WriteError):
            raise
        raise SweettokError(str(error).replace(str(file), source_name(data))) from error
    finally:
        file.unlink(missing_ok=True)
        let_go(held)


def _members(
    shelf: Path, sources: Sequence[PackSource], pieces: Mapping[PackSource, list[Piece]]
) -> list[Packed]:
    """The files of some sources, and what they are called in the shards."""
    members = []
    for source in sources:
        for number, piece in enumerate(pieces[source]):
            name = f"{source.stem}__{number:04}{Path(piece.file).suffix}"
            facts = piece.frames, piece.rate, piece.width, piece.height
            codes = shelf / piece.codes if piece.codes else None
            members.append(Packed(shelf / piece.file, codes, Member(name, 0, piece.size, *facts)))
    return members


def _shards(out: Path, split: str, members: Sequence[Packed], plan: Plan) -> list[dict[str, Any]]:
    """Write the shards of a split, in an order that the seed decides; what each is called and holds."""
    groups: list[list[Packed]] = []
    room = 0
    for at in np.random.default_rng(plan.seed).permutation(len(members)):
        size = members[at].member.size
        if not groups or size > room:
            groups.append([])
            room = plan.shard_bytes
        groups[-1].append(members[at])
        room -= size
    digits = max(3, len(str(len(groups) - 1)))
    (out / split).mkdir(exist_ok=True)
    written = []
    for number, group in enumerate(groups):
        shard = out / split / f"clips-{number:0{digits}}.tar"
        write_shard(shard, group, plan.packing.teacher)
        name, size = str(shard.relative_to(out)), shard.stat().st_size
        written.append({"shard": name, "clips": len(group), "bytes": size})
    return written


def _clear(out: Path) -> None:
    """Remove the shards of an older pack, which is none from here on."""
    (out / RECORD).unlink(missing_ok=True)
    for folder in (out, out / TRAIN, out / VAL):
        for old in [*folder.glob("clips-*.tar"), *folder.glob("clips-*.index.json")]:
            old.unlink()
        if folder != out and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
