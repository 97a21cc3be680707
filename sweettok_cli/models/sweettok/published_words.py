"""Reads the word priors of the published SweetTok: two pickles, one of adjectives and nouns, one of adverbs
and verbs (adxcreative/SweetTok, modeling/quantizer/quantizer.py).

Each is a dict of five: how often each modifier and each head was seen, the pairs that were seen together, and
a vector for each modifier and each head. The order of the words is that of the counts. A checkpoint was
trained with one pair of files and means nothing with another.

Rows and edges are made as the published code makes them, for a trained network depends on it:

* Adjectives and nouns are kept if they were seen more than 10 times, and nouns only if they are no adjective,
  not even a rare one; adverbs and verbs are all kept. A word that is adverb and verb has two rows, and its
  edges end at the verb.
* Edges are kept if both words were, and point to places in the list of kept words. A kept word without a
  vector has no row: all words after it move up, while the edges stay. Networks trained so are right only with
  the same displaced edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sweettok_cli.codebook.prior import LONGEST_WORD, MAX_WORDS, WordGraph, WordPrior
from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.files import is_text
from sweettok_cli.storage.model_folder import check_size
from sweettok_cli.storage.plain_pickle import read_plain_pickle, unwrapped
from sweettok_cli.storage.torch_file import is_plain

#: Under which the words that have no row are kept, for each half.
WITHOUT_VECTOR = "words without a vector"


@dataclass(frozen=True)
class _Layout:
    """The names of a published prior's five parts, and how often a word must have been seen to be kept."""

    words: str
    modifier_counts: str
    head_counts: str
    edges: str
    modifier_vectors: str
    head_vectors: str
    seen_more_than: int | None

    @property
    def parts(self) -> tuple[str, ...]:
        counts = self.modifier_counts, self.head_counts
        return (*counts, self.edges, self.modifier_vectors, self.head_vectors)


_SPATIAL = _Layout(
    "adjectives and nouns",
    "adj_code_book_num",
    "noun_code_book_num",
    "adj_noun_edges",
    "adj_code_book_vec",
    "noun_code_book_vec",
    10,
)
_TEMPORAL = _Layout(
    "adverbs and verbs",
    "adverb_code_book_num",
    "verb_code_book_num",
    "verb_adverb_edges",
    "adverb_vec",
    "verb_vec",
    None,
)


def read_pickled_words(spatial: Path, temporal: Path) -> WordPrior:
    """The words of a published network.

    Args:
        spatial: adjectives and nouns; published as ``mlc_codebook_noun_adj.pkl``
            (``adj_noun_word_knowledge_qwen.pkl`` in the code).
        temporal: adverbs and verbs; published as ``mlc_codebook_verb_adv.pkl``
            (``big_nlp_word_knowledge_clip_video_qwen.pkl`` in the code).

    Returns:
        The prior; ``about`` names the files and counts the words that have no vector, where there are any.

    Raises:
        SweettokError: a file asks for anything but plain data, lacks a part, or contradicts itself.
    """
    about: dict[str, Any] = {"from": "published word priors", "files": [spatial.name, temporal.name]}
    graphs = []
    for half, path, layout in (("spatial", spatial, _SPATIAL), ("temporal", temporal, _TEMPORAL)):
        graph, absent = _read(path, layout)
        graphs.append(graph)
        if absent:
            about[f"{half} {WITHOUT_VECTOR}"] = absent
    return WordPrior(graphs[0], graphs[1], about)


def _read(path: Path, layout: _Layout) -> tuple[WordGraph, list[str]]:
    modifier_counts, head_counts, pairs, *vectors = _parts(path, read_plain_pickle(path), layout)
    kept = _kept(path, layout, modifier_counts, head_counts)
    modifiers, heads = (
        [word for word in words if word in own] for words, own in zip(kept, vectors, strict=True)
    )
    for kind, words, least in (("modifiers", modifiers, 2), ("heads", heads, 1)):
        if not least <= len(words) <= MAX_WORDS:
            raise SweettokError(
                f"{path} has {len(words)} {kind} with a vector, not {least} to {MAX_WORDS}; give another."
            )
    edges = _edges(path, pairs, [*kept[0], *kept[1]], len(modifiers) + len(heads))
    values = [vectors[0][word] for word in modifiers] + [vectors[1][word] for word in heads]
    absent = [w for words, own in zip(kept, vectors, strict=True) for w in words if w not in own]
    return WordGraph(modifiers, heads, _matrix(path, values), edges), absent


def _parts(path: Path, data: Any, layout: _Layout) -> list[Any]:
    if not isinstance(data, dict):
        raise SweettokError(f"{path} holds no dict of words but {type(data).__name__}; give another file.")
    absent = [part for part in layout.parts if part not in data]
    if absent:
        other = _TEMPORAL if layout is _SPATIAL else _SPATIAL
        hint = f"it has {', '.join(map(brief, list(data)[:8])) or 'nothing'}"
        if all(part in data for part in other.parts):
            hint = f"it holds the {other.words}: exchange the two files"
        raise SweettokError(f"{path} lacks {', '.join(absent)} of the {layout.words}; {hint}.")
    for part in layout.parts:
        if part != layout.edges and not isinstance(data[part], dict):
            raise SweettokError(f"{path} has no dict under {part}; give another file.")
    return [data[part] for part in layout.parts]


def _kept(
    path: Path, layout: _Layout, modifier_counts: dict[Any, Any], head_counts: dict[Any, Any]
) -> tuple[list[str], list[str]]:
    """The words of both lists, in the order of the file."""
    for word in (*modifier_counts, *head_counts):
        if not is_text(word, LONGEST_WORD):
            raise SweettokError(f"{path} has {brief(word)} among its {layout.words}, which is no word.")
    if layout.seen_more_than is None:
        return list(modifier_counts), list(head_counts)
    for seen in (*modifier_counts.values(), *head_counts.values()):
        if not isinstance(seen, int | float):
            raise SweettokError(f"{path} has counts that are no numbers ({brief(seen)}); give another file.")
    least = layout.seen_more_than
    modifiers = [word for word, seen in modifier_counts.items() if seen > least]
    heads = [word for word, seen in head_counts.items() if seen > least and word not in modifier_counts]
    return modifiers, heads


def _edges(path: Path, pairs: Iterable[Any], kept: list[str], rows: int) -> np.ndarray:
    """Edges [2, n] between places in ``kept``; where a word stands twice, its last place counts."""
    if not isinstance(pairs, list | tuple | set | frozenset | dict):
        raise SweettokError(f"{path} has no list of edges; give another file.")
    places: Mapping[str, int] = {word: place for place, word in enumerate(kept)}
    found = []
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise SweettokError(f"{path} has an edge that is no pair of words ({brief(pair)}).")
        first, second = (places.get(word) if isinstance(word, str) else None for word in pair)
        # The published convolution gives every word one loop to itself, whether it is listed or not.
        if first is not None and second is not None and first != second:
            found.append((first, second))
    edges = np.array(found, dtype=np.int64).reshape(-1, 2).T
    if edges.size and edges.max() >= rows:
        raise SweettokError(
            f"{path} has words without a vector, and edges to words that then have no row: no network was "
            "trained with this file."
        )
    return np.ascontiguousarray(edges)


def _matrix(path: Path, values: list[Any]) -> np.ndarray:
    """Vectors as rows, float32. Each may come as [d], [1, d] or [1, 1, d], tensor or array."""
    rows: list[np.ndarray] = []
    values = list(map(unwrapped, values))
    check_size({str(place): value for place, value in enumerate(values) if is_plain(value)}, str(path))
    for value in values:
        row = value.detach().float().numpy() if is_plain(value) else value
        if not isinstance(row, np.ndarray) or row.dtype.kind not in "fiub":
            raise SweettokError(
                f"{path} has a word vector that is no tensor or array of real numbers; give another file."
            )
        if row.size != max(row.shape, default=0) or (rows and row.size != rows[0].size) or not row.size:
            raise SweettokError(f"{path} has a word vector of shape {list(row.shape)}; give another file.")
        with np.errstate(over="ignore"):
            rows.append(row.reshape(-1).astype(np.float32))
    matrix = np.stack(rows)
    if not np.isfinite(matrix).all():
        raise SweettokError(f"{path} has word vectors with values that are not finite; give another file.")
    return matrix
