"""The clips of a training set, findable at random: files of a folder and members of tar shards."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import is_file, open_regular
from sweettok_cli.video.source import MEDIA, PICTURES, find_files, reason, source_name


@dataclass(frozen=True)
class Entry:
    """One clip or picture: a file, or ``size`` bytes at ``offset`` of a tar shard."""

    name: str
    path: Path
    offset: int = -1
    size: int = 0

    @property
    def is_image(self) -> bool:
        """Whether the name says that this is a still picture."""
        return Path(self.name).suffix.lower() in PICTURES

    def source(self) -> Path | BytesIO:
        """What the video reader opens: the path, or the member's bytes.

        Raises:
            SweettokError: the shard cannot be read or has become shorter.
        """
        if self.offset < 0:
            return self.path
        try:
            with open_regular(self.path) as shard:
                shard.seek(self.offset)
                data = shard.read(self.size)
        except OSError as error:
            raise SweettokError(f"Cannot read {self.path} ({error.strerror}); check the shard.") from error
        if len(data) < self.size:
            raise SweettokError(f"{self.path} ends inside {self.name}; copy the shard again.")
        return BytesIO(data)

    def why(self, error: Exception) -> str:
        """What is wrong with it, in a few words to stand beside its name, which they leave out."""
        subject = str(self.path) if self.offset < 0 else source_name(BytesIO())
        words = " ".join((str(error) or type(error).__name__).rstrip(".").split())
        return words.removeprefix(subject).lstrip(": ")


def find_entries(paths: Sequence[Path], what: str = "training data") -> list[Entry]:
    """All clips and pictures below ``paths`` (folders, tar shards, single files), in a fixed order.

    ``what`` they are is for errors.

    Raises:
        SweettokError: a path does not exist, a shard is not a tar file, or nothing is found.
    """
    entries: list[Entry] = []
    for path in paths:
        if not path.exists():
            how = "give a folder of clips, tar shards or a list"
            raise SweettokError(f"The {what} {path} do not exist; {how}.")
        if path.suffix.lower() == ".txt" and path.is_file():
            entries += _listed(path)
            continue
        for file in find_files(path, {".tar", *MEDIA}) if path.is_dir() else [path]:
            if file.suffix.lower() == ".tar":
                entries += _members(file)
            elif file.suffix.lower() in MEDIA:
                entries.append(Entry(str(file.relative_to(path)) if path.is_dir() else file.name, file))
    if not entries:
        raise SweettokError(
            f"No clips found in {', '.join(map(str, paths))}; give a folder of videos, images or tar shards."
        )
    return entries


def _listed(file: Path) -> list[Entry]:
    """The clips that a list names, one a line, as UCF-101's do (a class number may follow).

    Names are looked for beside the list, above it and in the folders there.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SweettokError(
            f"{file} cannot be read as a list of clips ({error}); one name a line."
        ) from error
    beside, above = file.absolute().parent, file.absolute().parent.parent
    roots = [beside, above, *sorted(folder for folder in above.iterdir() if folder.is_dir())]
    entries, missing = [], []
    for line in filter(None, map(str.strip, lines)):
        names = [line, re.sub(r"\s+\d+$", "", line)]
        found = next((root / n for root in roots for n in names if is_file(root / n)), None)
        if found is None:
            missing.append(names[-1])
        else:
            entries.append(Entry(names[-1], found))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        how = "put the list beside the folder of the clips"
        raise SweettokError(f"{file} names {missing[0]}{more}, which cannot be found; {how}.")
    return entries


def _members(shard: Path) -> list[Entry]:
    entries: list[Entry] = []
    try:
        with open_regular(shard) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                if member.size < 0:  # the next one would be this one
                    raise tarfile.ReadError("negative size")
                whole = member.isfile() and not member.issparse()
                if whole and Path(member.name).suffix.lower() in MEDIA and not _hidden(member.name):
                    entries.append(Entry(member.name, shard, member.offset_data, member.size))
    except (tarfile.TarError, OSError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        raise SweettokError(
            f"{shard} is not a readable tar file ({reason(error)}); unpack or replace it."
        ) from error
    return entries


def _hidden(name: str) -> bool:
    """Whether a member of a shard is hidden: what a Mac adds beside every file, for example."""
    return any(part.startswith(".") and part not in (".", "..") for part in Path(name).parts)
