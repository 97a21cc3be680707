"""A video that lies in a tar file: what it is called, what it holds, and a file of it while it is read."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import WriteError, open_regular, sha256_file
from sweettok_cli.holding import let_go, temporary_folder
from sweettok_cli.video.inputs import Input, modified
from sweettok_cli.video.pipe import Pipe
from sweettok_cli.video.remote import RemoteFile
from sweettok_cli.video.sequence import FrameSequence

_PIECE = 1 << 20  # bytes


@dataclass(frozen=True)
class TarMember:
    """A member of a tar file that is not compressed."""

    tar: Path
    member: str  # its name in there
    offset: int  # of its bytes
    size: int

    def __str__(self) -> str:
        return f"{self.tar}/{self.member}"

    @property
    def name(self) -> str:
        """As of a file: without the folders in the tar file."""
        return PurePosixPath(self.member).name

    @property
    def folder(self) -> Path:
        """The folder of its output, below that of the tar file's own: its name, and the folders in it."""
        return Path(self.tar.stem) / within(self.member).parent

    def pieces(self) -> Iterator[bytes]:
        """Its bytes.

        Raises:
            SweettokError: the tar file cannot be read, or has become shorter.
        """
        try:
            with open_regular(self.tar) as stream:
                stream.seek(self.offset)
                yield from _limited(stream, self)
        except OSError as error:
            raise SweettokError(
                f"{self.tar} cannot be read ({error.strerror}); check its permissions and the disk."
            ) from error

    @contextmanager
    def unpacked(self, beside: Path) -> Iterator[Path]:
        """A file of these bytes, and of its name, in a hidden folder beside ``beside``.

        Errors and warnings of the block call it by its place in the tar file.
        """
        try:
            folder, held = temporary_folder(beside)
        except OSError as error:
            raise WriteError(beside, error) from error
        file = folder / self.name
        try:
            try:
                with open(file, "wb") as stream:
                    for piece in self.pieces():
                        stream.write(piece)
            except OSError as error:
                raise WriteError(beside, error) from error
            with _called(file, str(self)):
                yield file
        except WriteError:
            raise
        except SweettokError as error:
            raise SweettokError(str(error).replace(str(file), str(self))) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            let_go(held)


_reader_log = logging.getLogger("sweettok_cli.video.reader")


@contextmanager
def _called(file: Path, name: str) -> Iterator[None]:
    """In the block, what is logged of a file being read gives it another name."""

    def rename(record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(name if each == file else each for each in record.args)
        return True

    _reader_log.addFilter(rename)
    try:
        yield
    finally:
        _reader_log.removeFilter(rename)


def _limited(stream: BinaryIO, member: TarMember) -> Iterator[bytes]:
    left = member.size
    while left:
        piece = stream.read(min(left, _PIECE))
        if not piece:
            raise SweettokError(f"{member.tar} ends inside {member.member}; copy it again.")
        left -= len(piece)
        yield piece


#: What is encoded: a file here or elsewhere, numbered pictures, a pipe, or a member of a tar file.
Source = Input | TarMember


def within(name: str) -> Path:
    """A name as one below a folder: without a root or drive, and without steps that lead out of it."""
    path = Path(os.path.normpath(name))
    return Path(*(part for part in path.relative_to(path.anchor).parts if part != ".."))


@contextmanager
def readable(source: Source, beside: Path) -> Iterator[Input]:
    """The source as something that can be opened; a member of a tar file, as :meth:`TarMember.unpacked`."""
    if not isinstance(source, TarMember):
        yield source
        return
    with source.unpacked(beside) as file:
        yield file


def files_of(source: Source) -> tuple[Path, ...]:
    """The files here in which a source lies."""
    if isinstance(source, RemoteFile | Pipe):
        return ()
    if isinstance(source, FrameSequence):
        return source.files
    return (source.tar if isinstance(source, TarMember) else source,)


def changed_at(source: Source) -> float | None:
    """As :func:`~sweettok_cli.video.inputs.modified`."""
    return modified(source.tar if isinstance(source, TarMember) else source)


@dataclass(frozen=True)
class State:
    """What the file system says of a source: while that is the same, so is what it holds."""

    size: int  # in bytes
    mtime_ns: int
    inode: int  # of numbered pictures, a number that any of theirs changes

    @classmethod
    def of(cls, source: Source) -> State:
        """Of a source as it is now.

        Raises:
            SweettokError: it cannot be looked at.
        """
        try:
            stats = [path.stat() for path in files_of(source)]
        except OSError as error:
            raise SweettokError(
                f"{error.filename} cannot be looked at ({error.strerror}); check its name and permissions."
            ) from error
        size = source.size if isinstance(source, TarMember) else sum(stat.st_size for stat in stats)
        inode = stats[0].st_ino
        if len(stats) > 1:
            each = [(stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats]
            inode = int.from_bytes(hashlib.sha256(repr(each).encode()).digest()[:7], "big")
        return cls(size, max(stat.st_mtime_ns for stat in stats), inode)


def content_of(source: Source) -> str:
    """Hex SHA-256 of what a source holds, all of which is read; of numbered pictures, of their rate as well.

    Raises:
        SweettokError: it cannot be read.
    """
    if isinstance(source, TarMember):
        digest = hashlib.sha256()
        for piece in source.pieces():
            digest.update(piece)
        return digest.hexdigest()
    try:
        if isinstance(source, Path):
            return sha256_file(source)
        assert isinstance(source, FrameSequence)  # whatever lies elsewhere is in no data set
        held = "\n".join([str(source.rate), *map(sha256_file, source.files)])
        return hashlib.sha256(held.encode()).hexdigest()
    except OSError as error:
        raise SweettokError(
            f"{source} cannot be read ({error.strerror or error}); check its permissions and the disk."
        ) from error
