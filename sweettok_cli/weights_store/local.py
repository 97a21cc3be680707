"""Model folders on disk: what is in one, and where a named one is found.

config.json        format, version, name, family, the network's configuration, SHA-256 of the weights
model.safetensors  weights in half precision, word vectors and word graph included
words.json         the words of both codebooks, in the order of their rows, and where they come from
README.md          the model card
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output, sha256_file

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sweettok_cli.codebook.prior import WordPrior
    from sweettok_cli.models.config import SweetTokConfig
    from sweettok_cli.models.sweettok import SweetTok

FORMAT = "sweettok-model"
VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
WORDS_FILE = "words.json"
DEFAULT_MODEL = "sweettok-small"
HALVES = ("spatial", "temporal")

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped_folders() -> list[Path]:
    """Where shipped models lie: inside an installed package, or beside it in a checkout."""
    return [folder for folder in (_PACKAGE / "_weights", _PACKAGE.parent / "weights") if folder.is_dir()]


def shipped_models() -> list[str]:
    """Names of the models that need no download."""
    return sorted({f.parent.name for root in shipped_folders() for f in root.glob(f"*/{CONFIG_FILE}")})


def find_model(name_or_path: str) -> Path:
    """The folder of a shipped model, or the given folder.

    Raises:
        SweettokError: no such name, or the folder holds no model.
    """
    for root in shipped_folders():
        if (root / name_or_path / CONFIG_FILE).is_file() and "/" not in name_or_path:
            return root / name_or_path
    folder = Path(name_or_path)
    if (folder / CONFIG_FILE).is_file():
        return folder
    if folder.is_dir():
        raise SweettokError(
            f"{folder} holds no model: {CONFIG_FILE} is missing; give --model another folder."
        )
    known = ", ".join(shipped_models()) or "none is installed"
    raise SweettokError(
        f"There is no model {name_or_path!r}; give --model a model's folder or one of the shipped names: "
        f"{known}."
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The checked content of a model's ``config.json``.

    Raises:
        SweettokError: missing, not JSON, or of a format or version that is not known here.
    """
    table = _read_json(folder / CONFIG_FILE)
    if table.get("format") != FORMAT:
        raise SweettokError(
            f"{folder / CONFIG_FILE} does not describe a sweettok model; give --model another folder."
        )
    if table.get("version") != VERSION:
        raise SweettokError(
            f"{folder / CONFIG_FILE} has version {table.get('version')}, this sweettok reads {VERSION}; "
            "upgrade it."
        )
    return table


def read_words(folder: Path) -> dict[str, Any]:
    """The checked content of a model's ``words.json``: ``{half: {"modifiers": [...], "heads": [...]}}``."""
    table = _read_json(folder / WORDS_FILE)
    for half in HALVES:
        lists = table.get(half)
        if not isinstance(lists, dict) or not all(
            isinstance(lists.get(k), list) for k in ("modifiers", "heads")
        ):
            raise SweettokError(
                f"{folder / WORDS_FILE} lacks the {half} words; fetch or export the model again."
            )
    return table


@dataclass(frozen=True)
class StoredModel:
    """What a model folder holds.

    Attributes:
        folder: where it was read.
        name: the model's name, as written into token files.
        weights_sha256: of the weights file, lower-case hex.
        config: the network's configuration.
        state: its state dict, float32 and int64, word vectors and edges included.
        words: the words behind both codebooks.
    """

    folder: Path
    name: str
    weights_sha256: str
    config: SweetTokConfig
    state: Mapping[str, Tensor]
    words: WordPrior

    def network(self) -> SweetTok:
        """The network with these weights, on the CPU and in training mode.

        Raises:
            SweettokError: the weights do not fit the configuration.
        """
        from sweettok_cli.models.quantizers import LanguagePrior, WordGraphTensors
        from sweettok_cli.models.sweettok import SweetTok

        spatial, temporal = (
            WordGraphTensors.blank(len(g.modifiers), len(g.heads), g.vectors.shape[1], g.edges.shape[1])
            for g in (self.words.spatial, self.words.temporal)
        )
        network = SweetTok(self.config, LanguagePrior(spatial, temporal))
        try:
            network.load_state_dict(self.state)
        except RuntimeError as error:
            raise SweettokError(
                f"The weights of {self.folder} do not fit its configuration; fetch or export the model again."
            ) from error
        return network


class _MixedFilesError(SweettokError):
    """Weights that are not those the configuration names."""


def load_model_folder(folder: Path) -> StoredModel:
    """Read a model folder.

    A training run that exports into the folder moves one file after the other; a reader caught between two of
    them reads again.

    Raises:
        SweettokError: a file is missing, damaged (its SHA-256 is not the recorded one) or does not fit.
    """
    try:
        return _load(folder)
    except _MixedFilesError:
        return _load(folder)


def _load(folder: Path) -> StoredModel:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    table, config = read_config(folder), read_network_config(folder)
    weights = folder / WEIGHTS_FILE
    try:
        content = weights.read_bytes()  # read once: what is checked is what is used
        digest = hashlib.sha256(content).hexdigest()
        if digest != table.get("weights_sha256"):
            raise _MixedFilesError(
                f"{weights} is not the file that {CONFIG_FILE} names; fetch or export it again."
            )
        stored = load(content)
    except (OSError, SafetensorError) as error:
        raise SweettokError(
            f"Cannot read the weights {weights} ({error}); fetch or export them again."
        ) from error
    state = {name: t.float() if t.is_floating_point() else t.to(torch.int64) for name, t in stored.items()}
    name = str(table.get("name") or folder.name)
    return StoredModel(folder, name, digest, config, state, read_prior(folder, state))


def read_network_config(folder: Path) -> SweetTokConfig:
    """The network's configuration, from a model's ``config.json``.

    Raises:
        SweettokError: as :func:`read_config`; or it describes no network.
    """
    from sweettok_cli.models.config import SweetTokConfig

    try:
        return SweetTokConfig(**read_config(folder)["config"])
    except (TypeError, ValueError, KeyError) as error:
        raise SweettokError(
            f"{folder / CONFIG_FILE} describes no network ({error}); export the model again."
        ) from error


def read_prior(folder: Path, state: Mapping[str, Tensor]) -> WordPrior:
    """The words of a model folder with their vectors and edges out of the network's ``state``.

    Raises:
        SweettokError: as :func:`read_words`; or words and state do not fit each other.
    """
    from sweettok_cli.codebook.prior import WordGraph, WordPrior

    words = read_words(folder)
    graphs = []
    for half in HALVES:
        lists = words[half]
        vectors, edges = state.get(f"quantize_{half}.vectors"), state.get(f"quantize_{half}.edges")
        if vectors is None or edges is None or len(vectors) != len(lists["modifiers"]) + len(lists["heads"]):
            raise SweettokError(
                f"The words of {folder} do not fit its weights; fetch or export the model again."
            )
        arrays = vectors.cpu().numpy(), edges.cpu().numpy()
        graphs.append(WordGraph(lists["modifiers"], lists["heads"], *arrays))
    spatial, temporal = graphs
    return WordPrior(spatial, temporal, words.get("about", {}))


def save_model_folder(folder: Path, model: nn.Module, words: WordPrior, name: str | None = None) -> None:
    """Write a network as a model folder; weights in half precision.

    Args:
        folder: made if missing; files of a model in it are replaced, each in one move.
        model: a :class:`~sweettok_cli.models.sweettok.SweetTok`.
        words: the words its codebooks stand for.
        name: written into token files; by default the folder's own.
    """
    import torch
    from safetensors.torch import save_file

    state: Mapping[str, Tensor] = model.state_dict()
    stored = {
        key: t.detach().to("cpu", torch.float16 if t.is_floating_point() else torch.int32).contiguous()
        for key, t in state.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_output(folder / WEIGHTS_FILE, force=True) as part:
        save_file(stored, part, metadata={"format": "pt"})
        digest = sha256_file(part)
    lists = {
        half: {"modifiers": graph.modifiers, "heads": graph.heads}
        for half, graph in zip(HALVES, (words.spatial, words.temporal), strict=True)
    }
    _write_json(folder / WORDS_FILE, {"about": words.about, **lists})
    _write_json(
        folder / CONFIG_FILE,
        {
            "format": FORMAT,
            "version": VERSION,
            "name": name or folder.name,
            "family": "sweettok",
            "weights_sha256": digest,
            "config": dataclasses.asdict(model.config),  # type: ignore[call-overload]
        },
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SweettokError(f"Cannot read {path} ({error}); fetch or export the model again.") from error
    if not isinstance(table, dict):
        raise SweettokError(f"{path} holds no JSON object; fetch or export the model again.")
    return table


def _write_json(path: Path, table: dict[str, Any]) -> None:
    with atomic_output(path, force=True) as part:
        part.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
