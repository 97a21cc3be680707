"""The model folder of every family: what is in one, and how it is read and written whole.

config.json        format, version, name, family, SHA-256 of the weights, the network's configuration and,
                   where the weights were made elsewhere, what they were made from
model.safetensors  the weights
README.md          the model card
prior.safetensors  the token prior, for models that have one (:mod:`sweettok_cli.packing.prior`)
and the further files that a family names.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.files import atomic_output, is_file, is_text, open_regular, read_json, sha256_file

if TYPE_CHECKING:
    from torch import Tensor

Read = TypeVar("Read")

FORMAT = "sweettok-model"
VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"
WRITE_AGAIN = "fetch or export the model again"

_LONGEST_NAME = 255  # characters
_TIMES, _AND_SOME = 4, 64 << 20  # how much larger than their storage tensors may be: so many times, and bytes
#: What a header's ``source`` says in words, where it says it.
_SOURCE_TEXTS = (
    *("repository", "revision", "path", "file", "sha256"),
    *("code_license", "weights_license", "paper"),
)


@dataclass(frozen=True)
class ModelHeader:
    """What a model's ``config.json`` says.

    Attributes:
        folder: where it was read.
        name: the model's name, as written into token files.
        family: which family's network it is, a key of :data:`sweettok_cli.models.registry.FAMILIES`.
        weights_sha256: of the weights file, lower-case hex.
        config: the network's configuration, plain values.
        source: what converted weights were made from: ``repository``, ``revision``, ``file``, ``sha256``, ...
    """

    folder: Path
    name: str
    family: str
    weights_sha256: str
    config: dict[str, Any]
    source: dict[str, Any] = field(default_factory=dict)

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.folder / WEIGHTS_FILE


class ReplacedError(SweettokError):
    """Weights that are not those the configuration names: damaged, or of another export than it is."""


class ModelFolder:
    """A model folder that was opened. Each of its files is read when it is first asked for, and once.

    A run that exports into the folder moves one file after the other: see :func:`read_folder`.
    """

    def __init__(self, path: Path) -> None:
        """Read ``config.json``, and nothing else yet.

        Raises:
            SweettokError: missing, not JSON, incomplete, or of a format or version that is not known here.
        """
        self.path = path
        self._tables: dict[str, dict[str, Any]] = {}
        self.header = self._read_header()

    def json(self, name: str) -> dict[str, Any]:
        """The JSON object in one of the files; anything else is an error that says so."""
        if name not in self._tables:
            self._tables[name] = read_json(self.path / name, WRITE_AGAIN)
        return self._tables[name]

    def state(self) -> dict[str, Tensor]:
        """The weights as they are stored, on the CPU. They are not kept here: ask once.

        Raises:
            SweettokError: they are missing, or their SHA-256 is not the recorded one.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        path = self.header.weights
        try:
            with open_regular(path) as stream:
                content = stream.read()  # once: what is checked is what is used
            if hashlib.sha256(content).hexdigest() != self.header.weights_sha256:
                raise ReplacedError(
                    f"{path} is not the file that {CONFIG_FILE} names; fetch or export it again."
                )
            return load(content)
        except OSError as error:
            what = f"Cannot read the weights {path} ({error.strerror or error})"
            raise SweettokError(f"{what}; {WRITE_AGAIN}.") from error
        except (SafetensorError, KeyError, ValueError) as error:  # KeyError: a format that torch has not
            raise SweettokError(f"Cannot read the weights {path} ({error}); {WRITE_AGAIN}.") from error

    def _read_header(self) -> ModelHeader:
        path, table = self.path / CONFIG_FILE, self.json(CONFIG_FILE)
        if table.get("format") != FORMAT:
            raise SweettokError(f"{path} does not describe a sweettok model; name another folder.")
        if table.get("version") != VERSION:
            version = brief(table.get("version"))
            raise SweettokError(f"{path} has version {version}, this sweettok reads {VERSION}; upgrade it.")
        config, source = table.get("config"), table.get("source", {})
        name, family, digest = table.get("name"), table.get("family"), table.get("weights_sha256")
        if not (isinstance(config, dict) and isinstance(source, dict) and isinstance(family, str)):
            raise SweettokError(f"{path} describes no network; {WRITE_AGAIN}.")
        if not (isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)):
            raise SweettokError(f"{path} names no SHA-256 of its weights; {WRITE_AGAIN}.")
        if name is not None and not (isinstance(name, str) and is_text(name, _LONGEST_NAME)):
            what = f"1 to {_LONGEST_NAME} characters of text"
            raise SweettokError(f"{path} has name = {brief(name)}, which is not {what}; {WRITE_AGAIN}.")
        pulled = source.get("pulled", {})
        if not isinstance(pulled, dict):
            raise SweettokError(f"{path} has source.pulled = {brief(pulled)}, no table; {WRITE_AGAIN}.")
        for where, said in (("source", source), ("source.pulled", pulled)):
            wrong = next((key for key in _SOURCE_TEXTS if not isinstance(said.get(key, ""), str)), None)
            if wrong is not None:
                raise SweettokError(
                    f"{path} has {where}.{wrong} = {brief(said[wrong])}, which is no text; {WRITE_AGAIN}."
                )
        return ModelHeader(self.path, name or self.path.name, family, digest, config, source)


def read_folder(folder: Path, read: Callable[[ModelFolder], Read]) -> Read:
    """What ``read`` makes of a model folder; once more if a run replaces files while they are read."""
    try:
        return read(ModelFolder(folder))
    except ReplacedError:
        return read(ModelFolder(folder))


def is_model_folder(folder: Path) -> bool:
    """Whether a folder says it holds a model; a folder that is being written does not."""
    return is_file(folder / CONFIG_FILE)


def check_size(state: Mapping[str, Tensor], where: str) -> None:
    """Raise :class:`SweettokError` if tensors are views that show their numbers again and again.

    A file of a few bytes can state such tensors of any size, and whoever copies them takes that memory.
    """
    held = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in state.values()
    }
    if sum(tensor.nbytes for tensor in state.values()) > _TIMES * sum(held.values()) + _AND_SOME:
        raise SweettokError(f"The tensors of {where} are larger than what their file holds; {WRITE_AGAIN}.")


def check_finite(state: Mapping[str, Tensor], where: str) -> None:
    """Raise :class:`SweettokError` if a tensor holds a value that is not finite, or no real numbers."""
    for name, tensor in state.items():
        if tensor.is_complex():
            raise SweettokError(f"The weights {name} of {where} are complex numbers; {WRITE_AGAIN}.")
        if tensor.is_floating_point() and tensor.numel():
            wide = tensor.float() if tensor.itemsize == 1 else tensor
            low, high = wide.aminmax()
            if not (low.isfinite() and high.isfinite()):
                raise SweettokError(
                    f"The weights {name} of {where} hold values that are not finite; {WRITE_AGAIN}."
                )


def write_model(
    folder: Path,
    *,
    name: str,
    family: str,
    config: Mapping[str, Any],
    state: Mapping[str, Tensor],
    source: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
) -> ModelHeader:
    """Write a model folder: each file in one move, ``config.json`` last; without it it is none.

    Args:
        folder: made if missing; files of a model in it are replaced.
        name: written into token files.
        family: a key of :data:`sweettok_cli.models.registry.FAMILIES`.
        config: the network's configuration, plain values.
        state: tensors in the formats they are to be stored in.
        source: what the weights were made from, if they were made elsewhere.
        files: further text files by name, e.g. the model card.

    Raises:
        SweettokError: weights are not finite, or the folder cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    check_size(state, name)
    check_finite(state, name)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
    with atomic_output(folder / WEIGHTS_FILE, force=True) as part:
        try:
            save_file(tensors, part, metadata={"format": "pt"})
        except SafetensorError as error:  # how the library says that the disk is full
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
        digest = sha256_file(part)
    for file, text in (files or {}).items():
        write_text(folder / file, text)
    header = ModelHeader(folder, name, family, digest, dict(config), dict(source or {}))
    kind = {"format": FORMAT, "version": VERSION, "name": name, "family": family, "weights_sha256": digest}
    origin = {"source": header.source} if source else {}
    write_text(folder / CONFIG_FILE, as_json({**kind, "config": header.config, **origin}))
    return header


def as_json(table: Mapping[str, Any]) -> str:
    """The text of one of a model's JSON files."""
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write one of a model's text files in one move."""
    with atomic_output(path, force=True) as part:
        part.write_text(text, encoding="utf-8")
