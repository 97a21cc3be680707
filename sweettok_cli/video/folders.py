"""Folders that are searched, and the endings of names that are taken for video or pictures there.

A file given by name may have any ending: what it is, its content says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

from sweettok_cli.errors import SweettokError

VIDEOS = frozenset((".mp4", ".m4v", ".mov", ".avi", ".webm", ".mkv", ".gif", ".mpg", ".mpeg", ".ts", ".y4m"))
PICTURES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"))
MEDIA = VIDEOS | PICTURES


def find_files(
    folder: Path, endings: Collection[str], on_error: Callable[[OSError], None] | None = None
) -> list[Path]:
    """Files in and below ``folder`` that end so, sorted; what is hidden is left out.

    Args:
        folder: where to look.
        endings: in small letters, with their dots, such as :data:`MEDIA`.
        on_error: given the error of each folder that cannot be read; without it, that is an error.

    Raises:
        SweettokError: a folder cannot be read.
    """
    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=on_error or _refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in files
            if Path(name).suffix.lower() in endings and not name.startswith(".")
        ]
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise SweettokError(
        f"{error.filename} cannot be read ({error.strerror}); check its permissions."
    ) from error
