"""Outputs that appear whole or not at all, files and folders; digests; JSON that others may have written."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

from sweettok_cli.errors import SweettokError, WrongUsage, option
from sweettok_cli.holding import (
    LONGEST_NAME,
    PART,
    beside,
    let_go,
    remove_left,
    temporary_file,
    temporary_folder,
)

_OLD = ".old"
_LONGEST_JSON = 64 << 20  # bytes


class TargetExists(SweettokError):
    """What was to be written is there already, and may not be replaced."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists; pass {option('force')} to replace it, or write elsewhere.")


def check_ending(path: Path, endings: Iterable[str], how: str = "name it so") -> None:
    """Raise :class:`WrongUsage`, which says ``how`` to mend it, unless ``path`` ends like a file to write."""
    endings = tuple(endings)
    if path.suffix.lower() not in endings:
        raise WrongUsage(f"{path} does not end in {', '.join(endings)}; {how}.")


class WriteError(SweettokError):
    """What was to be written the system does not take: there is no room, or no right to."""

    def __init__(self, path: Path, error: OSError) -> None:
        self.reason = error.strerror or str(error)
        super().__init__(f"Cannot write {path} ({self.reason}); free some space or choose another folder.")


def check_name(name: str) -> None:
    """Raise :class:`SweettokError` unless a file or folder can have this name."""
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise SweettokError(
            f"The name {name[:40]}... would be longer than {LONGEST_NAME} bytes; give a shorter one."
        )


def check_target(path: Path, force: bool) -> None:
    """Raise :class:`SweettokError` if ``path`` may not be replaced, or its folder is missing."""
    check_name(path.name)
    if path.is_dir():
        raise SweettokError(f"{path} is a folder; give the name of a file to write.")
    if os.path.lexists(path) and not force:  # a link that leads nowhere is somebody's too
        raise TargetExists(path)
    _check_parent(path.parent, path.parent)


def _check_parent(parent: Path, named: Path) -> None:
    if not parent.is_dir():
        raise SweettokError(f"The folder {named} does not exist; create it or write elsewhere.")
    # Now, and not when hours of work are to be written.
    if not os.access(parent, os.W_OK | os.X_OK):
        raise SweettokError(f"Cannot write into {parent} (Permission denied); choose another folder.")


@contextmanager
def atomic_output(path: Path, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` with the same suffix; rename it into place on success.

    On any exception, an interrupt included, the temporary file is removed and an older ``path`` stays. What
    killed programs left in the folder is removed at the first call.

    Raises:
        SweettokError: ``path`` exists without ``force`` (:class:`TargetExists`, also where it appeared while
            this was written), the folder cannot be written, or the disk is full (:class:`WriteError`).
    """
    check_target(path, force)
    try:
        temporary, held = temporary_file(path)
    except OSError as error:
        raise WriteError(path, error) from error
    try:
        yield temporary
        with open(temporary, "rb") as stream:
            settle(stream)
        _allow(temporary, 0o666)
        move_to(temporary, path, force)
    except TargetExists:
        raise
    except OSError as error:
        raise WriteError(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
        let_go(held)


@dataclass(frozen=True)
class FolderKind:
    """What is written as a folder."""

    noun: str  # what to call it in a message
    files: frozenset[str]  # names that may lie in a folder which is replaced
    last: str  # the one of them that is written last; a folder without it is not whole

    def whole(self, folder: Path) -> bool:
        """Whether ``folder`` holds all of one."""
        return (folder / self.last).is_file()

    def owns(self, entry: Path) -> bool:
        """Whether a file is part of one, or of the writing of one."""
        # Files that are being written are called .NAME.<random>.part.SUFFIX, see atomic_output.
        unfinished = entry.name.startswith(".") and PART in entry.suffixes[-2:]
        return entry.is_file() and (entry.name in self.files or unfinished)


def check_folder_target(folder: Path, kind: FolderKind, force: bool) -> None:
    """Find out before any long work whether :func:`atomic_folder` may write ``folder``.

    Raises:
        SweettokError: it is a file, is whole already (without ``force``) or holds anything foreign, or its
            parent is missing or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise SweettokError(f"{folder} is a file; name a folder for the {kind.noun}.")
    if folder.is_dir():
        foreign = sorted(entry.name for entry in folder.iterdir() if not kind.owns(entry))
        if foreign:
            raise SweettokError(
                f"{folder} holds {foreign[0]}, which is no part of a {kind.noun}; name another folder."
            )
        if kind.whole(folder) and not force:
            raise TargetExists(folder)
    _check_parent(folder.absolute().parent, folder.parent)


@contextmanager
def atomic_folder(folder: Path, kind: FolderKind, force: bool = False) -> Iterator[Path]:
    """Yield an empty folder to write into; it becomes ``folder``, or is removed on an error.

    It lies beside ``folder`` and is renamed. One that is there already is moved aside first, and put back by
    the next call if the program is killed between both moves; what else killed programs left is removed then.
    A folder that exists and is not whole is written to directly: it stays so until its last file is there.

    Raises:
        SweettokError: as :func:`check_folder_target`; or the disk is full.
    """
    folder = folder.absolute()
    if folder.parent.is_dir():
        _recover(folder)
    check_folder_target(folder, kind, force)
    try:
        if folder.is_dir() and not kind.whole(folder):
            _empty(folder)
            try:
                yield folder
            except BaseException:
                _empty(folder)
                raise
            return
        part, held = temporary_folder(folder)
        try:
            yield part
            _allow(part, 0o777)
            check_folder_target(folder, kind, force)  # another program may have been faster
            swap_folder(part, folder, part.with_suffix(_OLD))
        finally:
            shutil.rmtree(part, ignore_errors=True)
            let_go(held)
    except OSError as error:
        raise WriteError(folder, error) from error


def swap_folder(made: Path, folder: Path, old: Path) -> None:
    """Move the folder ``made`` to ``folder``; what is there goes to ``old`` first, and is removed then."""
    if folder.exists():
        folder.rename(old)
    made.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def restore_folder(folder: Path, old: Path) -> None:
    """Put back what a :func:`swap_folder` that was killed between its two moves has left at ``old``."""
    if old.is_dir() and not folder.exists():
        old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _recover(folder: Path) -> None:
    """Undo what killed programs left beside ``folder``; what a living one holds stays."""
    hidden = glob.escape(beside(folder.name, PART))
    for old in folder.parent.glob(f"{hidden}*{_OLD}"):
        restore_folder(folder, old)
    for part in folder.parent.glob(f"{hidden}*{PART}"):
        remove_left(part)


def move_to(temporary: Path, path: Path, force: bool) -> None:
    """Give a finished file its name; :class:`TargetExists` where one is there already, without ``force``."""
    if force:
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)  # unlike a rename it replaces nothing
    except FileExistsError:
        raise TargetExists(path) from None
    except OSError:  # this file system knows no second names
        check_target(path, force=False)
        temporary.replace(path)


def settle(stream: IO[bytes]) -> None:
    """Have what was written on the disk, where the file system knows of such a thing."""
    stream.flush()
    try:
        os.fsync(stream.fileno())
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise


def _allow(path: Path, most: int) -> None:
    """Give a file the permissions of any other, where the file system knows any (mounted buckets do not)."""
    with suppress(OSError):
        path.chmod(most & ~_umask())


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        entry.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def is_folder(path: Path) -> bool:
    """Whether a folder is there; not so where a name is one that no folder can have."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """Whether a file is there; not so where a name is one that no file can have."""
    return os.path.isfile(path)  # noqa: PTH113


def folder_bytes(folder: Path) -> int:
    """Size in bytes of all files that lie directly in ``folder``."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def open_regular(path: Path) -> BufferedReader:
    """Open a file to read its bytes, and nothing else: a pipe would be waited for, a device never ends.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(handle, "rb")


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        SweettokError: there is none, or it is longer or more deeply nested than one of ours can be; the
            sentence ends with the ``remedy``.
    """
    try:
        with open_regular(path) as stream:
            content = stream.read(_LONGEST_JSON + 1)
        if len(content) > _LONGEST_JSON:
            raise ValueError(f"longer than {_LONGEST_JSON >> 20} MiB")
        table = json.loads(content.decode())
    except OSError as error:
        raise SweettokError(f"Cannot read {path} ({error.strerror or error}); {remedy}.") from error
    except RecursionError as error:
        raise SweettokError(f"Cannot read {path} (nested too deeply); {remedy}.") from error
    except ValueError as error:
        raise SweettokError(f"Cannot read {path} ({error}); {remedy}.") from error
    if not isinstance(table, dict):
        raise SweettokError(f"{path} holds no JSON object; {remedy}.")
    return table


def is_text(value: object, longest: int) -> bool:
    """Whether a value is text, not blank, of so many characters at most, which UTF-8 can hold."""
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)
