"""Word lists and co-occurrences from captions, by the published codebook's rules."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from sweettok_cli.codebook.vocabulary import PLURAL_NAMES, Tagged, Tagger, Vocabulary
from sweettok_cli.codebook.wordnet import PARTS
from sweettok_cli.errors import SweettokError

Pair = tuple[str, str]

# How far, in tokens, an adverb may stand from its verb: "runs very quickly", "slowly and carefully opens".
_ADVERB_REACH = 3


def adjective_noun_pairs(tags: Sequence[Tagged]) -> Iterator[Pair]:
    """Adjectives before a noun ("big red ball") or after it and a form of *be* ("the ball is red").

    In a run of nouns ("red fire truck") the adjective goes with each: the first shares the look of the head.
    """
    for i, tag in enumerate(tags):
        if tag.part != "adj":
            continue
        j = i + 1
        while j < len(tags) and (tags[j].part in ("adj", "adv") or tags[j].word in (",", "and", "or")):
            j += 1
        nouns = list(itertools.takewhile(lambda tag: tag.part == "noun", tags[j:]))
        yield from ((tag.word, noun.word) for noun in nouns)
        if not nouns:
            k = i - 1
            while k >= 0 and tags[k].part == "adv":
                k -= 1
            if k >= 1 and tags[k].word in ("is", "are", "was", "were") and tags[k - 1].part == "noun":
                yield tag.word, tags[k - 1].word


def adverb_verb_pairs(tags: Sequence[Tagged]) -> Iterator[Pair]:
    """Each adverb with the nearest verb within three tokens of its clause, the earlier of two as near."""
    for i, tag in enumerate(tags):
        if tag.part == "adv":
            near = (j for distance in range(1, _ADVERB_REACH + 1) for j in (i - distance, i + distance))
            found = next((j for j in near if _is_verb_near(tags, i, j)), None)
            if found is not None:
                yield tag.word, tags[found].word


def _is_verb_near(tags: Sequence[Tagged], i: int, j: int) -> bool:
    if not 0 <= j < len(tags) or tags[j].part != "verb":
        return False
    between = tags[min(i, j) + 1 : max(i, j)]
    return not any(tag.word in ".,;:!?()" for tag in between)


def edges_from_pairs(
    pairs: Mapping[Pair, float], modifiers: Sequence[str], heads: Sequence[str], limit: int
) -> np.ndarray:
    """The strongest pairs of listed words as edges: int64 [2, n], sorted row numbers, modifiers first.

    n is at most ``limit``. Every word keeps its strongest pair before any word gets a second.
    """
    modifier_rows = {word: row for row, word in enumerate(modifiers)}
    head_rows = {word: row for row, word in enumerate(heads, len(modifiers))}
    weighted = [
        (weight, modifier_rows[modifier], head_rows[head])
        for (modifier, head), weight in pairs.items()
        if modifier in modifier_rows and head in head_rows
    ]
    # Equal weights: frequent words first, and the order never depends on the text's order.
    weighted.sort(key=lambda item: (-item[0], item[1] + item[2], item[1]))
    first: list[tuple[int, int]] = []
    rest: list[tuple[int, int]] = []
    seen: set[int] = set()
    for _, modifier_row, head_row in weighted:
        new = modifier_row not in seen or head_row not in seen
        seen |= {modifier_row, head_row}
        (first if new else rest).append((modifier_row, head_row))
    chosen = sorted((first + rest)[:limit])
    return np.array(chosen, dtype=np.int64).reshape(-1, 2).T.copy()


def count_pairs(texts: Iterable[Sequence[Tagged]]) -> tuple[Counter[Pair], Counter[Pair]]:
    """Adjective-noun and adverb-verb pairs over many tagged texts."""
    spatial: Counter[Pair] = Counter()
    temporal: Counter[Pair] = Counter()
    for tags in texts:
        spatial.update(adjective_noun_pairs(tags))
        temporal.update(adverb_verb_pairs(tags))
    return spatial, temporal


def count_captions(
    path: Path, tagger: Tagger, sizes: Mapping[str, int], least_count: int = 10
) -> tuple[Vocabulary, Counter[Pair], Counter[Pair]]:
    """Count words by part of speech and modifier-head pairs in a text file, UTF-8, one caption a line.

    The published filter: adjectives and nouns are kept if counted more than ``least_count`` times, and a noun
    that was ever counted as an adjective is not a noun; adverbs and verbs are all kept, and a verb that was
    ever counted as an adverb is not a verb. Words are counted as they are written ("dogs", "running"), most
    frequent first, ties by alphabet, at most ``sizes[part]`` where that is given.

    Returns:
        The word lists; adjective-noun pairs and adverb-verb pairs with their counts.

    Raises:
        SweettokError: the file cannot be read, or a list has no word (adjectives, adverbs: fewer than two).
    """
    counts: dict[str, Counter[str]] = {part: Counter() for part in PARTS}

    def counted() -> Iterator[Sequence[Tagged]]:
        for caption in _captions(path):
            tags = tagger.tag(caption)
            for tag in tags:
                if tag.part is not None:
                    counts[tag.part][tag.word] += 1
            yield tags

    spatial, temporal = count_pairs(counted())
    least = {"adj": least_count, "noun": least_count, "adv": 0, "verb": 0}
    excluded = {"noun": counts["adj"], "verb": counts["adv"]}
    lists = {}
    for part in PARTS:
        kept = [
            (-count, word)
            for word, count in counts[part].items()
            if count > least[part] and word not in excluded.get(part, ())
        ]
        lists[part] = tuple(word for _, word in sorted(kept)[: sizes.get(part)])
        needed = 2 if part in ("adj", "adv") else 1
        if len(lists[part]) < needed:
            raise SweettokError(
                f"{path} gives {len(lists[part])} {PLURAL_NAMES[part]}; the codebook needs {needed} or more: "
                "use more captions or a smaller --min-count."
            )
    return Vocabulary(**lists), spatial, temporal


def _captions(path: Path) -> Iterator[str]:
    if path.exists() and not path.is_file():
        raise SweettokError(f"{path} is not a regular file; give --captions one caption a line.")
    try:
        with open(path, encoding="utf-8") as stream:
            yield from (line for line in stream if line.strip())
    except FileNotFoundError as error:
        raise SweettokError(
            f"{path} does not exist; give --captions a text file with one caption a line."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SweettokError(
            f"{path} cannot be read as UTF-8 text ({error}); give --captions one caption a line."
        ) from error
