"""Which words WordNet gives to the codebook: four ranked lists, a word in one list of its pair only.

Adjectives and nouns describe what a clip shows, adverbs and verbs what happens in it. The sizes default to
those of the published codebook. A word's score is a logarithm to base ten:

    wordfreq's zipf frequency + log10(share of it that this part of speech explains) + 1 if it can be seen

The middle term compares WordNet's tagged occurrences with those expected from the frequency, so that "in"
(the inch) or "as" (arsenic) does not become a common noun. The last term looks at the lexicographer file of a
word's first sense: animals, artefacts, bodies, food, persons, plants, substances and the like for nouns;
motion, contact, change, perception and the like for verbs.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sweettok_cli.codebook.wordnet import PARTS, Synset, WordNet
from sweettok_cli.errors import SweettokError

_TOKEN = re.compile(r"[a-z]+(?:-[a-z]+)*|[.,;:!?()]")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DETERMINERS = _words(
    "a an the this that these those my your his her its our their some any no each every another several "
    "many few both all one two three four five six seven eight nine ten"
)
_SUBJECTS = _words("i you he she it we they who which to not")
# Before an adjective these link ("is wet", "has wet hair"); else they are auxiliaries.
_LINKING = _words("be is are was were been being am has have had")
_AUXILIARIES = _LINKING | _words("can could will would shall should may might must do does did")
_CLOSED = (
    _DETERMINERS
    | _SUBJECTS
    | _AUXILIARIES
    | _words(
        "me him us them himself herself itself themselves and or but nor so if as than because while when "
        "where what how of in on at by for with from into onto over under about against between among "
        "through during before after above below toward towards upon within without along across behind "
        "beside beyond near off out up down around s t etc eg ie such there here then"
    )
)
# Of these, the ones that say how or where something moves are adverbs unless a noun phrase follows.
_PARTICLES = _words("up down out off away around along across back forward over through here there")


@dataclass(frozen=True)
class Tagged:
    """A token of a text; ``part`` is None for punctuation, function words and words WordNet does not have."""

    word: str
    part: str | None


class Tagger:
    """Tags texts; remembers every word form it has looked up."""

    def __init__(self, wordnet: WordNet) -> None:
        self._wordnet = wordnet
        self._weights = functools.cache(self._look_up)

    def tag(self, text: str) -> list[Tagged]:
        """Tokens of one caption, lower-cased, with noun, verb, adj, adv or None."""
        words = _TOKEN.findall(text.lower())
        tags = [Tagged("", None)]
        for word, after in itertools.zip_longest(words, words[1:], fillvalue=""):
            tags.append(Tagged(word, self._decide(word, tags[-1], after)))
        return tags[1:]

    def _look_up(self, word: str) -> dict[str, float]:
        """How often the word is each part of speech it can be; empty for function words and unknown ones."""
        if len(word) < 2 or (word in _CLOSED and word not in _PARTICLES):
            return {}
        weights: dict[str, float] = {}
        for part in PARTS:
            bases = self._wordnet.base_forms(word, part)
            if bases:
                # A sense that was never tagged counts a little.
                base = bases[0]
                weights[part] = self._wordnet.count(base, part) + 0.2 * len(self._wordnet.senses[part][base])
        if word in _PARTICLES:
            return {"adv": 1.0} if "adv" in weights else {}
        return weights

    def _decide(self, word: str, before: Tagged, after: str) -> str | None:
        weights = dict(self._weights(word))
        if not weights:
            return None
        if word in _PARTICLES:
            # "walks down the road" has a preposition, "walks down" an adverb.
            return None if after in _DETERMINERS or self._is_often_noun(after) else "adv"
        noun_follows = self._is_often_noun(after)
        if "verb" in weights and len(weights) > 1:
            if before.word in _DETERMINERS or before.part == "adj":
                del weights["verb"]
            elif self._acts(word, before, after):
                return "verb"
        if "adv" in weights and before.part == "verb" and not noun_follows:
            return "adv"
        if "noun" in weights and before.part == "adj" and not noun_follows:
            return "noun"
        if "adj" in weights and noun_follows and weights["adj"] * 2 >= weights.get("noun", 0.0):
            return "adj"
        if "adj" in weights and "noun" in weights and before.word in _DETERMINERS and not noun_follows:
            return "noun"
        return max(weights, key=lambda part: weights[part])

    def _acts(self, word: str, before: Tagged, after: str) -> bool:
        """Whether a word that can be a verb is one here: "to walk", "is walking", "water flows gently"."""
        if before.word in _LINKING and "adj" in self._weights(word):
            return word.endswith("ing")
        if before.word in _SUBJECTS or before.word in _AUXILIARIES:
            return True
        if word.endswith("ing"):
            return before.part in ("noun", "adv", None)
        return before.part == "noun" and set(self._weights(after)) == {"adv"}

    def _is_often_noun(self, word: str) -> bool:
        weights = self._weights(word)
        return 4 * weights.get("noun", 0.0) >= max(weights.values(), default=1.0)


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
    r"|pornograph\w*|(offensive|derogatory|disparaging|abusive|insulting) (term|name|word)s?)\b",
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

    Only lower-case words of letters; no proper names; no :func:`offensive_words`. The verb list holds base
    forms and their -ing forms ("run", "running") side by side: captions say "running", and WordNet alone has
    too few verbs for the published size.

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
    return Vocabulary(**{part: _best(part, scores[part], sizes[part]) for part in PARTS})


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
    return bool(_OFFENSIVE_GLOSS.search(synset.gloss.partition('"')[0]))  # not in its examples


def _scores(wordnet: WordNet, part: str, refused: set[str], frequency: Frequency) -> dict[str, float]:
    names = {
        word.lower() for synset in wordnet.synsets.values() for word in synset.words if word[:1].isupper()
    }
    scores = {}
    for word in wordnet.senses[part]:
        first = wordnet.meanings(word, part)[0]
        # The index folds case; the words of a sense are as written, with a proper name's capital.
        if not _PLAIN_WORD.fullmatch(word) or word in refused or word not in first.words:
            continue
        if word in names and wordnet.count(word, part) == 0:
            continue  # "benjamin" is a gum, but the frequency is that of the name
        if any(base in refused for other in PARTS for base in wordnet.base_forms(word, other)):
            continue
        zipf = frequency(word)
        if zipf > 0:
            seen = first.topic in _VISIBLE_TOPICS.get(part, ())
            scores[word] = zipf + _share(wordnet, word, part, zipf) + seen
    return scores


def _share(wordnet: WordNet, word: str, part: str, zipf: float) -> float:
    """log10 of the share of the word's occurrences that this part of speech explains."""
    expected = 10 ** (zipf - 9) * _TAGGED_WORDS
    parts = [other for other in PARTS if word in wordnet.senses[other]]
    tagged = max(sum(wordnet.count(word, other) for other in parts), expected)
    return math.log10((wordnet.count(word, part) + _UNSEEN_TAGS) / (tagged + len(parts) * _UNSEEN_TAGS))


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
    return tuple(sorted(scores, key=lambda word: (-scores[word], word))[:size])
