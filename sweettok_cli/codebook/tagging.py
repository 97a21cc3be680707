"""A light part-of-speech decision from WordNet: what a word can be, how often it is that, its neighbours.

Meant for captions and glosses, which are short, literal and in the present tense. WordNet's index says which
parts of speech a word has (inflected forms by morphy's rules) and how often each was tagged; a few rules on
the neighbouring words overrule the counts. No model is needed, and the same text gives the same tags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sweettok_cli.codebook.wordnet import PARTS, WordNet

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
        self._known: dict[str, dict[str, float]] = {}

    def tag(self, text: str) -> list[Tagged]:
        """Tokens of one caption, lower-cased, with noun, verb, adj, adv or None."""
        words = _TOKEN.findall(text.lower())
        tags: list[Tagged] = []
        for i, word in enumerate(words):
            before = tags[-1] if tags else Tagged("", None)
            after = words[i + 1] if i + 1 < len(words) else ""
            tags.append(Tagged(word, self._decide(word, before, after)))
        return tags

    def weights(self, word: str) -> dict[str, float]:
        """How often the word is each part of speech it can be; empty for function words and unknown ones."""
        if word not in self._known:
            self._known[word] = self._look_up(word)
        return self._known[word]

    def _look_up(self, word: str) -> dict[str, float]:
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
        weights = dict(self.weights(word))
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
        if before.word in _LINKING and "adj" in self.weights(word):
            return word.endswith("ing")
        if before.word in _SUBJECTS or before.word in _AUXILIARIES:
            return True
        if word.endswith("ing"):
            return before.part in ("noun", "adv", None)
        return before.part == "noun" and set(self.weights(after)) == {"adv"}

    def _is_often_noun(self, word: str) -> bool:
        weights = self.weights(word)
        return 4 * weights.get("noun", 0.0) >= max(weights.values(), default=1.0)
