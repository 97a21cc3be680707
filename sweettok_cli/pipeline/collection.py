"""Files that stand for many videos: tar files of them, and lists of their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sweettok_cli.data.entry import Entry
from sweettok_cli.data.lists import is_list, listed
from sweettok_cli.data.members import compressed_tar
from sweettok_cli.data.shards import SHARD as TAR
from sweettok_cli.data.shards import shard_entries
from sweettok_cli.errors import SweettokError
from sweettok_cli.pipeline.member import TarMember, within
from sweettok_cli.video.remote import is_url

__all__ = ["TAR", "Listed", "is_collection", "listed_in"]


@dataclass(frozen=True)
class Listed:
    """A video that a tar file holds or a list names."""

    source: Path | TarMember
    relative: Path  # folder of its output, below the outputs'
    fault: str = ""  # why it cannot be tried, in a sentence


def is_collection(path: Path) -> bool:
    """Whether a name is that of a tar file, or of a list of videos (.txt, .csv, .tsv, .jsonl)."""
    return path.suffix.lower() == TAR or is_list(path)


def listed_in(path: Path, refuse: Callable[[Path, str], None]) -> Iterator[Listed]:
    """The videos that a tar file holds or a list names, in its order, and where their outputs belong.

    That is a folder below the outputs': of a member, the tar file's name without ``.tar`` and the folders in
    it; of a file, the folders that the list has before its name, without a root or steps that lead up.

    Args:
        path: of the tar file or list.
        refuse: told of what has no output of its own and cannot be tried, and why: the tar file or list, from
            somewhere on, addresses, and tar files that are compressed.
    """
    try:
        entries = listed(path) if is_list(path) else shard_entries(path, lambda why: refuse(path, why))
    except (SweettokError, OSError) as error:
        refuse(path, str(error))
        return
    places: dict[tuple[Path, str], int] = {}  # of members
    for entry in entries:
        if entry.path.suffix.lower() == TAR:
            member = TarMember(entry.path, entry.name, max(0, entry.offset), entry.size)
            fault = f"{member} {entry.lacking}." if entry.lacking else ""
            if places.setdefault((entry.path, entry.name), entry.offset) != entry.offset:
                fault = (
                    f"{entry.path} holds several members {entry.name}, of which the first is encoded; pack "
                    "the others by other names."
                )
            yield Listed(member, member.folder, fault or _part(path, entry))
        elif is_url(entry.name):
            refuse(Path(entry.name), f"{entry.name} {entry.lacking}.")
        elif (why := compressed_tar(entry.path)) is not None:
            refuse(entry.path, why)
        else:
            # What a list names and is not there is looked for once more, and missed, where it should be.
            file = path.absolute().parent / entry.name if entry.lacking else entry.path
            yield Listed(file, within(entry.name).parent, _part(path, entry))


def _part(path: Path, entry: Entry) -> str:
    """Why an entry of a list cannot be tried that is a part of a video."""
    if not entry.is_part:
        return ""
    return (
        f"{path} names a part of {entry.name}, and whole videos are encoded; leave out the columns start and "
        "end, or cut the video."
    )
