"""SweetTok's model folders: the network's configuration and weights, and the words behind its codes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweettok_cli.errors import SweettokError
from sweettok_cli.storage.model_folder import (
    CONFIG_FILE,
    WRITE_AGAIN,
    ModelFolder,
    ModelHeader,
    as_json,
    write_model,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sweettok_cli.codebook.prior import WordPrior
    from sweettok_cli.models.sweettok.config import SweetTokConfig
    from sweettok_cli.models.sweettok.network import SweetTok

FAMILY = "sweettok"
WORDS_FILE = "words.json"
HALVES = ("spatial", "temporal")


@dataclass(frozen=True)
class StoredModel:
    """What a SweetTok model folder holds."""

    network: SweetTok  # with its weights, float32, on the CPU and in training mode
    config: SweetTokConfig
    words: WordPrior  # behind both codebooks


def read_model(model: ModelFolder) -> StoredModel:
    """The network, its configuration and its words in a SweetTok model folder.

    Raises:
        SweettokError: it holds another family's model; a file is missing or damaged (its SHA-256 is not the
            recorded one), or does not fit.
    """
    from sweettok_cli.models.common.network import fill
    from sweettok_cli.models.sweettok.network import SweetTok

    config, state = read_config(model), model.state()
    words = read_prior(model, state)
    fewest = fewest_modifiers(words)
    if config.search > fewest:
        what = f"search = {config.search}, more than the {fewest} modifiers that there are"
        raise SweettokError(f"{model.path / CONFIG_FILE} has {what}; {WRITE_AGAIN}.")
    network = fill(lambda: SweetTok(config, words), state, model.path)
    return StoredModel(network, config, words)


def read_config(model: ModelFolder) -> SweetTokConfig:
    """The network's configuration.

    Raises:
        SweettokError: another family's model, or no configuration of a SweetTok.
    """
    from sweettok_cli.models.common.settings import read_settings_of
    from sweettok_cli.models.sweettok.config import SweetTokConfig

    return read_settings_of(model, SweetTokConfig, (FAMILY,), lambda _: FAMILY, "a SweetTok model")


def read_words(model: ModelFolder) -> dict[str, Any]:
    """The checked content of a model's ``words.json``: ``{half: {"modifiers": [...], "heads": [...]}}``."""
    from sweettok_cli.codebook.prior import check_words

    table = model.json(WORDS_FILE)
    for half in HALVES:
        lists = table.get(half)
        if not isinstance(lists, dict) or not all(
            isinstance(lists.get(k), list) for k in ("modifiers", "heads")
        ):
            raise SweettokError(f"{model.path / WORDS_FILE} lacks the {half} words; {WRITE_AGAIN}.")
        try:
            check_words(lists["modifiers"], lists["heads"])
        except ValueError as error:
            raise SweettokError(f"{model.path / WORDS_FILE}, {half}: {error}; {WRITE_AGAIN}.") from error
    return table


def read_prior(model: ModelFolder, state: Mapping[str, Tensor]) -> WordPrior:
    """The words of a model folder with their vectors and edges out of a network's ``state``.

    Raises:
        SweettokError: as :func:`read_words`; or words and state do not fit each other.
    """
    from sweettok_cli.codebook.prior import WordGraph, WordPrior, check_tensors

    words = read_words(model)
    graphs = []
    for half in HALVES:
        lists = words[half]
        vectors, edges = state.get(f"quantize_{half}.vectors"), state.get(f"quantize_{half}.edges")
        if vectors is None or edges is None or vectors.is_complex():
            raise SweettokError(f"The words of {model.path} do not fit its weights; {WRITE_AGAIN}.")
        edges = edges.float() if edges.is_floating_point() else edges  # NumPy lacks the narrow formats
        arrays = vectors.float().cpu().numpy(), edges.cpu().numpy()
        try:
            check_tensors(*arrays, rows=len(lists["modifiers"]) + len(lists["heads"]))
        except ValueError as error:
            message = f"The {half} words of {model.path} do not fit its weights: {error}; {WRITE_AGAIN}."
            raise SweettokError(message) from error
        graphs.append(WordGraph(lists["modifiers"], lists["heads"], arrays[0], arrays[1].astype("int64")))
    spatial, temporal = graphs
    about = words.get("about")
    return WordPrior(spatial, temporal, about if isinstance(about, dict) else {})


def fewest_modifiers(words: WordPrior) -> int:
    """Of the two lists, of which a token's pair of modifiers is found by trying ``search`` of them."""
    return min(len(graph.modifiers) for graph in (words.spatial, words.temporal))


def read_words_of(folder: Path) -> WordPrior:
    """The words of a new network: those of a word prior's folder, or of a SweetTok model.

    Raises:
        SweettokError: the folder holds neither, or is damaged.
    """
    from sweettok_cli.codebook.prior import load_prior

    if not (folder / CONFIG_FILE).is_file():
        return load_prior(folder)
    model = ModelFolder(folder)
    read_config(model)  # says so if it is no SweetTok
    return read_prior(model, model.state())


def words_for(config: SweetTokConfig, folder: Path) -> WordPrior:
    """The words of :func:`read_words_of` that a new network of this configuration takes.

    Raises:
        SweettokError: as there; or there are fewer modifiers than it is to try.
    """
    from sweettok_cli.codebook.prior import first_words

    words = first_words(read_words_of(folder), config.words)
    if config.search > (fewest := fewest_modifiers(words)):
        raise SweettokError(
            f"model.search = {config.search} tries more modifiers than the {fewest} that model.words = "
            f"{config.words:g} leaves of {folder}; set a smaller model.search, or take more words."
        )
    return words


def save_model_folder(
    folder: Path,
    model: nn.Module,
    words: WordPrior,
    name: str | None = None,
    *,
    half: bool = True,
    source: Mapping[str, Any] | None = None,
) -> ModelHeader:
    """Write a SweetTok network, with the words that its codebooks stand for, as a model folder.

    Args:
        folder: made if missing; files of a model in it are replaced, each in one move.
        model: a :class:`~sweettok_cli.models.sweettok.network.SweetTok`.
        words: of its codebooks.
        name: written into token files; by default the folder's own.
        half: store the weights in half precision, as shipped models are; else as they are.
        source: what the weights were made from, if they were made elsewhere.
    """
    import torch

    def stored(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor.to(torch.int32)
        narrow = tensor.half()
        return narrow if half and narrow.isfinite().all() else tensor

    lists = {
        side: {"modifiers": graph.modifiers, "heads": graph.heads}
        for side, graph in zip(HALVES, (words.spatial, words.temporal), strict=True)
    }
    return write_model(
        folder,
        name=name or folder.name,
        family=FAMILY,
        config=dataclasses.asdict(model.config),  # type: ignore[call-overload]
        state={key: stored(tensor.detach()) for key, tensor in model.state_dict().items()},
        source=source,
        files={WORDS_FILE: as_json({"about": words.about, **lists})},
    )
