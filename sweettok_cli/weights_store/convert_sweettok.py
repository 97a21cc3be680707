"""Brings checkpoints of the published SweetTok trainer (adxcreative/SweetTok) into a model folder.

A checkpoint does not hold its words: they come from the two pickles it was trained with, see
:mod:`sweettok_cli.weights_store.pickled_words`.

The trainer's moving average (``ema_model``) averages parameters only. Beside them it holds a codebook of the
proxy tokenizer that was never trained; that one is taken from the weights themselves (``unwrapped_model``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sweettok_cli.codebook.prior import WordGraph
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.config import SweetTokConfig
from sweettok_cli.models.published_keys import load_published, why_dropped
from sweettok_cli.models.quantizers import LanguagePrior, WordGraphTensors
from sweettok_cli.models.sweettok import SweetTok
from sweettok_cli.weights_store.checkpoint_file import AVERAGED_FOLDER, PLAIN_FOLDER, Checkpoint
from sweettok_cli.weights_store.folder import ModelHeader
from sweettok_cli.weights_store.pickled_words import WITHOUT_VECTOR, read_pickled_words
from sweettok_cli.weights_store.sweettok import save_model_folder

_PROXY_CODEBOOK = "pixel_codebook."


def convert_sweettok(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    name: str,
    words: tuple[Path, Path],
    source: Mapping[str, Any],
) -> ModelHeader:
    """Write a checkpoint of the compact SweetTok, of either stage, as a model folder.

    Args:
        checkpoint: what was read. One of the first stage has no pixel decoder: it encodes, but ends in codes
            of the proxy tokenizer.
        folder: empty.
        name: of the model.
        words: the pickled adjectives and nouns, and adverbs and verbs.
        source: where the checkpoint came from.

    Raises:
        SweettokError: it is another network, its words are others', or the words cannot be read; missing and
            unknown tensors are named.
    """
    state, path = _with_trained_codebook(checkpoint), checkpoint.path
    if "latent_spatial_tokens" not in state:
        raise SweettokError(
            f"{path} is no compact SweetTok: it has no latent_spatial_tokens; say what it is with --as."
        )
    prior = read_pickled_words(*words)
    for half, graph, prefix, file in (
        ("spatial", prior.spatial, "quantize", words[0]),
        ("temporal", prior.temporal, "quantize_temporal", words[1]),
    ):
        weight = state.get(f"{prefix}.gcn.conv1.lin.weight")
        if weight is not None and weight.shape[1] != graph.vectors.shape[1]:
            raise SweettokError(
                f"{path} was not trained with {file}: its {half} words have vectors of {weight.shape[1]} "
                f"numbers, not {graph.vectors.shape[1]}."
            )
    pixels = any(key.startswith("pixel_") for key in state)
    graphs = LanguagePrior(_tensors(prior.spatial), _tensors(prior.temporal))
    with torch.device("meta"):
        network = SweetTok(SweetTokConfig(pixels=pixels), graphs)
    try:
        load_published(network, state)
    except (ValueError, RuntimeError) as error:
        raise SweettokError(f"{path} cannot be converted: {error}.") from error
    dropped = Counter(reason for key in state if (reason := why_dropped(key)) is not None)
    about = {**source, "tensors": len(state) - dropped.total(), "dropped": dict(dropped)}
    if absent := sum(len(words) for key, words in prior.about.items() if key.endswith(WITHOUT_VECTOR)):
        about[WITHOUT_VECTOR] = absent
    return save_model_folder(
        folder,
        network,
        prior,
        name,
        half=False,
        source=about,
    )


def _with_trained_codebook(checkpoint: Checkpoint) -> Mapping[str, Tensor]:
    """The tensors, with the proxy's codebook of the weights themselves where the average has none."""
    state = checkpoint.state
    counts = state.get(f"{_PROXY_CODEBOOK}N")
    if counts is None or counts.count_nonzero():
        return state
    trained = {key: t for key, t in checkpoint.plain.items() if key.startswith(_PROXY_CODEBOOK)}
    if f"{_PROXY_CODEBOOK}embeddings" not in trained:
        raise SweettokError(
            f"{checkpoint.path} has a proxy codebook that was never trained: the trainer's {AVERAGED_FOLDER} "
            f"averages parameters only. Keep {PLAIN_FOLDER} beside it, or convert that."
        )
    return {**state, **trained}


def _tensors(graph: WordGraph) -> WordGraphTensors:
    return WordGraphTensors(
        torch.from_numpy(graph.vectors), torch.from_numpy(graph.edges), len(graph.modifiers)
    )
