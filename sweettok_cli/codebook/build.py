"""Build a word prior: word lists and edges from WordNet or from captions, vectors from a language model."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweettok_cli.codebook.captions import Pair, count_captions, count_pairs, edges_from_pairs
from sweettok_cli.codebook.prior import WordGraph, WordPrior, count_words
from sweettok_cli.codebook.vectors import POOLINGS, Pooling, embed_words, reduce_vectors
from sweettok_cli.codebook.vocabulary import (
    PLURAL_NAMES,
    PUBLISHED_SIZES,
    Tagger,
    Vocabulary,
    choose_words,
    english_frequency,
)
from sweettok_cli.codebook.wordnet import DEFAULT_FOLDER, Synset, WordNet
from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import OnProgress

# WordNet's own relations between a modifier and a head count as much as one co-occurrence.
_RELATIONS = ("=", "+", "\\")


@dataclass(frozen=True)
class BuildOptions:
    """How to build a prior.

    Attributes:
        llm: language model for the vectors: a name on the Hub or a local folder.
        wordnet: folder of WordNet's dictionary files; also needed with captions, for the parts of speech.
        captions: text file with one caption a line; None takes words and edges from WordNet.
        pooling: ``mean`` (contextual) or ``input`` (input embeddings), see :func:`.vectors.embed_words`.
        dim: keep this many whitened principal components of the vectors; None keeps the model's own.
        sizes: words to keep by part of speech. Where a part is missing, WordNet gives the published number
            and captions give every word above ``least_count``.
        least_count: with captions, adjectives and nouns must be met more often than this (10 as published).
        edges: at most this many edges a graph.
    """

    llm: str
    wordnet: Path = DEFAULT_FOLDER
    captions: Path | None = None
    pooling: Pooling = "mean"
    dim: int | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    least_count: int = 10
    edges: int = 60_000


def build_prior(
    options: BuildOptions,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_progress: OnProgress | None = None,
) -> WordPrior:
    """Build a prior in memory.

    ``on_stage`` is told in one line what begins, ``on_progress`` the words embedded and in all.

    Raises:
        SweettokError: WordNet, captions or model cannot be read, or there are too few words for ``sizes``.
    """
    if options.pooling not in POOLINGS:
        raise SweettokError(f"--pooling {options.pooling} is not one of {', '.join(POOLINGS)}.")
    if options.edges < 0 or options.least_count < 0:
        raise SweettokError("--edges and --min-count must not be negative.")
    for part, size in options.sizes.items():
        if size < 1:
            raise SweettokError(f"--{PLURAL_NAMES[part]} {size} leaves no word; give a positive number.")
    on_stage(f"Reading WordNet from {options.wordnet}.")
    wordnet = WordNet(options.wordnet)
    if options.captions is None:
        on_stage("Ranking words and reading glosses.")
        vocabulary = choose_words(wordnet, {**PUBLISHED_SIZES, **options.sizes}, english_frequency())
        spatial, temporal = gloss_pairs(wordnet, vocabulary)
    else:
        on_stage(f"Reading captions from {options.captions}.")
        vocabulary, spatial, temporal = count_captions(
            options.captions, Tagger(wordnet), options.sizes, options.least_count
        )
    on_stage(f"Embedding words with {options.llm}.")
    graphs, variance = _graphs(vocabulary, spatial, temporal, options, on_progress)
    return WordPrior(**graphs, about=_about(options, graphs, variance))


def gloss_pairs(wordnet: WordNet, vocabulary: Vocabulary) -> tuple[Counter[Pair], Counter[Pair]]:
    """Adjective-noun and adverb-verb pairs in WordNet with their counts.

    Glosses and their examples are read like captions. Besides, an adjective in a noun's gloss belongs to that
    noun, an adverb in a verb's gloss to that verb; and so do attributes (heavy, weight) and derivations
    (woody, wood; for adverbs by way of their adjective: quickly, quick, quicken). Inflected words count for
    their base forms too.
    """
    tagger = Tagger(wordnet)
    lists = {"noun": frozenset(vocabulary.noun), "verb": frozenset(vocabulary.verb)}
    glosses = [(synset, tagger.tag(synset.gloss)) for synset in wordnet.synsets.values()]
    spatial, temporal = count_pairs(tags for _, tags in glosses)
    spatial, temporal = _with_bases(wordnet, spatial, "noun"), _with_bases(wordnet, temporal, "verb")
    for synset, tags in glosses:
        if synset.part in lists:
            modifier, pairs = ("adj", spatial) if synset.part == "noun" else ("adv", temporal)
            heads = lists[synset.part].intersection(synset.words)
            pairs.update((tag.word, head) for tag in tags if tag.part == modifier for head in heads)
    for synset in wordnet.synsets.values():
        if synset.part == "adj":
            spatial.update(_targets(wordnet, synset, "noun"))
        elif synset.part == "adv":
            for adverb, adjective in _targets(wordnet, synset, "adj"):
                for meaning in wordnet.meanings(adjective, "adj"):
                    verbs = _targets(wordnet, meaning, "verb")
                    temporal.update((adverb, verb) for source, verb in verbs if source == adjective)
    return spatial, temporal


def _with_bases(wordnet: WordNet, pairs: Counter[Pair], part: str) -> Counter[Pair]:
    found: Counter[Pair] = Counter()
    for (modifier, head), count in pairs.items():
        for form in {head, *wordnet.base_forms(head, part)[:1]}:
            found[modifier, form] += count
    return found


def _targets(wordnet: WordNet, synset: Synset, target: str) -> Iterator[Pair]:
    """Words of a synset with the words of another part of speech that WordNet relates them to."""
    for pointer in synset.pointers:
        if pointer.symbol in _RELATIONS and pointer.part == target:
            other = wordnet.synsets.get((target, pointer.offset))
            if other is not None:
                yield from itertools.product(synset.named(pointer.source), other.named(pointer.target))


def _graphs(
    vocabulary: Vocabulary,
    spatial: Mapping[Pair, float],
    temporal: Mapping[Pair, float],
    options: BuildOptions,
    on_progress: OnProgress | None,
) -> tuple[dict[str, WordGraph], dict[str, float]]:
    adjectives, nouns, adverbs, verbs = vocabulary.adj, vocabulary.noun, vocabulary.adv, vocabulary.verb
    lists = {"spatial": (adjectives, nouns, spatial), "temporal": (adverbs, verbs, temporal)}
    # One word may stand in both graphs ("light" is a noun and a verb): embed it once.
    words = list(dict.fromkeys((*adjectives, *nouns, *adverbs, *verbs)))
    embedded = embed_words(words, options.llm, options.pooling, on_progress)
    rows = {word: row for row, word in enumerate(words)}
    graphs, variance = {}, {}
    for name, (modifiers, heads, pairs) in lists.items():
        vectors = embedded[[rows[word] for word in (*modifiers, *heads)]]
        if options.dim is not None:
            vectors, variance[name] = reduce_vectors(vectors, options.dim)
        edges = edges_from_pairs(pairs, modifiers, heads, options.edges)
        graphs[name] = WordGraph(list(modifiers), list(heads), vectors, edges)
    return graphs, variance


def _about(
    options: BuildOptions, graphs: Mapping[str, WordGraph], variance: Mapping[str, float]
) -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    from sweettok_cli.runtime import __version__

    versions = {"sweettok": __version__}
    for package in ("wordfreq", "transformers", "torch", "numpy"):
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    about: dict[str, Any] = {
        # Names only: the folders of the machine that built it say nothing elsewhere.
        "words": "WordNet" if options.captions is None else f"captions in {options.captions.name}",
        "llm": Path(options.llm).name if Path(options.llm).is_dir() else options.llm,
        "pooling": options.pooling,
        "dim": int(graphs["spatial"].vectors.shape[1]),
        "whitened": options.dim is not None,
        "versions": versions,
        "counts": count_words(graphs),
    }
    if variance:
        about["variance_kept"] = {name: round(share, 4) for name, share in variance.items()}
    return about
