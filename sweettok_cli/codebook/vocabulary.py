"""Which words WordNet gives to the codebook: four ranked lists, a word in one list of its pair only.

Adjectives and nouns describe what a clip shows, adverbs and verbs what happens in it. The sizes default to
those of the published codebook. A word's score is a logarithm to base ten:

    wordfreq's zipf frequency + log10(how much of that frequency this part of speech explains) + 1 if it can
    be seen

The middle term compares WordNet's tagged occurrences with those expected from the frequency, so that "in"
(the inch) or "as" (arsenic) does not become a common noun. The last term looks at the lexicographer file of a
word's first sense:
animals, artefacts, bodies, food, persons, plants, substances and the like for nouns; motion, contact, change,
perception and the like for verbs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sweettok_cli.codebook.wordnet import PARTS, Synset, WordNet
from sweettok_cli.errors import SweettokError

# The published codebook's sizes: 5078 + 5403 spatial rows, 1872 + 9267 temporal rows.
PUBLISHED_SIZES = {"adj": 5078, "noun": 5403, "adv": 1872, "verb": 9267}

PLURAL_NAMES = {"adj": "adjectives", "noun": "nouns", "adv": "adverbs", "verb": "verbs"}

# Lexicographer files, lexnames(5WN), of what a camera sees.
_VISIBLE_TOPICS = {
    "noun": {5, 6, 8, 11, 13, 17, 18, 19, 20, 25, 27},
    "verb": {29, 30, 33, 34, 35, 36, 38, 39, 43},
}
# Words in the sense-tagged texts: turns a zipf frequency into an expected number of tags.
_TAGGED_WORDS = 300_000
_UNSEEN_TAGS = 0.1

# Letters only, with a vowel: no "yr" or "xvi".
_PLAIN_WORD = re.compile(r"(?=.*[aeiou]|.{3})(?![ivx]+$)[a-z]{2,}")
_OFFENSIVE_USAGE = {"obscenity", "vulgarism", "disparagement", "derogation", "ethnic_slur"}
_OFFENSIVE_GLOSS = re.compile(
    r"\b(obscene|vulgar|slur|sexual|sexually|lascivious|prostitutes?|have sex|intercourse|copulation"
    r"|pornograph\w*"
    r"|(offensive|derogatory|disparaging|abusive|insulting) (term|name|word)s?)\b",
    re.IGNORECASE,
)

# Insults in everyday use whose senses WordNet leaves unmarked.
_UNMARKED_INSULTS = {"bitch", "boob", "bugger", "goddamn", "negro", "retard", "shitty", "slut", "tit"}

Frequency = Callable[[str], float]


@dataclass(frozen=True)
class Vocabulary:
    """The four lists, best word first; a word stands in one list of its pair (adj, noun) or (adv, verb)."""

    adj: tuple[str, ...]
    noun: tuple[str, ...]
    adv: tuple[str, ...]
    verb: tuple[str, ...]


def english_frequency() -> Frequency:
    """Zipf frequency of an English word: log10 of its occurrences in 10^9 words, 0 for an unknown word.

    Raises:
        SweettokError: the package wordfreq is not installed.
    """
    try:
        from wordfreq import zipf_frequency
    except ImportError as error:
        raise SweettokError(
            "Ranking WordNet's words needs the package wordfreq; run: pip install 'sweettok[codebook]'"
        ) from error
    return lambda word: zipf_frequency(word, "en")


def choose_words(wordnet: WordNet, sizes: dict[str, int], frequency: Frequency) -> Vocabulary:
    """Rank WordNet's single words by part of speech and keep the best ``sizes[part]`` of each.

    Only lower-case words of letters; no proper names; no word whose main sense WordNet labels as obscene,
    disparaging or a slur. The verb list holds base forms and their -ing forms ("run", "running") side by
    side: captions say "running", and WordNet alone has too few verbs for the published size.

    Raises:
        SweettokError: WordNet has fewer words than asked for.
    """
    refused = offensive_words(wordnet)
    scores = {part: _scores(wordnet, part, refused, frequency) for part in PARTS}
    _separate(wordnet, scores, "adj", "noun")
    _separate(wordnet, scores, "adv", "verb")
    blocked = set(scores["adv"]) | set(scores["verb"]) | refused
    for form, score in _participles(wordnet, scores["verb"], frequency):
        if form not in blocked:
            scores["verb"][form] = max(score, scores["verb"].get(form, -math.inf))
    best = {part: _best(part, scores[part], sizes[part]) for part in PARTS}
    return Vocabulary(best["adj"], best["noun"], best["adv"], best["verb"])


def offensive_words(wordnet: WordNet) -> set[str]:
    """Words that mainly offend: the first sense, or half of the senses, of a part of speech is so marked.

    WordNet marks obscenity, disparagement and slurs by domain of usage and in its glosses; words for sexual
    acts are left out too.
    """
    found = set(_UNMARKED_INSULTS)
    for part in PARTS:
        for word in wordnet.senses[part]:
            marks = [_is_offensive(wordnet, synset, word) for synset in wordnet.meanings(word, part)]
            if marks[0] or 2 * sum(marks) >= len(marks):
                found.add(word)
    return found


def _is_offensive(wordnet: WordNet, synset: Synset, word: str) -> bool:
    for pointer in synset.pointers:
        # ";u" is "member of this domain of usage"; source 0 speaks for every word of the synset.
        if pointer.symbol == ";u" and (
            pointer.source == 0 or synset.words[pointer.source - 1].lower() == word
        ):
            domain = wordnet.synsets.get((pointer.part, pointer.offset))
            if domain and _OFFENSIVE_USAGE & set(domain.words):
                return True
    definition = synset.gloss.partition('"')[0]
    return bool(_OFFENSIVE_GLOSS.search(definition))


def _scores(wordnet: WordNet, part: str, refused: set[str], frequency: Frequency) -> dict[str, float]:
    names = {
        word.lower() for synset in wordnet.synsets.values() for word in synset.words if word[:1].isupper()
    }
    scores = {}
    for word in wordnet.senses[part]:
        if not _PLAIN_WORD.fullmatch(word) or word in refused or word not in _spellings(wordnet, word, part):
            continue
        if word in names and wordnet.count(word, part) == 0:
            continue  # "benjamin" is a gum, but the frequency is that of the name
        if any(base in refused for other in PARTS for base in wordnet.base_forms(word, other)):
            continue
        zipf = frequency(word)
        if zipf > 0:
            scores[word] = zipf + _share(wordnet, word, part, zipf) + _visible(wordnet, word, part)
    return scores


def _spellings(wordnet: WordNet, word: str, part: str) -> tuple[str, ...]:
    """The words of the first sense as written; the index folds case, this shows a proper name's capital."""
    return wordnet.meanings(word, part)[0].words


def _share(wordnet: WordNet, word: str, part: str, zipf: float) -> float:
    """log10 of the share of the word's occurrences that this part of speech explains."""
    expected = 10 ** (zipf - 9) * _TAGGED_WORDS
    tagged = sum(wordnet.count(word, other) for other in PARTS if word in wordnet.senses[other])
    parts = sum(word in wordnet.senses[other] for other in PARTS)
    return math.log10(
        (wordnet.count(word, part) + _UNSEEN_TAGS) / (max(tagged, expected) + parts * _UNSEEN_TAGS)
    )


def _visible(wordnet: WordNet, word: str, part: str) -> float:
    return float(wordnet.meanings(word, part)[0].topic in _VISIBLE_TOPICS.get(part, ()))


def _separate(wordnet: WordNet, scores: dict[str, dict[str, float]], modifier: str, head: str) -> None:
    """Leave a word that is both in the list where it is tagged more often; the modifiers win a tie."""
    for word in set(scores[modifier]) & set(scores[head]):
        loser = head if wordnet.count(word, modifier) >= wordnet.count(word, head) else modifier
        del scores[loser][word]


def _participles(
    wordnet: WordNet, verbs: dict[str, float], frequency: Frequency
) -> Iterator[tuple[str, float]]:
    """The -ing form of every verb with the verb's own score, corrected by how frequent the form is."""
    irregular: dict[str, str] = {}
    for form, bases in wordnet.exceptions["verb"].items():
        if form.endswith("ing"):
            for base in bases:
                irregular.setdefault(base, form)
    for verb, score in list(verbs.items()):
        form = irregular.get(verb) or _regular_participle(verb)
        zipf = frequency(form)
        if zipf > 0 and _PLAIN_WORD.fullmatch(form):
            yield form, score - frequency(verb) + zipf


def _regular_participle(verb: str) -> str:
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye", "inge")):
        return verb[:-1] + "ing"
    return verb + "ing"


def _best(part: str, scores: dict[str, float], size: int) -> tuple[str, ...]:
    if len(scores) < size:
        name = PLURAL_NAMES[part]
        raise SweettokError(
            f"WordNet has {len(scores)} usable {name}, fewer than {size}; pass --{name} {len(scores)}."
        )
    ranked = sorted(scores, key=lambda word: (-scores[word], word))
    return tuple(ranked[:size])
