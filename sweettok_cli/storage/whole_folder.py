"""A model folder that is there whole or not at all, whenever its writing is cut off."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.folder import WORDS_FILE
from sweettok_cli.storage.model_folder import CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, is_model_folder

_PART, _OLD = ".part", ".old"
_MODEL_FILES = {CONFIG_FILE, WEIGHTS_FILE, CARD_FILE, WORDS_FILE}


def check_folder_target(folder: Path, force: bool) -> None:
    """Find out before any long work whether a model may be written to ``folder``.

    Raises:
        SweettokError: it is a file, holds a model (without ``force``) or anything that is no model's, or its
            parent is missing or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise SweettokError(f"{folder} is a file; name a folder for the model with -o.")
    if folder.is_dir():
        foreign = sorted(entry.name for entry in folder.iterdir() if not _is_ours(entry))
        if foreign:
            raise SweettokError(
                f"{folder} holds {foreign[0]}, which is no part of a model; name another folder with -o."
            )
        if is_model_folder(folder) and not force:
            raise SweettokError(f"{folder} exists; pass --force to replace it or -o to write elsewhere.")
    parent = folder.absolute().parent
    if not parent.is_dir():
        raise SweettokError(
            f"The folder {folder.parent} does not exist; create it or choose another output with -o."
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise SweettokError(f"Cannot write into {parent} (Permission denied); choose another folder with -o.")


@contextmanager
def whole_folder(folder: Path, force: bool = False) -> Iterator[Path]:
    """Yield an empty folder to write a model into; it becomes ``folder``, or is removed on an error.

    It lies beside ``folder`` and is renamed. A model that is there already is moved aside first, and put back
    by the next call if the program is killed between both moves; what else killed programs left is removed
    then. A folder that exists and holds no model is written to directly: it is none until its last file is
    there.

    Raises:
        SweettokError: as :func:`check_folder_target`; or the disk is full.
    """
    folder = folder.absolute()
    if folder.parent.is_dir():
        _recover(folder)
    check_folder_target(folder, force)
    try:
        if folder.is_dir() and not is_model_folder(folder):
            _empty(folder)
            try:
                yield folder
            except BaseException:
                _empty(folder)
                raise
            return
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=_PART, dir=folder.parent))
        held = _hold(part)
        try:
            yield part
            part.chmod(0o777 & ~_umask())
            check_folder_target(folder, force)  # another program may have been faster
            _move(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
            if held is not None:
                os.close(held)
    except OSError as error:
        raise SweettokError(
            f"Cannot write {folder} ({error.strerror or error}); free some space or choose another folder "
            "with -o."
        ) from error


def _move(part: Path, folder: Path) -> None:
    if not folder.exists():
        part.rename(folder)
        return
    old = part.with_suffix(_OLD)
    folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _recover(folder: Path) -> None:
    """Undo what killed programs left beside ``folder``; what a living one holds stays."""
    for old in folder.parent.glob(f".{folder.name}.*{_OLD}"):
        if not folder.exists():
            old.rename(folder)
        else:
            shutil.rmtree(old, ignore_errors=True)
    for part in folder.parent.glob(f".{folder.name}.*{_PART}"):
        held = _hold(part)
        if held is not None:
            shutil.rmtree(part, ignore_errors=True)
            os.close(held)


def _hold(folder: Path) -> int | None:
    """Hold a folder as long as this process lives; None if another does, or the system cannot tell."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _is_ours(entry: Path) -> bool:
    # Files that are being written are called .NAME.<random>.part.SUFFIX, see files.atomic_output.
    unfinished = entry.name.startswith(".") and _PART in entry.suffixes[-2:]
    return entry.is_file() and (entry.name in _MODEL_FILES or unfinished)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        entry.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
