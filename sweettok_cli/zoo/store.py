"""The folder in which pulled models are kept: a neighbour of the Hub's cache, one folder a model.

``<HF_HOME>/sweettok/<name>/`` (``$SWEETTOK_HOME/<name>/`` if that is set) is a whole model folder or it is
not there. A model is fetched and built under ``.parts/<name>`` and renamed. Whoever does so holds
``.locks/<name>``, which the system gives back when its holder dies; so what lies under ``.parts`` without a
held lock was left by a process that was killed.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import restore_folder, swap_folder
from sweettok_cli.storage.model_folder import CONFIG_FILE, ModelFolder, is_model_folder

if TYPE_CHECKING:
    from filelock import FileLock

_PARTS = ".parts"
_LOCKS = ".locks"
_OLD = ".old."  # begins the name of a model that is being replaced; no key begins with a dot

#: A repository on the Hub, perhaps with a revision: ``OWNER/REPO`` or ``OWNER/REPO@REVISION``.
_REPOSITORY = re.compile(r"(\w[\w.-]*)/(\w[\w.-]*)(?:@(\w[\w./-]*))?", re.ASCII)


def store_folder() -> Path:
    """Where pulled models are kept; it need not exist.

    ``$SWEETTOK_HOME``, else ``sweettok`` in the Hub's folder (``$HF_HOME``, by default
    ``~/.cache/huggingface``).
    """
    own = os.environ.get("SWEETTOK_HOME")
    if own:
        return Path(own).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or os.path.join(cache, "huggingface")  # noqa: PTH118
    return Path(os.path.expandvars(home)).expanduser() / "sweettok"


def split_repository(name: str) -> tuple[str, str | None] | None:
    """``OWNER/REPO`` and the revision of a repository's name, or None if it is no such name."""
    matched = _REPOSITORY.fullmatch(name)
    if matched is None or ".." in name or "--" in name:  # the Hub allows neither
        return None
    owner, repository, revision = matched.groups()
    return f"{owner}/{repository}", revision


def stored_folder(name: str) -> Path:
    """Where a model of this name (or ``OWNER/REPO[@REVISION]``) is kept, whether it is there or not."""
    return store_folder() / name.replace("/", "--")


def stored_models() -> dict[str, Path]:
    """The pulled models: their folders by the names they were pulled under."""
    return {
        path.parent.name.replace("--", "/"): path.parent
        for path in sorted(store_folder().glob(f"*/{CONFIG_FILE}"))
        if not path.parent.name.startswith(".")
    }


def find_stored(name: str) -> Path | None:
    """The folder of a pulled model, by the name it was pulled under or else by the name it has itself.

    Token files name the model itself: one that was pulled as ``OWNER/REPO`` is found for them too.
    """
    if name in ("", ".", "..") or name.startswith((".", "/", os.sep)):
        return None
    folder = stored_folder(name)
    if is_model_folder(folder):
        return folder
    for path in stored_models().values():
        try:
            if ModelFolder(path).header.name == name:
                return path
        except SweettokError:  # a damaged one is no reason not to look at the others; `verify` names it
            continue
    return None


@dataclass(frozen=True)
class Part:
    """A model in the making.

    Attributes:
        name: as for :func:`stored_folder`.
        download: folder for what is fetched; a file that was fetched whole before a kill is still in it.
        model: folder to build the model in; does not exist yet.
    """

    name: str
    download: Path
    model: Path


@contextmanager
def building(name: str, on_wait: Callable[[str], None]) -> Iterator[Part]:
    """Hold the right to build the model ``name``, and yield where to.

    What killed processes left is removed first, and what is left of this one at the end.

    Args:
        name: as for :func:`stored_folder`.
        on_wait: told once if another process holds the right.

    Raises:
        SweettokError: the store cannot be written.
    """
    store, key = store_folder(), stored_folder(name).name
    root = store / _PARTS / key
    part = Part(name, root / "download", root / "model")
    with ExitStack() as held:
        try:
            (store / _PARTS).mkdir(parents=True, exist_ok=True)
            (store / _LOCKS).mkdir(exist_ok=True)
            held.enter_context(_lock(key, on_wait))
            _sweep(part)
            part.download.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SweettokError(
                f"Cannot write into {store} ({error.strerror or error}); free some space, or set "
                "SWEETTOK_HOME to a folder that can be written."
            ) from error
        try:
            yield part
        finally:
            shutil.rmtree(root, ignore_errors=True)


def install(part: Part) -> Path:
    """Move a model that was built to its place; an older one is replaced.

    A killed move leaves the old model or the new one, or (between two renames) the old one where the next
    :func:`building` finds it.
    """
    target = stored_folder(part.name)
    swap_folder(part.model, target, _old(target.name))
    return target


@contextmanager
def _lock(key: str, on_wait: Callable[[str], None]) -> Iterator[None]:
    from filelock import Timeout

    lock = _file_lock(key)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait(f"Waiting for another process that fetches {key.replace('--', '/')}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _file_lock(key: str) -> FileLock:
    from filelock import FileLock

    return FileLock(store_folder() / _LOCKS / f"{key}.lock")


def _old(key: str) -> Path:
    return store_folder() / _PARTS / (_OLD + key)


def _sweep(part: Part) -> None:
    """Remove what killed processes left, except the whole files of the part whose lock is held."""
    from filelock import Timeout

    own = stored_folder(part.name).name
    restore_folder(stored_folder(part.name), _old(own))
    shutil.rmtree(part.model, ignore_errors=True)
    # What is cut off cannot be gone on with: huggingface_hub gives every attempt a name of its own.
    for cut in part.download.rglob("*.????????.incomplete"):
        cut.unlink(missing_ok=True)
    for key in {path.name.removeprefix(_OLD) for path in (store_folder() / _PARTS).iterdir()} - {own}:
        try:
            with _file_lock(key).acquire(timeout=0):
                restore_folder(store_folder() / key, _old(key))
                shutil.rmtree(store_folder() / _PARTS / key, ignore_errors=True)
        except Timeout:  # being built right now
            continue
