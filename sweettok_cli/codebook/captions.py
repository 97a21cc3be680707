"""Word lists and co-occurrences from captions, by the published codebook's rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from sweettok_cli.codebook.cooccurrence import Pair, adjective_noun_pairs, adverb_verb_pairs
from sweettok_cli.codebook.tagging import Tagger
from sweettok_cli.codebook.vocabulary import PLURAL_NAMES, Vocabulary
from sweettok_cli.codebook.wordnet import PARTS
from sweettok_cli.errors import SweettokError


def count_captions(
    path: Path,
    tagger: Tagger,
    sizes: Mapping[str, int],
    least_count: int = 10,
) -> tuple[Vocabulary, Counter[Pair], Counter[Pair]]:
    """Count words by part of speech and modifier-head pairs in a text file, UTF-8, one caption a line.

    The published filter: adjectives and nouns are kept if counted more than ``least_count`` times, and a noun
    that was ever counted as an adjective is not a noun; adverbs and verbs are all kept, and a verb that was
    ever counted as an adverb is not a verb. Words are counted as they are written ("dogs", "running"), most
    frequent first, ties by alphabet.

    Args:
        path: the captions.
        tagger: decides the part of speech of each word.
        sizes: at most this many words of a part of speech; a part that is missing has no limit.
        least_count: see above.

    Returns:
        The word lists, adjective-noun pairs and adverb-verb pairs with their counts.

    Raises:
        SweettokError: the file cannot be read, or a list stays empty (fewer than two words for adjectives and
            adverbs).
    """
    counts: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    spatial: Counter[Pair] = Counter()
    temporal: Counter[Pair] = Counter()
    for caption in _captions(path):
        tags = tagger.tag(caption)
        for tag in tags:
            if tag.part is not None:
                counts[tag.part][tag.word] += 1
        spatial.update(adjective_noun_pairs(tags))
        temporal.update(adverb_verb_pairs(tags))
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
    return Vocabulary(lists["adj"], lists["noun"], lists["adv"], lists["verb"]), spatial, temporal


def _captions(path: Path) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8") as stream:
            for line in stream:
                if line.strip():
                    yield line
    except FileNotFoundError as error:
        raise SweettokError(
            f"{path} does not exist; give --captions a text file with one caption a line."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SweettokError(
            f"{path} cannot be read as UTF-8 text ({error}); give --captions one caption a line."
        ) from error
