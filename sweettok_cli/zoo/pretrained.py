"""What ``huggingface_hub`` calls a pretrained model: from the Hub's cache into memory, and back out.

`sweettok models pull` keeps converted models in a store of its own; these keep to the Hub's cache, as whoever
gives a ``cache_dir`` expects.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output, is_file
from sweettok_cli.models.registry import FAMILIES, family_of
from sweettok_cli.packing.prior import PRIOR_FILE
from sweettok_cli.storage.hub import Access, NoSuchFileError, UnreachableError, download, look_up
from sweettok_cli.storage.model_folder import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    ModelFolder,
    write_model,
    write_text,
)
from sweettok_cli.zoo.card import card_with_results, model_card, read_record, results_of
from sweettok_cli.zoo.load import load
from sweettok_cli.zoo.local import find_model, split_repository
from sweettok_cli.zoo.push import plan_push, push_model

if TYPE_CHECKING:
    from torch import nn

    from sweettok_cli.models.common.hub import HubTokenizer
    from sweettok_cli.models.common.tokenizer import Tokenizer


def open_pretrained(name: str, revision: str | None, access: Access, **settings: Any) -> Tokenizer:
    """The tokenizer in a model's folder, of a known name, or of a repository of the Hub.

    Args:
        name: a folder, a name of ``sweettok models list``, or OWNER/REPO (OWNER/REPO@REVISION).
        revision: of a repository; by default ``main``.
        access: to the Hub and its cache.
        settings: ``device``, ``dtype`` and ``sample`` of :func:`~sweettok_cli.zoo.load.load`.

    Raises:
        SweettokError: there is no such model, it cannot be fetched, or it is damaged.
    """
    repository = None if Path(name).is_dir() else split_repository(name)
    if repository is not None:
        return load(fetch_snapshot(repository[0], revision or repository[1] or "main", access), **settings)
    if revision is not None:
        raise SweettokError(f"{name} is no repository of the Hub, and has no revisions; leave out revision.")
    return load(find_model(name) if access.local_files_only else name, **settings)


def fetch_snapshot(repository: str, revision: str, access: Access) -> Path:
    """The folder of a model in the Hub's cache, with every file that it needs.

    Raises:
        SweettokError: as for :func:`open_pretrained`.
    """
    try:
        config = look_up(repository, CONFIG_FILE, revision, access)
        folder = download(config, None, access=access).parent
        family = FAMILIES.get(ModelFolder(folder).header.family)
        for name in (WEIGHTS_FILE, *(() if family is None else family.extra_files)):
            download(look_up(repository, name, config.commit, access), None, access=access)
    except UnreachableError as error:
        raise SweettokError(
            f"{repository} is not in the Hub's cache, and {error}; connect to the network (HF_ENDPOINT names "
            "a mirror, HF_HUB_OFFLINE must be unset)."
        ) from error
    except NoSuchFileError as error:
        if access.local_files_only:
            raise
        raise SweettokError(
            f"{repository} at revision {revision} holds no model of sweettok: {error.file} is missing."
        ) from error
    for name in (CARD_FILE, PRIOR_FILE):
        with suppress(NoSuchFileError, UnreachableError):  # it works without
            download(look_up(repository, name, config.commit, access), None, access=access)
    return folder


def save_tokenizer(
    tokenizer: HubTokenizer, folder: Path, repository: str, record: str | Path | None = None
) -> None:
    """Write a tokenizer as a model's folder, each file in one move, ``config.json`` last.

    Weights that are those of the folder it was loaded from are copied byte for byte, so that its token files
    stay readable; others are stored in the number formats that those had.

    Args:
        tokenizer: from :func:`~sweettok_cli.zoo.load.load`.
        folder: made if missing; files of a model in it are replaced.
        repository: under which the card says that the model can be fetched.
        record: a file that `sweettok eval --json` wrote, whose figures the card gets.

    Raises:
        SweettokError: the tokenizer was made by hand, its own folder is gone, the record is of other weights,
            or the new folder cannot be written.
    """
    measured = None if record is None else read_record(record)
    origin = _origin(tokenizer)
    network: nn.Module = vars(tokenizer)["network"]  # whatever was loaded has one
    stored, own = origin.state(), network.state_dict()
    state = {name: own[name].cpu().to(tensor.dtype) for name, tensor in stored.items()}
    changed = any(not tensor.equal(stored[name]) for name, tensor in state.items())
    if measured is not None and not changed:
        results_of(measured, origin.header)  # refuses other weights before anything is written
    names = family_of(origin).extra_files
    prior = (PRIOR_FILE,) if is_file(origin.path / PRIOR_FILE) else ()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names if changed else (*names, *prior, WEIGHTS_FILE, CONFIG_FILE):
            with atomic_output(folder / name, force=True) as part:
                shutil.copyfile(origin.path / name, part)
        if changed:
            header = origin.header
            write_model(
                folder,
                name=header.name,
                family=header.family,
                config=header.config,
                state=state,
                source=header.source,
            )
        # The card of other weights has figures that are not those of these.
        text = model_card(ModelFolder(folder), repository, measured) if changed else None
        write_text(folder / CARD_FILE, text or card_text(tokenizer, repository, measured))
    except OSError as error:
        reason = error.strerror or str(error)
        raise SweettokError(
            f"Cannot save {tokenizer.spec.name} as {folder} ({reason}); choose another folder."
        ) from error


def card_text(tokenizer: HubTokenizer, repository: str, record: Mapping[str, Any] | None = None) -> str:
    """The card of a tokenizer: that of the folder it was loaded from, or a new one; with a record's figures.

    Raises:
        SweettokError: the tokenizer was made by hand, or the record is of other weights.
    """
    origin = _origin(tokenizer)
    card = origin.path / CARD_FILE
    if not card.is_file():
        return model_card(origin, repository, record)
    text = card.read_text(encoding="utf-8")
    return text if record is None else card_with_results(text, record, origin.header)


def _origin(tokenizer: HubTokenizer) -> ModelFolder:
    if tokenizer.origin is None:
        raise SweettokError(
            f"{tokenizer.spec.name} was not loaded from a model's folder, and cannot be saved; load it with "
            "sweettok.load."
        )
    return tokenizer.origin


def push_tokenizer(
    tokenizer: HubTokenizer,
    repository: str,
    branch: str | None = None,
    record: str | Path | None = None,
    **settings: Any,
) -> str:
    """Send a tokenizer to the Hub as a model's folder.

    Args:
        tokenizer: as for :func:`save_tokenizer`, with ``record``.
        repository: OWNER/REPO.
        branch: made if it is missing; by default ``main``.
        record: see :func:`save_tokenizer`.
        settings: ``private``, ``token`` and ``message`` of :func:`~sweettok_cli.zoo.push.push_model`.

    Returns:
        The commit's address.

    Raises:
        SweettokError: see both.
    """
    with TemporaryDirectory() as folder:
        save_tokenizer(tokenizer, Path(folder), repository, record)
        plan = plan_push(Path(folder), repository, branch)
        return f"{plan.url}/commit/{push_model(plan, **settings)}"
