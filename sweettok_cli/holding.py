"""What a living program holds: the files it is writing, and the outputs it is about to make.

A hold is a lock of the system (``flock``). It ends with its process, however that ends: what nobody holds was
left by a program that was killed. Where there are no such locks (Windows, some mounted file systems) nobody
counts as holding anything, and nothing is cleared away.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PART = ".part"
_CLAIM = ".sweettok-claim"
LONGEST_NAME, _RANDOM = 255, 8  # bytes of a name; characters that tempfile puts into one
_LEFT = re.compile(rf"\..*\.[a-z0-9_]{{{_RANDOM}}}{PART}(\.[^.]+)?|\..+{_CLAIM}", re.DOTALL)

_folders: set[Path] = set()  # in which this process has made something
_held: set[int] = set()  # what it holds, or tries to


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Whether this process alone makes ``path`` inside the block; False where another one is at it.

    The claim is a hidden file beside ``path``. One that a killed program left is nobody's.
    """
    name = f".{path.name}{_CLAIM}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()}{_CLAIM}"
    claim = path.with_name(name)
    _enter(path.parent)
    while True:
        try:
            handle = os.open(claim, os.O_RDONLY | os.O_CREAT, 0o666)
        except OSError:  # whoever writes the output says what is wrong with its folder
            yield True
            return
        mine = _hold(handle)
        if not mine or _is_at(claim, handle):
            break
        let_go(handle)  # the one before has just removed it
    try:
        yield mine is not False
    finally:
        if mine is not False:
            claim.unlink(missing_ok=True)
        let_go(handle)


def temporary_file(path: Path) -> tuple[Path, int | None]:
    """A new hidden file with the suffix of ``path``, beside it, and what to :func:`let_go` once it is done.

    Raises:
        OSError: the folder cannot be written.
    """
    _enter(path.parent)
    suffix = f"{PART}{path.suffix}"
    while True:
        handle, name = tempfile.mkstemp(suffix, beside(path.stem, suffix), path.parent)
        try:
            settled = _settled(Path(name), handle)
        except BaseException:
            let_go(handle)
            Path(name).unlink(missing_ok=True)
            raise
        if settled:
            if fcntl is None:  # an open file could not be moved
                let_go(handle)
            return Path(name), None if fcntl is None else handle
        let_go(handle)


def temporary_folder(path: Path) -> tuple[Path, int | None]:
    """As :func:`temporary_file`: a new hidden folder beside ``path``."""
    _enter(path.parent)
    while True:
        folder = Path(tempfile.mkdtemp(PART, beside(path.name, PART), path.parent))
        if fcntl is None:
            return folder, None
        with suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            if _settled(folder, handle):
                return folder, handle
            let_go(handle)


def let_go(handle: int | None) -> None:
    """Hold something no longer."""
    if handle is not None:
        _held.discard(handle)
        with suppress(OSError):  # swept away
            os.close(handle)


def sweep() -> None:
    """Remove what this process has not finished: for its end by a signal.

    A signal may come between the making of a file and the block that would remove it.
    """
    while _held:
        with suppress(OSError):
            os.close(_held.pop())
    while _folders:
        clear_folder(_folders.pop())


def _enter(folder: Path) -> None:
    """Clear a folder before this process makes anything in it, once, for folders may be large."""
    folder = folder.absolute()
    if folder not in _folders:
        _folders.add(folder)
        clear_folder(folder)


def clear_folder(folder: Path) -> None:
    """Remove what killed programs left unfinished in a folder."""
    with suppress(OSError):
        for path in folder.iterdir():
            if _LEFT.fullmatch(path.name):
                remove_left(path)


def remove_left(path: Path) -> None:
    """Remove a file or folder of ours, unless a living program holds it."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            if _hold(handle) and _is_at(path, handle):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
        finally:
            let_go(handle)


def beside(name: str, suffix: str) -> str:
    """How hidden names of what becomes ``name`` begin, cut where they would be too long for a file system."""
    most = LONGEST_NAME - _RANDOM - len(os.fsencode(suffix)) - 2  # two dots
    kept = name
    while len(os.fsencode(kept)) > most:
        kept = kept[:-1]
    return f".{kept}."


def _hold(handle: int) -> bool | None:
    """Hold an open file or folder; False where another does, None where the system cannot tell."""
    if fcntl is None:
        return None
    _held.add(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _settled(path: Path, handle: int) -> bool:
    """Hold what was just made, unless another program took it for something left and removes it."""
    held = _hold(handle)
    return held is None or (held and _is_at(path, handle))


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except OSError:
        return False
