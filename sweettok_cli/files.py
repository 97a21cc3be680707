"""Outputs that appear whole or not at all, files and folders; digests."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweettok_cli.errors import SweettokError


def check_target(path: Path, force: bool) -> None:
    """Raise :class:`SweettokError` if ``path`` may not be replaced, or its folder is missing."""
    if path.is_dir():
        raise SweettokError(f"{path} is a folder; give the name of a file to write.")
    if path.exists() and not force:
        raise SweettokError(f"{path} exists; pass --force to replace it or -o to write elsewhere.")
    if not path.parent.is_dir():
        raise SweettokError(
            f"The folder {path.parent} does not exist; create it or choose another output with -o."
        )
    # Now, and not when hours of work are to be written.
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise SweettokError(
            f"Cannot write into {path.parent} (Permission denied); choose another folder with -o."
        )


@contextmanager
def atomic_output(path: Path, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` with the same suffix; rename it into place on success.

    On any exception, an interrupt included, the temporary file is removed and an older ``path`` stays.

    Raises:
        SweettokError: ``path`` exists without ``force``, the folder cannot be written, or the disk is full.
    """
    check_target(path, force)
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}.", suffix=f".part{path.suffix}", dir=path.parent
        )
    except OSError as error:
        raise SweettokError(
            f"Cannot write into {path.parent} ({error.strerror}); choose another folder with -o."
        ) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _sync(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise SweettokError(
            f"Cannot write {path} ({error.strerror or error}); free some space or choose another folder."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
