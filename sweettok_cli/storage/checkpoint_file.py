"""Reads the tensors of a checkpoint that was trained elsewhere; no code in it is run.

Checkpoints come as files of ``torch.save`` (.ckpt, .pt, .pth, .bin), as safetensors, or as a folder of
Accelerate (one file or several with an index), and hold a state dict, alone or under a name beside optimisers
and the like.

Files of ``torch.save`` are pickles. They are read with ``weights_only=True``; where that refuses, so do we.
``argparse.Namespace`` is allowed beside what torch allows: it is plain data, and Lightning keeps
OmniTokenizer's settings in one.
"""

from __future__ import annotations

import argparse
import dataclasses
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.files import is_file, read_json
from sweettok_cli.storage.torch_file import RefusedError, is_plain, load_torch, starts_as

#: Where a checkpoint's dict keeps the network, and where a moving average of it; the first found is taken.
PLAIN_PARTS = ("state_dict", "model", "model_state_dict", "module")
AVERAGED_PARTS = ("ema", "ema_state_dict", "model_ema")

#: What a folder of Accelerate keeps the network in, first found first; an index names several files.
FOLDER_FILES = (
    *("model.safetensors.index.json", "pytorch_model.bin.index.json"),
    *("model.safetensors", "pytorch_model.bin"),
)
_MOST_NAMED = 10
#: The part that is named where there are no parts.
WHOLE = "the whole file"
#: The published SweetTok trainer's folders inside its checkpoints.
PLAIN_FOLDER, AVERAGED_FOLDER = "unwrapped_model", "ema_model"


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of one network.

    Attributes:
        path: the file or folder that was given.
        files: the files the tensors lie in.
        part: which part of it this is, e.g. ``state_dict``.
        state: the tensors by name, on the CPU; where possible not yet read but mapped.
        plain: for a moving average in a folder of its own: the tensors of the network it is the average of.
        averaged: whether ``state`` is a moving average.
        settings: what a Lightning checkpoint says the network was made with, by name.
        prefixes: beginnings that every name had and that were taken off.
    """

    path: Path
    files: tuple[Path, ...]
    part: str
    state: dict[str, Tensor]
    plain: dict[str, Tensor] = field(default_factory=dict)
    averaged: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ()


def read_checkpoint(path: Path, averaged: bool = False, part: str | None = None) -> Checkpoint:
    """The network in a checkpoint file or folder.

    Args:
        path: a file of ``torch.save``, a safetensors file, or a folder of Accelerate.
        averaged: prefer the moving average of the weights (EMA), where it is kept under a name or in a folder
            of its own; one among the weights is left to the network's own conversion.
        part: of a file, the name under which it keeps the network, where that is none of the usual ones.

    Raises:
        SweettokError: nothing is there; the file is damaged, asks for code, or holds no tensors.
    """
    if path.is_dir():
        return _read_folder(path, averaged)
    if path.parent.name == AVERAGED_FOLDER and path.name in FOLDER_FILES:
        return _read_folder(path.parent, averaged)
    if not path.is_file():
        raise SweettokError(f"There is no checkpoint {path}; give the file or folder to convert.")
    found, state, settings = _read_file(path, averaged, part)
    return _clean(
        Checkpoint(path, (path,), found, state, averaged=found in AVERAGED_PARTS, settings=settings)
    )


def _read_folder(path: Path, averaged: bool) -> Checkpoint:
    folders = [path / AVERAGED_FOLDER] * averaged + [path, path / PLAIN_FOLDER]
    found = next((f / name for f in folders for name in FOLDER_FILES if (f / name).is_file()), None)
    if found is None:
        raise SweettokError(
            f"{path} holds no checkpoint: none of {', '.join(FOLDER_FILES)} is in it; give the file itself."
        )
    folder = found.parent.resolve()
    plain: dict[str, Tensor] = {}
    if folder.name == AVERAGED_FOLDER and (folder.parent / PLAIN_FOLDER).is_dir():
        plain = _read_folder(folder.parent / PLAIN_FOLDER, averaged=False).state
    files = _shards(found) if found.suffix == ".json" else (found,)
    state: dict[str, Tensor] = {}
    for file in files:
        part, tensors, _ = _read_file(file, averaged)
        if twice := state.keys() & tensors.keys():
            raise SweettokError(f"{file} holds {min(twice)}, which another file of {folder} holds too.")
        state |= tensors
    where = found.relative_to(path).as_posix()
    is_average = part in AVERAGED_PARTS or folder.name == AVERAGED_FOLDER
    part = where if part == WHOLE else f"{where}, {part}"
    return _clean(Checkpoint(path, files, part, state, plain, is_average))


def _shards(index: Path) -> tuple[Path, ...]:
    """The files an index names, which must lie beside it."""
    places = read_json(index, "fetch it again").get("weight_map")
    names = list(places.values()) if isinstance(places, dict) else []
    if not names or any(not isinstance(name, str) or Path(name).name != name for name in names):
        raise SweettokError(f"{index} names files that are not beside it; fetch it again.")
    files = tuple(index.parent / name for name in sorted(set(names)))
    for file in files:
        if not is_file(file):
            raise SweettokError(f"{file} is missing, which {index.name} names; fetch it too.")
    return files


def _read_file(
    path: Path, averaged: bool, wanted: str | None = None
) -> tuple[str, dict[str, Tensor], dict[str, Any]]:
    """Which part was taken, its tensors, and the settings beside it."""
    if path.suffix == ".safetensors":
        return WHOLE, _load_safetensors(path), {}
    content = _load_weights_only(path)
    if not isinstance(content, Mapping):
        raise SweettokError(f"{path} holds no state dict but {type(content).__name__}; give another file.")
    order = [*AVERAGED_PARTS, *PLAIN_PARTS] if averaged else [*PLAIN_PARTS, *AVERAGED_PARTS]
    part = next((name for name in ([wanted] if wanted else order) if _is_state(content.get(name))), None)
    state = content if part is None else content[part]
    if not _is_state(state):
        keys = ", ".join(map(brief, list(content)[:8])) or "nothing"
        raise SweettokError(f"{path} holds no tensors by name, but {keys}; give another file.")
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise SweettokError(
                f"{path} has {brief(name)} among its tensors, which is none; give another file."
            )
        if not is_plain(value):
            raise SweettokError(f"{path} has {brief(name)}, which is no plain tensor of real numbers.")
    return part or WHOLE, dict(state), _settings(content)


def _settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """Lightning's ``hyper_parameters``; those that were given as one ``args`` are taken out of it."""
    found = content.get("hyper_parameters")
    if not isinstance(found, Mapping):
        return {}
    args = found.get("args")
    inner = vars(args) if isinstance(args, argparse.Namespace) else args
    settings = {**found, **inner} if isinstance(inner, Mapping) else found
    plain = str | bool | int | float | None
    return {k: v for k, v in settings.items() if isinstance(k, str) and isinstance(v, plain)}


def _is_state(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and all(isinstance(name, str) for name in value)
        and any(isinstance(tensor, Tensor) for tensor in value.values())
    )


def _load_weights_only(path: Path) -> Any:
    """What a file of ``torch.save`` holds, on the CPU and mapped where its format allows."""
    try:
        with open(path, "rb") as stream:
            known = starts_as(stream)
        if not known:
            raise SweettokError(
                f"{path} is no checkpoint: it begins as no file of torch.save does; give a .ckpt, .pt, .pth, "
                ".bin or .safetensors file."
            )
        return load_torch(path, [argparse.Namespace], mapped=True)
    except RefusedError as error:
        raise SweettokError(
            f"{path} asks for {', '.join(_all_refused(path)) or error.name}, which is no plain data; nothing "
            "in it was run. If you trust the file, load it where it was made and save its tensors alone: "
            'torch.save(checkpoint["state_dict"], "tensors.pt").'
        ) from error
    except pickle.UnpicklingError as error:
        raise SweettokError(f"{path} cannot be read ({error}); fetch it again.") from error
    except OSError as error:
        raise SweettokError(f"{path} cannot be read ({error.strerror or error}).") from error


def _all_refused(path: Path) -> list[str]:
    """Every class and function that the pickle names and that is not allowed, as far as it can be told."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            found = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
            return [name[:200] for name in found[:_MOST_NAMED]]
    except (ValueError, RuntimeError, pickle.UnpicklingError):  # not an archive: only the first is known
        return []


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except OSError as error:
        raise SweettokError(f"{path} cannot be read ({error.strerror or error}).") from error
    except (SafetensorError, KeyError, ValueError) as error:  # KeyError: a format that torch has not
        raise SweettokError(f"{path} cannot be read ({error}); fetch it again.") from error


def _clean(checkpoint: Checkpoint) -> Checkpoint:
    """Without what wrappers put into names: ``module.`` in front of all, ``_orig_mod.`` anywhere."""
    names, removed = list(checkpoint.state), []
    for wrapper in ("module.", "_orig_mod.", "module."):
        if names and all(name.startswith(wrapper) for name in names):
            names = [name.removeprefix(wrapper) for name in names]
            removed.append(wrapper)
    inner = [name.replace("._orig_mod.", ".") for name in names]
    if inner != names:
        removed.append("_orig_mod.")
    if len(set(inner)) != len(inner):
        raise SweettokError(
            f"{checkpoint.path} holds a tensor twice, with and without _orig_mod in its name."
        )
    state = dict(zip(inner, checkpoint.state.values(), strict=True))
    return dataclasses.replace(checkpoint, state=state, prefixes=tuple(removed))
