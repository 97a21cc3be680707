"""The word prior on disk: words, their vectors and the graph between them, for space and for motion.

A prior is a folder of two files. ``prior.safetensors`` holds, for each of the two graphs, ``NAME.vectors``
float16 [rows, dim] and ``NAME.edges`` int32 [2, edges]. ``prior.json`` holds the words of every row, how the
prior was made, and the SHA-256 of the tensors it belongs to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.files import atomic_output, check_target, is_text, open_regular, read_json, sha256_file

FORMAT = "sweettok-word-prior"
VERSION = 1
TENSOR_FILE = "prior.safetensors"
JSON_FILE = "prior.json"
GRAPH_NAMES = ("spatial", "temporal")

# Token files store word indices as uint16.
MAX_WORDS = 65_536
LONGEST_WORD = 200  # characters


@dataclass(frozen=True)
class WordGraph:
    """Words of one quantizer; rows are the modifiers first, then the heads.

    Attributes:
        modifiers: adjectives (space) or adverbs (motion).
        heads: nouns (space) or verbs (motion).
        vectors: float32 [len(modifiers) + len(heads), dim].
        edges: int64 [2, n], row numbers; each edge is undirected, and one listed twice counts twice.
    """

    modifiers: list[str]
    heads: list[str]
    vectors: np.ndarray
    edges: np.ndarray


@dataclass(frozen=True)
class WordPrior:
    """Graphs of what is seen and how it moves; ``about`` says how they were made, as JSON values."""

    spatial: WordGraph
    temporal: WordGraph
    about: dict[str, Any] = field(default_factory=dict)


def first_words(prior: WordPrior, share: float) -> WordPrior:
    """The first words of each list, a ``share`` of it (0 to 1), with their vectors and the edges among them.

    At least two modifiers and one head stay, which tokens need.
    """
    if share == 1:
        return prior
    graphs = {name: _first(getattr(prior, name), share) for name in GRAPH_NAMES}
    return WordPrior(**graphs, about={**prior.about, "counts": count_words(graphs)})


def count_words(graphs: Mapping[str, WordGraph]) -> dict[str, dict[str, int]]:
    """Of each graph by its name the numbers of words, of edges, and of words that an edge joins."""
    return {
        name: {
            "modifiers": len(graph.modifiers),
            "heads": len(graph.heads),
            "edges": int(graph.edges.shape[1]),
            "words_with_edges": int(np.unique(graph.edges).size),
        }
        for name, graph in graphs.items()
    }


def _first(graph: WordGraph, share: float) -> WordGraph:
    sizes = len(graph.modifiers), len(graph.heads)
    modifiers, heads = (max(least, round(share * size)) for least, size in zip((2, 1), sizes, strict=True))
    kept = np.r_[:modifiers, sizes[0] : sizes[0] + heads]
    place = np.full(sum(sizes), -1)
    place[kept] = np.arange(len(kept))
    edges = place[graph.edges]
    return WordGraph(
        graph.modifiers[:modifiers],
        graph.heads[:heads],
        graph.vectors[kept],
        edges[:, (edges >= 0).all(axis=0)],
    )


def check_words(modifiers: list[Any], heads: list[Any]) -> None:
    """Check the word lists of one graph.

    Raises:
        ValueError: too few or too many; or one is no text, or longer than a word.
    """
    # A token averages its two nearest modifiers.
    for kind, words, least in (("modifiers", modifiers, 2), ("heads", heads, 1)):
        if not least <= len(words) <= MAX_WORDS:
            raise ValueError(f"the word list has {len(words)} {kind}, not {least} to {MAX_WORDS}")
        bad = next((word for word in words if not is_text(word, LONGEST_WORD)), None)
        if bad is not None:
            raise ValueError(f"the word list has {brief(bad)} among its {kind}, which is no word")


def check_tensors(vectors: np.ndarray, edges: np.ndarray, rows: int) -> None:
    """Check vectors and edges of a graph of ``rows`` words.

    Raises:
        ValueError: shapes that disagree; values that are not finite; an edge outside the rows.
    """
    if vectors.ndim != 2 or vectors.shape[0] != rows or vectors.shape[1] < 1:
        raise ValueError(f"the vectors have shape {list(vectors.shape)}, not [{rows}, dim]")
    if not np.isfinite(vectors).all():
        raise ValueError("the vectors hold values that are not finite")
    if edges.ndim != 2 or edges.shape[0] != 2 or not np.issubdtype(edges.dtype, np.integer):
        raise ValueError(f"the edges have shape {list(edges.shape)} of {edges.dtype}, not [2, n] of integers")
    if edges.size and (edges.min() < 0 or edges.max() >= rows):
        least, most = edges.min(), edges.max()
        raise ValueError(f"the edges point outside the {rows} words ({least} to {most})")


def check_graph(graph: WordGraph, name: str, folder: Path | None = None) -> None:
    """Check one graph; ``name`` and ``folder`` are for messages.

    Raises:
        SweettokError: words missing, repeated within the graph or not text; shapes that disagree; values that
            are not finite; an edge outside the rows or from a word to itself.
    """
    try:
        check_words(graph.modifiers, graph.heads)
        seen: set[str] = set()
        for word in (*graph.modifiers, *graph.heads):
            if word in seen:
                raise ValueError(f"the word list has {brief(word)} twice")
            seen.add(word)
        check_tensors(graph.vectors, graph.edges, len(seen))
        if (graph.edges[0] == graph.edges[1]).any():
            raise ValueError("the edges join a word to itself")
    except ValueError as error:
        of = "" if folder is None else f" of {folder}"
        raise SweettokError(f"The {name} words{of}: {error}; build the prior again.") from error


def check_folder(folder: Path, force: bool) -> None:
    """Find out before any long work whether :func:`save_prior` may write ``folder``.

    Raises:
        SweettokError: it is a file, its parent is missing, or it holds a prior and ``force`` is off.
    """
    if folder.exists() and not folder.is_dir():
        raise SweettokError(f"{folder} is a file; name a folder for the prior with -o.")
    if folder.is_dir():
        for name in (TENSOR_FILE, JSON_FILE):
            check_target(folder / name, force)
    elif not folder.parent.is_dir():
        raise SweettokError(
            f"The folder {folder.parent} does not exist; create it or choose another output with -o."
        )


def save_prior(prior: WordPrior, folder: Path, force: bool = False) -> None:
    """Write a prior; vectors are rounded to float16.

    Raises:
        SweettokError: the prior is not valid, or the folder cannot be written or holds a prior already
            (without ``force``).
    """
    from safetensors.numpy import save

    tensors, words = {}, {}
    for name in GRAPH_NAMES:
        graph: WordGraph = getattr(prior, name)
        check_graph(graph, name)
        with np.errstate(over="ignore"):  # reported just below, in words
            halves = graph.vectors.astype(np.float16)
        if not np.isfinite(halves).all():
            raise SweettokError(
                f"The {name} vectors exceed 16-bit floats; reduce them with --dim, which also scales them."
            )
        tensors[f"{name}.vectors"] = halves
        tensors[f"{name}.edges"] = np.ascontiguousarray(graph.edges, dtype=np.int32)
        words[name] = {"modifiers": list(graph.modifiers), "heads": list(graph.heads)}
    check_folder(folder, force)
    made = not folder.exists()
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise SweettokError(
            f"Cannot create {folder} ({error.strerror}); choose another folder with -o."
        ) from error
    try:
        with (
            atomic_output(folder / JSON_FILE, force) as json_path,
            atomic_output(folder / TENSOR_FILE, force) as tensor_path,
        ):
            tensor_path.write_bytes(save(tensors))
            digest = sha256_file(tensor_path)
            head = {"format": FORMAT, "version": VERSION, "tensors_sha256": digest, "about": prior.about}
            document = {**head, **words}
            json_path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except BaseException:
        if made:
            with suppress(OSError):
                folder.rmdir()
        raise


def load_prior(folder: Path) -> WordPrior:
    """Read and check a prior.

    Raises:
        SweettokError: a file is missing, cannot be read, belongs to another one, or contradicts itself.
    """
    document = _read_json(folder / JSON_FILE)
    tensors = _read_tensors(folder / TENSOR_FILE)
    if document.get("tensors_sha256") != sha256_file(folder / TENSOR_FILE):
        raise SweettokError(
            f"{TENSOR_FILE} and {JSON_FILE} in {folder} do not belong together; build the prior again."
        )
    graphs = {}
    for name in GRAPH_NAMES:
        words = document.get(name)
        modifiers, heads = map(words.get, ("modifiers", "heads")) if isinstance(words, dict) else (None, None)
        if not isinstance(modifiers, list) or not isinstance(heads, list):
            raise SweettokError(f"{folder / JSON_FILE} has no {name} word lists; build the prior again.")
        vectors, edges = tensors.get(f"{name}.vectors"), tensors.get(f"{name}.edges")
        if vectors is None or edges is None:
            raise SweettokError(
                f"{folder / TENSOR_FILE} has no {name} vectors or edges; build the prior again."
            )
        edges = edges.astype(np.int64) if np.issubdtype(edges.dtype, np.integer) else edges
        graphs[name] = WordGraph(modifiers, heads, vectors.astype(np.float32), edges)
        check_graph(graphs[name], name, folder)
    about = document.get("about")
    return WordPrior(**graphs, about=about if isinstance(about, dict) else {})


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise SweettokError(f"{path} is missing; make a prior with: sweettok codebook build -o {path.parent}")
    document = read_json(path, "build the prior again")
    if document.get("format") != FORMAT:
        raise SweettokError(f"{path} is not a word prior; make one with: sweettok codebook build")
    if document.get("version") != VERSION:
        raise SweettokError(
            f"{path} has version {brief(document.get('version'))} and this program reads version {VERSION}; "
            "build it again or update sweettok."
        )
    return document


def _read_tensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        with open_regular(path) as stream:
            return load(stream.read())
    except FileNotFoundError as error:
        raise SweettokError(f"{path} is missing; build the prior again.") from error
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise SweettokError(f"{path} is damaged ({error}); build the prior again.") from error
