"""Where a named model lies on this machine: shipped, pulled before, or a folder of the user's."""

from __future__ import annotations

from pathlib import Path

from sweettok_cli.errors import SweettokError
from sweettok_cli.storage.model_folder import CONFIG_FILE, is_model_folder
from sweettok_cli.zoo.catalogue import named_model, suggestions
from sweettok_cli.zoo.store import find_stored, split_repository, stored_models

_PACKAGE = Path(__file__).resolve().parent.parent


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
    """The folder of a model of this machine: shipped, a folder of the user's, or pulled; else None."""
    folder = Path(name_or_path)
    return (
        _find_shipped(name_or_path)
        or (folder if is_model_folder(folder) else None)
        or find_stored(name_or_path)
    )


def find_model(name_or_path: str) -> Path:
    """The folder of a model that is on this machine; nothing is fetched.

    Raises:
        SweettokError: no such name, a name whose model was not pulled yet, or the folder holds no model.
    """
    found = find_local(name_or_path)
    if found is not None:
        return found
    folder = Path(name_or_path)
    if folder.is_dir():
        raise SweettokError(
            f"{folder} holds no model: {CONFIG_FILE} is missing; give --model another folder."
        )
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
        f"There is no model {name!r}; give --model a model's folder, a name that `sweettok models list` "
        f"shows, or one of the shipped names: {known}."
    )


def _find_shipped(name: str) -> Path | None:
    if "/" in name:
        return None
    return next((root / name for root in shipped_folders() if is_model_folder(root / name)), None)
