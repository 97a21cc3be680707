"""Which clips show the same person, place or source, as their names tell."""

from __future__ import annotations

import re
from pathlib import Path

from sweettok_cli.packing.token_file import ENDINGS
from sweettok_cli.video.source import MEDIA

_UCF101 = re.compile(r"v_(?P<group>(?P<label>.+)_g\d+)_c\d+(?:\..+)?")
_PIECE = re.compile(r"(?P<group>.+)__\d+")

#: How clips are told to be of one group, in words.
BY_NAME = (
    "by name: v_CLASS_gNN_cNN is of group CLASS_gNN (UCF-101), NAME__NNN of group NAME; any other file is a "
    "group of its own"
)


def group_of(name: str) -> str:
    """The group that a file's name, or its path, tells of, by :data:`BY_NAME`."""
    bare = bare_name(name)
    found = _UCF101.fullmatch(_stem(bare)) or _PIECE.fullmatch(_stem(bare))
    return found["group"] if found else bare


def ucf101(name: str) -> tuple[str, str] | None:
    """Class and group of a clip of UCF-101 by its name, or its path; None of any other."""
    found = _UCF101.fullmatch(_stem(bare_name(name)))
    return (found["label"], found["group"]) if found else None


def bare_name(name: str) -> str:
    """A name without the endings of token files and videos: ``a/clip`` for ``a/clip.avi.npz``."""
    for endings in (ENDINGS, MEDIA):
        ending = Path(name).suffix
        if ending.lower() in endings:
            name = name.removesuffix(ending)
    return name


def _stem(bare: str) -> str:
    return bare.rsplit("/", 1)[-1]
