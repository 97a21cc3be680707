"""Finds a published file: in the user's folder, on this machine, then on the network; and checks it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.request import urlopen

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.features.files import Published
from sweettok_cli.evaluation.metrics.base import NotMeasured
from sweettok_cli.files import atomic_output, sha256_file
from sweettok_cli.weights_store.hub import endpoint, one_sentence

_TIMEOUT = 30  # seconds without an answer


@dataclass(frozen=True)
class Places:
    """Where to look for weights.

    Attributes:
        folder: the user's, looked into first.
        online: whether what is not on this machine may be fetched.
        announce: called with one sentence before something is fetched.
    """

    folder: Path | None = None
    online: bool = True
    announce: Callable[[str], None] | None = None


def find(file: Published, places: Places) -> Path:
    """The path of a published file whose content is the published one.

    Raises:
        NotMeasured: it cannot be had, or what lies under its name is another file.
    """
    for path in _on_this_machine(file, places.folder):
        if path.is_file():
            return _checked(path, file)
    remedy = f"fetch {file.url} ({_megabytes(file)}) and put it into a folder that you name with --features."
    if not places.online or _offline():
        raise NotMeasured(f"{file.name} is not on this machine and nothing may be fetched; {remedy}")
    if places.announce:
        places.announce(f"Fetching {file.name} ({_megabytes(file)}) from {file.url}.")
    try:
        path = _from_hub(*file.hub) if file.hub else _from_url(file)
    except NotMeasured:
        raise
    except SweettokError as error:
        raise NotMeasured(f"{file.name} cannot be fetched: {str(error).rstrip('.')}; {remedy}") from error
    except (OSError, HTTPException) as error:
        raise NotMeasured(f"{file.name} cannot be fetched ({_words(error)}); {remedy}") from error
    return _checked(path, file)


def _on_this_machine(file: Published, folder: Path | None) -> Iterator[Path]:
    import torch

    if folder is not None:
        yield from (folder / name for name in file.names)
    for name, path in file.shipped_in:
        try:
            yield Path(str(distribution(name).locate_file(path)))
        except PackageNotFoundError:
            continue
    cache = Path(torch.hub.get_dir(), "checkpoints")  # where torchvision and pytorch-fid keep theirs
    yield from (cache / name for name in file.names)
    if file.hub:
        from huggingface_hub import try_to_load_from_cache

        kind, repository, commit, path = file.hub
        found = try_to_load_from_cache(repository, path, revision=commit, repo_type=kind)
        if isinstance(found, str):
            yield Path(found)


def _checked(path: Path, file: Published) -> Path:
    found = sha256_file(path)
    if found != file.sha256:
        raise NotMeasured(
            f"{path} is not the published {file.name} (its SHA-256 begins {found[:12]}, not "
            f"{file.sha256[:12]}); figures would compare with no paper's. Remove it, or fetch {file.url}."
        )
    return path


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _from_hub(kind: str, repository: str, commit: str, path: str) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    hub = endpoint()
    with one_sentence(repository, path, commit):
        # Asked for by itself first, because unlike the download it fails at once where there is no network.
        get_hf_file_metadata(hf_hub_url(repository, path, repo_type=kind, revision=commit, endpoint=hub))
        return Path(hf_hub_download(repository, path, repo_type=kind, revision=commit, endpoint=hub))


def _from_url(file: Published) -> Path:
    """Into the cache of torch hub, so that torchvision and others find it too."""
    import torch

    target = Path(torch.hub.get_dir(), "checkpoints", file.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with atomic_output(target, force=True) as part, open(part, "wb") as stream:
        with urlopen(file.url, timeout=_TIMEOUT) as answer:
            while block := answer.read(1 << 20):
                digest.update(block)
                stream.write(block)
        if digest.hexdigest() != file.sha256:
            raise NotMeasured(
                f"{file.url} does not give the published {file.name} (its SHA-256 begins "
                f"{digest.hexdigest()[:12]}, not {file.sha256[:12]}); try again later, or fetch it elsewhere "
                "and name its folder with --features."
            )
    return target


def _megabytes(file: Published) -> str:
    return f"{max(1, round(file.bytes / 1e6))} MB" if file.bytes >= 500_000 else f"{file.bytes} bytes"


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
