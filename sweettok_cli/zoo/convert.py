"""Brings a checkpoint that was trained elsewhere into a model folder, whichever family it is of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import FolderKind, atomic_folder, check_folder_target, sha256_file
from sweettok_cli.models.common.family import Conversion, Family
from sweettok_cli.models.registry import ROWS
from sweettok_cli.packing.prior import PRIOR_FILE
from sweettok_cli.runtime import __version__
from sweettok_cli.storage import checkpoint_file
from sweettok_cli.storage.checkpoint_file import Checkpoint, read_checkpoint
from sweettok_cli.storage.model_folder import CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, ModelFolder, ModelHeader
from sweettok_cli.zoo.catalogue import named_model

#: What ``--as`` takes beside the names of published models.
KINDS = tuple(kind for family in ROWS for kind in family.kinds)

_EXTRA_FILES = {file for family in ROWS for file in family.extra_files}
_FILES = frozenset({CONFIG_FILE, WEIGHTS_FILE, CARD_FILE, PRIOR_FILE, *_EXTRA_FILES})
_MODEL = FolderKind("model", _FILES, CONFIG_FILE)


def convert_checkpoint(
    file: Path,
    family_or_name: str,
    *,
    name: str | None = None,
    folder: Path,
    source: Mapping[str, Any] | None = None,
    words: tuple[Path, Path] | None = None,
    averaged: bool = False,
    force: bool = False,
) -> ModelHeader:
    """Write a checkpoint as a model folder, which is there whole or not at all.

    Args:
        file: a checkpoint file, or a folder of Accelerate.
        family_or_name: of :data:`KINDS`, or a published name such as ``vidtok-fsq-causal-488-32768``.
        name: of the model, as token files will name it; by default as :func:`model_name` tells it.
        folder: where to write. Its parent must exist.
        source: what is known of where the file comes from. The file's name, its SHA-256 (unless it is given)
            and what was dropped are added, and the whole is kept in ``config.json``.
        words: SweetTok only: the pickled adjectives and nouns, and the pickled adverbs and verbs.
        averaged: take the moving average (EMA) that the checkpoint holds beside its weights.
        force: replace a model that is in ``folder``.

    Raises:
        SweettokError: the checkpoint cannot be read safely or is not what it is said to be; the folder exists
            or cannot be written; words are missing.
    """
    family, kind, published_as = _said_to_be(family_or_name)
    if name is None:
        name = model_name(file, family_or_name)
    elif not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}", name):
        raise SweettokError(
            f"{name!r} cannot name a model; use letters, digits, dashes, dots and underscores, 96 at most."
        )
    if (words is None) == (family.words is not None):
        raise SweettokError(
            "The words of a SweetTok checkpoint are not in it; give both pickles with --words-spatial and "
            "--words-temporal."
            if words is None
            else f"{family_or_name} has no words; leave out --words-spatial and --words-temporal."
        )
    check_folder_target(folder, _MODEL, force)
    checkpoint = read_checkpoint(file, averaged)
    average = family.average
    among_weights = average is not None and any(key.startswith(average) for key in checkpoint.state)
    if averaged and not checkpoint.averaged and not among_weights:
        raise SweettokError(f"{checkpoint.path} holds no moving average of its weights; leave out --ema.")
    known = dict(source or {})
    about = {**_origin(checkpoint, words, hashed="sha256" in known), **known}
    file_name = _published_name(checkpoint.path)
    conversion = Conversion(kind, published_as, name, file_name, averaged, words, about)
    with atomic_folder(folder, _MODEL, force) as part:
        family.convert(checkpoint, part, conversion)
    return ModelFolder(folder).header


def _said_to_be(family_or_name: str) -> tuple[Family, str, str | None]:
    """Family, kind of checkpoint, and published name if it has one."""
    for family in ROWS:
        if family_or_name in family.kinds:
            return family, family_or_name, None
    model = named_model(family_or_name)
    for family in ROWS:
        kind = family.kinds[0]
        if model is not None and not model.shipped and model.family in family.names:
            return family, kind, family_or_name
        if family.settings is not None and family_or_name.startswith(f"{kind}-"):
            try:
                family.settings(family_or_name)
            except ValueError as error:
                raise SweettokError(f"{error}; `sweettok models list` has the names.") from error
            return family, kind, family_or_name
    raise SweettokError(
        f"There is no family {family_or_name!r}; --as takes {', '.join(KINDS)}, or a published "
        "model's name (`sweettok models list`)."
    )


def model_name(file: Path, family_or_name: str) -> str:
    """The name that a converted model is given by default: the published one where it is said to be one.

    Otherwise it is the file's, in lower case with dashes, after the family's; for files that every checkpoint
    calls the same, the folder's.
    """
    family, _, published_as = _said_to_be(family_or_name)
    if published_as is not None:
        return published_as
    start, name = family.kinds[0], _published_name(file)
    return name if name.startswith(start) else f"{start}-{name}" if name else start


def _published_name(file: Path) -> str:
    """``.../vidtok_kl_causal_488_4chn_v1_1.ckpt`` -> ``vidtok-kl-causal-488-4chn-v1.1``."""
    file = file.absolute()
    if file.name in checkpoint_file.FOLDER_FILES:
        file = file.parent
    if file.name in (checkpoint_file.PLAIN_FOLDER, checkpoint_file.AVERAGED_FOLDER):
        file = file.parent
    stem = file.name if file.is_dir() else file.stem
    name = re.sub(r"[^a-z0-9.]+", "-", stem.lower()).strip("-.")
    return re.sub(r"-v1-1$", "-v1.1", name)


def _origin(checkpoint: Checkpoint, words: tuple[Path, Path] | None, hashed: bool) -> dict[str, Any]:
    """The file and its SHA-256 (of every file, where there are several), and what was read of it."""
    origin: dict[str, Any] = {"file": checkpoint.path.name}
    if len(checkpoint.files) > 1:
        origin["files"] = {file.name: sha256_file(file) for file in checkpoint.files}
    else:
        (file,) = checkpoint.files
        origin = {"file": file.name} if hashed else {"file": file.name, "sha256": sha256_file(file)}
    origin["read"] = checkpoint.part
    if checkpoint.prefixes:
        origin["prefixes"] = list(checkpoint.prefixes)
    if words is not None:
        origin["words"] = {file.name: sha256_file(file) for file in words}
    return {**origin, "converter": f"sweettok {__version__}"}
