"""Files that stand for many videos: tar files of them, and lists of their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from sweettok_cli.data.lists import is_list, listed
from sweettok_cli.data.shards import SHARD as TAR
from sweettok_cli.data.shards import shard_entries
from sweettok_cli.errors import SweettokError
from sweettok_cli.pipeline.member import TarMember, within

__all__ = ["TAR", "is_collection", "listed_in"]


def is_collection(path: Path) -> bool:
    """Whether a name is that of a tar file, or of a list of videos (.txt, .csv, .tsv, .jsonl)."""
    return path.suffix.lower() == TAR or is_list(path)


def listed_in(path: Path, refuse: Callable[[Path, str], None]) -> Iterator[tuple[Path | TarMember, Path]]:
    """The videos that a tar file holds or a list names, in its order, and where their outputs belong.

    That is a folder below the outputs': of a member, the tar file's name without ``.tar`` and the folders in
    it; of a file, the folders that the list has before its name, without a root or steps that lead up.

    Args:
        path: of the tar file or list.
        refuse: told of what cannot be tried, and why.
    """
    try:
        entries = listed(path) if is_list(path) else shard_entries(path)
    except (SweettokError, OSError) as error:
        refuse(path, str(error))
        return
    for entry in entries:
        if entry.is_part:
            refuse(
                Path(entry.name),
                f"{path} names a part of {entry.name}, and whole videos are encoded; leave out the columns "
                "start and end, or cut the video.",
            )
        elif entry.offset >= 0:
            member = TarMember(entry.path, entry.name, entry.offset, entry.size)
            yield member, member.folder
        else:
            # What a list names and is not there is looked for once more, and missed, where it should be.
            file = path.absolute().parent / entry.name if entry.lacking else entry.path
            yield file, within(entry.name).parent
