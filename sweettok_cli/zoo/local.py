"""The models of this machine: shipped ones, folders of the user's, and the store of pulled ones.

The store is a neighbour of the Hub's cache. ``<HF_HOME>/sweettok/<name>/`` (``$SWEETTOK_HOME/<name>/`` if it
is set) is a whole model folder or it is not there. A model is fetched and built under ``.parts/<name>`` and
renamed. Whoever does so holds ``.locks/<name>``, which the system gives back when its holder dies; so what
lies under ``.parts`` without a held lock was left by a process that was killed.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import restore_folder, swap_folder
from sweettok_cli.storage.model_folder import CONFIG_FILE, ModelFolder, is_model_folder
from sweettok_cli.zoo.catalogue import named_model, suggestions

if TYPE_CHECKING:
    from filelock import FileLock

_PACKAGE = Path(__file__).resolve().parent.parent
_PARTS = ".parts"
_LOCKS = ".locks"
_RUN_MODEL = "model"  # where a training run keeps its model
_OLD = ".old."  # begins the name of a model that is being replaced; no key begins with a dot

#: A repository on the Hub, perhaps with a revision: ``OWNER/REPO`` or ``OWNER/REPO@REVISION``.
_REPOSITORY = re.compile(r"(\w[\w.-]*)/(\w[\w.-]*)(?:@(\w[\w./-]*))?", re.ASCII)


def store_folder() -> Path:
    """Where pulled models are kept, which need not exist: ``$SWEETTOK_HOME``, else beside the Hub's cache."""
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
    """The folder of a pulled model, by the name it was pulled under or else by its own, as in token files."""
    if name in ("", ".", "..") or name.startswith((".", "/", os.sep)):
        return None
    folder = stored_folder(name)
    if is_model_folder(folder):
        return folder
    for path in stored_models().values():
        with suppress(SweettokError):  # a damaged one does not hide the others; `verify` names it
            if ModelFolder(path).header.name == name:
                return path
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
    """Hold the right to build the model ``name``, and yield where to; ``on_wait`` is told if another has it.

    What killed processes left is removed first, and what is left of this one at the end.

    Raises:
        SweettokError: the store cannot be written.
    """
    from filelock import Timeout

    store, key = store_folder(), stored_folder(name).name
    root = store / _PARTS / key
    part = Part(name, root / "download", root / "model")
    with ExitStack() as held:
        try:
            (store / _PARTS).mkdir(parents=True, exist_ok=True)
            (store / _LOCKS).mkdir(exist_ok=True)
            lock = _file_lock(key)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                on_wait(f"Waiting for another process that fetches {key.replace('--', '/')}")
                lock.acquire()
            held.callback(lock.release)
            _sweep(part)
            part.download.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(store, error) from error
        held.callback(shutil.rmtree, root, ignore_errors=True)
        try:
            yield part
        except OSError as error:
            raise _unwritable(store, error) from error


def _unwritable(store: Path, error: OSError) -> SweettokError:
    return SweettokError(
        f"Cannot write into {store} ({error.strerror or error}); free some space, or set SWEETTOK_HOME to a "
        "folder that can be written."
    )


def install(part: Part) -> Path:
    """Move a model that was built to its place; an older one is replaced.

    Killed between two renames, it leaves the old one where the next :func:`building` finds it.
    """
    target = stored_folder(part.name)
    swap_folder(part.model, target, _old(target.name))
    return target


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
        with suppress(Timeout), _file_lock(key).acquire(timeout=0):  # else it is being built right now
            restore_folder(store_folder() / key, _old(key))
            shutil.rmtree(store_folder() / _PARTS / key, ignore_errors=True)


def shipped_folders() -> list[Path]:
    """Where shipped models lie: inside an installed package, or beside it in a checkout."""
    return [folder for folder in (_PACKAGE / "_weights", _PACKAGE.parent / "weights") if folder.is_dir()]


def shipped_models() -> list[str]:
    """Names of the models that need no download."""
    return sorted({f.parent.name for root in shipped_folders() for f in root.glob(f"*/{CONFIG_FILE}")})


def local_models() -> dict[str, Path]:
    """Every model of this machine that goes by a name: shipped ones, then pulled ones."""
    shipped = {name: folder for name in shipped_models() if (folder := _find_shipped(name)) is not None}
    return {**stored_models(), **shipped}


def find_local(name_or_path: str) -> Path | None:
    """The folder of a model of this machine: shipped, a folder of the user's, or pulled; else None.

    The folder of a training run stands for the model in it.
    """
    folder = Path(name_or_path)
    own = next((path for path in (folder, folder / _RUN_MODEL) if is_model_folder(path)), None)
    return _find_shipped(name_or_path) or own or find_stored(name_or_path)


def find_named(name: str) -> Path | None:
    """The folder of a shipped or pulled model; a folder of the user's that is called so is none."""
    return _find_shipped(name) or find_stored(name)


def find_model(name_or_path: str) -> Path:
    """The folder of a model that is on this machine; nothing is fetched.

    Raises:
        SweettokError: no such name, a name whose model was not pulled yet, or the folder holds no model.
    """
    folder = Path(name_or_path)
    if (found := find_local(name_or_path)) is not None:
        return found
    if os.path.isdir(folder):  # noqa: PTH112 - False for names that no folder can have
        raise SweettokError(f"{folder} holds no model: {CONFIG_FILE} is missing; name another folder.")
    raise unknown_model(name_or_path)


def unknown_model(name: str) -> SweettokError:
    """The error for a name under which nothing is on this machine."""
    model = named_model(name)
    if model is not None and not model.shipped:
        return SweettokError(
            f"The model {name} is not on this machine; fetch it from {model.repository} with "
            f"`sweettok models pull {name}` (about {model.bytes / 1e6:.0f} MB)."
        )
    like = suggestions(name, local_models())
    if like:
        return SweettokError(f"There is no model {name!r}; did you mean {' or '.join(like)}?")
    if split_repository(name) is not None:
        return SweettokError(
            f"There is no folder {name}, and no model of that name was pulled; if it is a repository on the "
            f"Hub, fetch it with `sweettok models pull {name}`."
        )
    known = ", ".join(shipped_models()) or "none is installed"
    return SweettokError(
        f"There is no model {name!r}; give a model's folder, a name that `sweettok models list` "
        f"shows, or one of the shipped names: {known}."
    )


def _find_shipped(name: str) -> Path | None:
    if "/" in name:
        return None
    return next((root / name for root in shipped_folders() if is_model_folder(root / name)), None)
