"""The clips and pictures of a tar file as its headers tell them: links followed, what is cut short said."""

from __future__ import annotations

import os
import posixpath
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from sweettok_cli.data.entry import Entry
from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.files import open_regular
from sweettok_cli.video.source import MEDIA, reason

_BLOCK = 512  # bytes of a header
_BEHIND = 1 << 20  # bytes behind the end in which another tar file is looked for; what fills a record is less
_MOST_LINKS = 40  # that lead from one to the next
_REMEDY, _AGAIN = "pack it anew", "copy that again"
#: How files begin that are compressed, and how they are called.
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"(\xb5/\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
}
#: What the names of compressed tar files end in.
_ENDINGS = (".tgz", ".tbz", ".tbz2", ".txz", ".tzst", *(f".tar.{by}" for by in ("gz", "bz2", "xz", "zst")))


def compressed_tar(path: Path) -> str | None:
    """Why a tar file cannot be read whose name says that it is compressed; None where it does not."""
    return _compressed(path) if path.name.lower().endswith(_ENDINGS) else None


def _compressed(shard: Path, by: str = "") -> str:
    how = f" by {by}" if by else ""
    return (
        f"{shard} is a tar file that is compressed{how}, and members are read where they lie; unpack it, or "
        "make it a .tar without compression."
    )


def scanned(shard: Path, on_end: Callable[[str], None] | None = None) -> list[Entry]:
    """The clips and pictures of a tar file, in its order.

    Links are what they lead to in it. What is called like a clip and is a link that leads elsewhere, a pipe,
    a device, or a file with holes, is an entry that cannot be read.

    Args:
        shard: the tar file.
        on_end: told why not all of it can be read, where that is so; what comes before is given. Without it,
            that is an error.

    Raises:
        SweettokError: it is no tar file, or compressed.
    """
    scan = _Scan(shard)
    try:
        with open_regular(shard) as stream:
            begin = stream.read(6)
            by = next((name for magic, name in _COMPRESSED.items() if begin.startswith(magic)), None)
            if by is not None:
                raise SweettokError(_compressed(shard, by))
            stream.seek(0)
            scan.read(stream)
    except (tarfile.TarError, OSError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        if on_end is None or not scan.last:
            raise SweettokError(
                f"{shard} is not a readable tar file ({reason(error)}); unpack or replace it."
            ) from error
        on_end(
            f"{shard} is cut short or damaged behind {brief(scan.last)} ({reason(error)}); copy it again: "
            "what comes later is not read."
        )
    if scan.followed and on_end is not None:
        on_end(
            f"{shard} ends, and another tar file lies behind its end, which is not read; part them, or pack "
            "both as one."
        )
    return scan.entries()


class _Scan:
    """What is found in one tar file."""

    def __init__(self, shard: Path) -> None:
        self._shard = shard
        self._clips: list[Entry] = []
        self._files: dict[str, tuple[int, int]] = {}  # by name: where their bytes begin, and how many
        self._links: dict[str, str] = {}  # by name: what they lead to
        self._linked: dict[int, str] = {}  # what it says in those that are called like clips, by place
        self.last = ""  # member that was looked at
        self.followed = False  # by another tar file

    def read(self, stream: BinaryIO) -> None:
        """Look at all headers.

        Raises:
            TarError, OSError, ValueError, OverflowError, MemoryError, RecursionError: there is one that is
                none, or the file ends too early.
        """
        size = os.fstat(stream.fileno()).st_size
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                if member.size < 0:  # the next one would be this one
                    raise tarfile.ReadError("negative size")
                self.last = member.name
                self._take(member, size)
            stream.seek(archive.offset)
        # The end is a block of zeros, which some programs leave out; anything else there is damage.
        if stream.read(_BLOCK).strip(b"\0"):
            raise tarfile.ReadError(f"no header at byte {archive.offset}")
        behind = stream.read(_BEHIND)
        self.followed = any(behind[at + 257 : at + 262] == b"ustar" for at in range(0, len(behind), _BLOCK))

    def _take(self, member: tarfile.TarInfo, size: int) -> None:
        name, link = _spelt(member.name), member.islnk() or member.issym()
        whole = member.isfile() and not member.issparse()
        cut = whole and member.offset_data + member.size > size
        if link:
            beside = posixpath.dirname(name) if member.issym() else ""
            self._links.setdefault(name, _spelt(posixpath.join(beside, member.linkname)))
        elif whole and not cut:
            self._files.setdefault(name, (member.offset_data, member.size))
        if member.isdir() or Path(member.name).suffix.lower() not in MEDIA or _hidden(member.name):
            return
        found = Entry(member.name, self._shard)
        if link:
            self._linked[len(self._clips)] = member.linkname
        elif cut:
            found = replace(found, lacking=f"is cut short, for {self._shard.name} ends inside it; {_AGAIN}")
        elif whole:
            found = replace(found, offset=member.offset_data, size=member.size)
        else:
            kind = "a pipe" if member.isfifo() else "a device" if member.isdev() else "a file with holes"
            found = replace(found, lacking=f"is {kind} in {self._shard.name}; {_REMEDY}")
        self._clips.append(found)

    def entries(self) -> list[Entry]:
        """The clips, links followed."""
        for place, linkname in self._linked.items():
            link = self._clips[place]
            if (bytes_at := self._files.get(self._end_of(_spelt(link.name)))) is None:
                why = f"is a link to {brief(linkname)}, which is no file in {self._shard.name}; {_REMEDY}"
                self._clips[place] = replace(link, lacking=why)
            else:
                self._clips[place] = replace(link, offset=bytes_at[0], size=bytes_at[1])
        return self._clips

    def _end_of(self, name: str) -> str:
        for _ in range(_MOST_LINKS):
            if name not in self._links:
                break
            name = self._links[name]
        return name


def _spelt(name: str) -> str:
    """The name of a member, or of what a link leads to, in the one way in which it can be looked up."""
    return posixpath.normpath(name)


def _hidden(name: str) -> bool:
    """Whether a member is hidden: what a Mac adds beside every file, for example."""
    return any(part.startswith(".") and part not in (".", "..") for part in Path(name).parts)
