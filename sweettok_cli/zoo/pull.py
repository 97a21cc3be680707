"""From the Hub into the store: fetched, checked, made a model folder, put in place in one move."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import sha256_file
from sweettok_cli.models.registry import FAMILIES
from sweettok_cli.packing.prior import PRIOR_FILE
from sweettok_cli.storage.hub import HubFile, NoSuchFileError, UnreachableError, download, endpoint, look_up
from sweettok_cli.storage.model_folder import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    ModelFolder,
    ModelHeader,
    as_json,
    is_model_folder,
    write_text,
)
from sweettok_cli.zoo.catalogue import NamedModel, named_model
from sweettok_cli.zoo.local import (
    Part,
    building,
    find_model,
    install,
    split_repository,
    stored_folder,
    unknown_model,
)
from sweettok_cli.zoo.verify import check_folder

#: Told in one line what is going on.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Pulled:
    """A model that is on this machine now: its name as asked for, and whether it had to be fetched."""

    name: str
    folder: Path
    header: ModelHeader
    fetched: bool


def pull_model(
    name: str, *, force: bool = False, keep_download: bool = False, say: Say, bars: bool = False
) -> Pulled:
    """Bring a model into the store, unless it is there and whole.

    Killed at any moment it leaves the store as it was, or with the model; running it again succeeds. Several
    at once do it once.

    Args:
        name: of the catalogue, or ``OWNER/REPO[@REVISION]`` of a repository that holds a model folder.
        force: fetch it even if it is there.
        keep_download: leave what is fetched in the Hub's cache too; by default only the converted model is
            kept. What was in that cache before stays there in any case.
        say: told what is done.
        bars: let ``huggingface_hub`` draw its progress bars on stderr.

    Raises:
        SweettokError: no such model; it cannot be fetched, is not what the Hub announced, or cannot be read;
            or the store cannot be written.
    """
    model, repository = named_model(name), split_repository(name)
    if model is not None and model.shipped:
        folder = find_model(name)
        return Pulled(name, folder, ModelFolder(folder).header, False)
    if model is None and repository is None:
        raise unknown_model(name)
    folder = stored_folder(name)
    with building(name, say) as part:
        if not force and is_model_folder(folder) and _whole(folder, say):
            return Pulled(name, folder, ModelFolder(folder).header, False)
        try:
            if model is not None:
                _convert(model, part, keep_download, say, bars)
            elif repository is not None:
                _copy(*repository, part, keep_download, say, bars)
        except UnreachableError as error:
            raise SweettokError(
                f"The model {name} is not on this machine, and {error}; connect to the network (HF_ENDPOINT "
                f"names a mirror, HF_HUB_OFFLINE must be unset), or run `sweettok models pull {name}` where "
                f"there is one and copy its folder to {folder}."
            ) from error
        try:
            check_folder(part.model)
        except SweettokError as error:
            raise SweettokError(
                f"What was fetched as {name} is not whole ({_reason(error, part)}); nothing was kept, try "
                "again later."
            ) from error
        install(part)
    say(f"{name} is in {folder}")
    return Pulled(name, folder, ModelFolder(folder).header, True)


def megabytes(size: int) -> str:
    """``700 MB``, ``3.1 MB``."""
    return f"{size / 1e6:.0f} MB" if size >= 10_000_000 else f"{size / 1e6:.1f} MB"


def _whole(folder: Path, say: Say) -> bool:
    try:
        check_folder(folder)
    except SweettokError as error:
        say(f"{error}; fetching it again")
        return False
    return True


def _reason(error: SweettokError, part: Part) -> str:
    """The error's words without the place, which is gone when they are read."""
    return str(error).replace(f"{part.model}/", "").rstrip(".")


def _say_fetching(name: str, file: HubFile, say: Say) -> None:
    size = "" if file.bytes is None else f", {megabytes(file.bytes)}"
    where = "the Hub's cache" if file.cached else f"{endpoint()}/{file.repository}"
    say(f"Fetching {name} from {where} ({file.name}{size})")


def _convert(model: NamedModel, part: Part, keep: bool, say: Say, bars: bool) -> None:
    file = look_up(model.repository, model.file, model.revision)
    _say_fetching(model.name, file, say)
    path = download(file, None if keep else part.download, bars=bars)
    digest = file.etag if len(file.etag) == 64 else sha256_file(path)  # just compared, if it is a SHA-256
    if model.sha256 is not None and digest != model.sha256:
        raise SweettokError(
            f"{model.file} of {model.repository} is not the file that is known here (SHA-256 {digest}, not "
            f"{model.sha256}); nothing was kept, try another HF_ENDPOINT or upgrade sweettok."
        )
    source = {"repository": model.repository, "revision": file.commit, "path": model.file, "sha256": digest}
    source |= {key: getattr(model, key) for key in ("code_license", "weights_license", "paper")}
    say(f"Converting {model.name} to safetensors")
    from sweettok_cli.zoo.convert import convert_checkpoint  # imports Torch, which takes seconds

    convert_checkpoint(path, model.name, name=model.name, folder=part.model, source=source)


def _copy(repository: str, revision: str | None, part: Part, keep: bool, say: Say, bars: bool) -> None:
    """Fetch a model folder as :func:`sweettok_cli.zoo.push.push_model` puts it on the Hub."""
    part.model.mkdir()
    folder = None if keep else part.download

    def fetch(file: HubFile) -> None:
        path = download(file, folder, bars=bars)
        if path.is_relative_to(part.download):
            path.replace(part.model / file.name)
        else:
            shutil.copyfile(path, part.model / file.name)

    try:
        config = look_up(repository, CONFIG_FILE, revision or "main")
        fetch(config)
        model = ModelFolder(part.model)
        weights = look_up(repository, WEIGHTS_FILE, config.commit)
    except NoSuchFileError as error:
        raise SweettokError(
            f"{endpoint()}/{repository} holds no model of sweettok: {error.file} is missing; a checkpoint of "
            "another kind is read by `sweettok models convert`."
        ) from error
    except SweettokError as error:
        # What was never fetched has an error that says why.
        if isinstance(error, UnreachableError) or not (part.model / CONFIG_FILE).exists():
            raise
        raise SweettokError(
            f"{endpoint()}/{repository} holds no model that this sweettok reads ({_reason(error, part)})."
        ) from error
    _say_fetching(part.name, weights, say)
    fetch(weights)
    family = FAMILIES.get(model.header.family)
    for name in () if family is None else family.extra_files:
        fetch(look_up(repository, name, config.commit))
    with suppress(NoSuchFileError):  # few models have one
        fetch(look_up(repository, PRIOR_FILE, config.commit))
    try:
        fetch(look_up(repository, CARD_FILE, config.commit))
    except NoSuchFileError:
        say(f"{repository} has no model card")
    source = {**model.header.source, "pulled": {"repository": repository, "revision": config.commit}}
    write_text(part.model / CONFIG_FILE, as_json({**model.json(CONFIG_FILE), "source": source}))
