"""One file from the Hub, checked; every way in which that fails, as one sentence.

The network is reached through ``huggingface_hub`` only: its cache, its login, ``HF_ENDPOINT`` and
``HF_HUB_OFFLINE`` hold here too.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import sha256_file

# The Hub did answer a moment ago. Earlier releases of huggingface_hub (0.36, 1.0) give up at the first cut,
# and go on when they are asked again; later ones (2.4) try again by themselves.
_ATTEMPTS = 3
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS)


class UnreachableError(SweettokError):
    """The Hub does not answer; the words lack the remedy, which depends on what was wanted."""


class NoSuchFileError(SweettokError):
    """The repository is there, but ``file`` is not in it."""

    def __init__(self, message: str, file: str) -> None:
        super().__init__(message)
        self.file = file


@dataclass(frozen=True)
class HubFile:
    """A file of a repository at a commit, as the Hub (or, without a network, its cache) knows it.

    Attributes:
        repository: ``OWNER/REPO``.
        name: path in the repository.
        revision: as it was asked for.
        commit: what that is, 40 digits.
        etag: SHA-256 of a large file, git's SHA-1 of a small one; empty where the cache does not tell.
        bytes: its size, where it is known.
        cached: where it lies in the Hub's cache, if it does.
    """

    repository: str
    name: str
    revision: str
    commit: str
    etag: str
    bytes: int | None
    cached: Path | None


@dataclass(frozen=True)
class Access:
    """How the Hub is reached, as functions of ``huggingface_hub`` take it.

    Attributes:
        token: to show; None is the one of `hf auth login` or HF_TOKEN, False is none.
        cache_dir: folder of the cache; None is the Hub's own.
        local_files_only: ask the cache, and nobody else.
        force_download: fetch what the cache has, too.
    """

    token: str | bool | None = None
    cache_dir: Path | None = None
    local_files_only: bool = False
    force_download: bool = False


USUAL = Access()


def address() -> str:
    """The Hub's address, or its mirror's, for requests."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def endpoint() -> str:
    """The Hub's address as it may be shown: without a user's name and password."""
    return _without_password(address())


def _without_password(text: str) -> str:
    return re.sub(r"(?<=://)[^/@\s]*@", "", text)


def look_up(repository: str, name: str, revision: str = "main", access: Access = USUAL) -> HubFile:
    """What the Hub has under this name; its cache answers where the Hub cannot be reached.

    The arguments are those of :class:`HubFile`; a revision is a commit, branch or tag.

    Raises:
        SweettokError: no such repository, revision or file; no right to it; no network and not in the cache.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    def cached(revision: str) -> Path | None:
        found = try_to_load_from_cache(repository, name, access.cache_dir, revision)
        return Path(found) if isinstance(found, str) else None

    def remembered(path: Path) -> HubFile:
        commit = path.parts[path.parts.index("snapshots") + 1]
        etag = path.readlink().name if path.is_symlink() else ""
        return HubFile(repository, name, revision, commit, etag, path.stat().st_size, path)

    with one_sentence(repository, name, revision):
        path = cached(revision)
    if access.local_files_only:
        if path is None:
            raise NoSuchFileError(
                f"The Hub's cache has no {name} of {repository} at revision {revision}, and local_files_only "
                "forbids to fetch it; fetch it once without that.",
                name,
            )
        return remembered(path)
    with one_sentence(repository, name, revision):
        try:
            met = get_hf_file_metadata(hf_hub_url(repository, name, revision=revision), token=access.token)
        except _network_errors() as error:
            # An answer that the file is not to be had; a Hub that is out of order counts as out of reach.
            refused = isinstance(error, HfHubHTTPError) and error.response.status_code < 500
            if path is None or refused:
                raise
            return remembered(path)
        if not met.commit_hash or not met.etag:
            raise SweettokError(
                f"{endpoint()} does not answer as the Hub does; check HF_ENDPOINT and the proxy settings."
            )
        commit = met.commit_hash
        return HubFile(repository, name, revision, commit, met.etag, met.size, cached(commit))


def download(file: HubFile, folder: Path | None, *, bars: bool = False, access: Access = USUAL) -> Path:
    """The path of the file, fetched if it is not in the Hub's cache, its content checked against its etag.

    Args:
        file: from :func:`look_up`.
        folder: where to put it if it has to be fetched; None puts it into the Hub's cache.
        bars: let ``huggingface_hub`` draw its progress bar on stderr.

    Raises:
        SweettokError: the network failed for good, or the content is not what the Hub announced; then it is
            not kept.
    """
    path = (None if access.force_download else file.cached) or _fetch(file, folder, bars, access)
    found = _content_digest(path, file.etag)
    if found != file.etag:
        if path.is_symlink():  # an entry of the Hub's cache
            (path.parent / path.readlink()).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise SweettokError(
            f"{path.name} of {file.repository} is not what {endpoint()} announced (its digest is {found}, "
            f"not {file.etag}); it was removed, try again later or with another HF_ENDPOINT."
        )
    return path


def _fetch(file: HubFile, folder: Path | None, bars: bool, access: Access) -> Path:
    from huggingface_hub import hf_hub_download

    # The cache finds a branch again without a network only if it was fetched as a branch.
    revision = file.revision if folder is None else file.commit
    left = _ATTEMPTS
    while True:
        left -= 1
        try:
            with one_sentence(file.repository, file.name, revision), progress_bars(bars):
                return Path(
                    hf_hub_download(
                        file.repository,
                        file.name,
                        revision=revision,
                        cache_dir=access.cache_dir,
                        local_dir=folder,
                        force_download=access.force_download,
                        token=access.token,
                    )
                )
        except UnreachableError:
            if not left:
                raise


@contextmanager
def progress_bars(shown: bool) -> Iterator[None]:
    """Let ``huggingface_hub`` draw its progress bars on stderr, or not."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    with ExitStack() as after:
        if not shown and not are_progress_bars_disabled():
            disable_progress_bars()
            after.callback(enable_progress_bars)
        yield


def _content_digest(path: Path, etag: str) -> str:
    """The digest of a file's content that a Hub etag states: SHA-256 or git's SHA-1; else the etag itself."""
    if re.fullmatch(r"[0-9a-f]{64}", etag):
        return sha256_file(path)
    if re.fullmatch(r"[0-9a-f]{40}", etag):
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return etag


def _network_errors() -> tuple[type[Exception], ...]:
    """What ``huggingface_hub`` lets through: its own error is derived from that of the library it uses."""
    from huggingface_hub.errors import HfHubHTTPError

    return (OSError, *(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception)))


@contextmanager
def one_sentence(repository: str, name: str = "", revision: str = "main") -> Iterator[None]:
    """Turn the errors of ``huggingface_hub`` into errors for the user."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import HFValidationError

    foreseen: tuple[type[Exception], ...] = (HFValidationError, *_network_errors())
    if not (get_token() or "").isascii():  # it could not be put into a request
        raise SweettokError(
            "The token in HF_TOKEN (or of `hf auth login`) holds characters that none has; set it again."
        )
    try:
        yield
    except foreseen as error:
        raise _explained(error, repository, name, revision) from error


def _explained(error: Exception, repository: str, name: str, revision: str) -> SweettokError:
    """What an error of ``huggingface_hub`` means, and what to do about it."""
    from huggingface_hub import errors

    hub = endpoint()
    answers = {
        errors.LocalTokenNotFoundError: f"You are not logged in to {hub}; run `hf auth login`, or set "
        "HF_TOKEN.",
        # the gated repository's error is derived from the missing one's
        errors.HFValidationError: f"{repository!r} is no name of a repository; give OWNER/REPO.",
        errors.GatedRepoError: f"{hub}/{repository} is given to registered users only; accept its terms "
        "there, then log in with `hf auth login`.",
        errors.RepositoryNotFoundError: f"{hub} has no repository {repository} that is open to you; check "
        "the name, or log in with `hf auth login` (or HF_TOKEN) if it is private.",
        errors.RevisionNotFoundError: f"{hub}/{repository} has no revision {revision}; check the name of the "
        "revision.",
    }
    for kind, answer in answers.items():
        if isinstance(error, kind):
            return SweettokError(answer)
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        if isinstance(error, errors.EntryNotFoundError):
            return NoSuchFileError(f"{hub}/{repository} has no file {name} at revision {revision}.", name)
        if status in (401, 403):
            return SweettokError(
                f"{hub} refuses access to {repository} (status {status}); log in with `hf auth login`, or "
                "set HF_TOKEN to a token that has the right."
            )
        if status < 500:
            return SweettokError(
                f"{hub} refuses the request for {repository} (status {status}): {_words(error)}."
            )
        return UnreachableError(f"{hub} is out of order (status {status})")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return UnreachableError("HF_HUB_OFFLINE is set")
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
        return SweettokError(
            f"Cannot keep what {hub} sends ({error.strerror}); free some space, or set HF_HOME to another "
            "folder."
        )
    return UnreachableError(f"{hub} cannot be reached ({_words(error)})")


def _words(error: Exception) -> str:
    return _without_password(" ".join(str(error).split()))[:200].rstrip(".") or type(error).__name__
