"""A language model's own vectors of words, as the beginning of the vectors of symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sweettok_cli.codebook.vectors import embed_words, reduce_vectors
from sweettok_cli.errors import SweettokError
from sweettok_cli.generation.network import Generator
from sweettok_cli.sequences.vocabulary import Vocabulary
from sweettok_cli.training.log import Voice


@torch.no_grad()
def start_from_words(
    generator: Generator,
    vocabulary: Vocabulary,
    words: Mapping[str, Sequence[str]],
    model: str,
    voice: Voice,
) -> None:
    """Give every symbol that is a word the input vector which a language model has for it.

    Vectors of a width other than the network's are projected onto their leading components. They are scaled
    as the random ones that they take the place of; a list without words of its own, that of detail, keeps
    these.

    Args:
        generator: whose input vectors are changed, in place.
        vocabulary: of its symbols.
        words: behind the codes, by part of speech.
        model: the language model, as for :func:`embed_words`.
        voice: told how far it is.

    Raises:
        SweettokError: the language model cannot be had, or its vectors are narrower than the network.
    """
    lists = [each for each in vocabulary.lists.values() if each.name in words]
    spelt = [word for each in lists for word in words[each.name]]
    with voice.progress(f"vectors of {model}", "words") as on_progress:
        vectors = embed_words(spelt, model, "input", on_progress)
    rows = generator.network.get_input_embeddings().weight
    assert isinstance(rows, Tensor)
    width = rows.shape[1]
    if vectors.shape[1] < width:
        raise SweettokError(
            f"words_from = {model} has vectors of {vectors.shape[1]} numbers, fewer than model.width = "
            f"{width}; name a larger language model, or set a smaller width."
        )
    found = torch.from_numpy(vectors if vectors.shape[1] == width else reduce_vectors(vectors, width)[0])
    found = found - found.mean(0)
    spread = torch.cat([rows[each.start : each.end] for each in lists]).std()
    found = (found * (spread / found.std())).to(rows)
    for each, part in zip(lists, found.split([each.size for each in lists]), strict=True):
        rows[each.start : each.end] = part
