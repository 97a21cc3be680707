"""WordNet read from its dictionary files: words by part of speech, sense counts, glosses, inflections.

The format is that of the manual pages wndb(5WN) and cntlist(5WN), the same for WordNet 2.1 to 3.1. Needed
files: ``index.POS``, ``data.POS`` and ``POS.exc`` for noun, verb, adj and adv, and one of ``cntlist.rev``,
``cntlist`` or ``index.sense`` for the counts of tagged senses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from sweettok_cli.errors import SweettokError

Parsed = TypeVar("Parsed")

PARTS = ("noun", "verb", "adj", "adv")
DEFAULT_FOLDER = Path("/usr/share/wordnet")

_PART_OF_LETTER = {"n": "noun", "v": "verb", "a": "adj", "s": "adj", "r": "adv"}
_PART_OF_SENSE_TYPE = {"1": "noun", "2": "verb", "3": "adj", "4": "adv", "5": "adj"}

# Detachment rules of morphy(7WN): an ending of the inflected form and what stands there in the base form.
_RULES = {
    "noun": "ses:s xes:x zes:z ches:ch shes:sh men:man ies:y s:",
    "verb": "ies:y es:e es: ed:e ed: ing:e ing: s:",
    "adj": "er:e est:e er: est:",
    "adv": "",
}
_ENDINGS = {part: [rule.split(":") for rule in rules.split()] for part, rules in _RULES.items()}


@dataclass(frozen=True)
class Pointer:
    """A relation to another synset; ``source`` is the 1-based word it starts from, 0 for the whole synset."""

    symbol: str
    part: str
    offset: int
    source: int
    target: int


@dataclass(frozen=True)
class Synset:
    """One set of synonyms; ``words`` keep their capitals, ``topic`` numbers the lexicographer file."""

    part: str
    offset: int
    topic: int
    words: tuple[str, ...]
    pointers: tuple[Pointer, ...]
    gloss: str

    def named(self, place: int) -> tuple[str, ...]:
        """The word a pointer starts from or leads to: 1-based, 0 for all words."""
        return self.words[place - 1 : place] if place else self.words


class WordNet:
    """All of WordNet in memory (about 117 k synsets, some 3 s to read)."""

    def __init__(self, folder: Path) -> None:
        """Read ``folder``; raise :class:`SweettokError` if a file is missing or cannot be understood."""
        _check_folder(folder)
        self.synsets: dict[tuple[str, int], Synset] = {}
        self.senses: dict[str, dict[str, tuple[int, ...]]] = {}
        self.exceptions: dict[str, dict[str, tuple[str, ...]]] = {}
        for part in PARTS:
            for synset in _parsed(folder / f"data.{part}", partial(_parse_synset, part)):
                self.synsets[part, synset.offset] = synset
            self.senses[part] = dict(_parsed(folder / f"index.{part}", _parse_senses))
            exceptions: dict[str, tuple[str, ...]] = defaultdict(tuple)
            for form, bases in _parsed(folder / f"{part}.exc", _parse_exception):
                exceptions[form] += bases
            self.exceptions[part] = exceptions
        self.counts = _read_counts(folder)
        for part, entries in self.senses.items():
            for word, offsets in entries.items():
                for offset in offsets:
                    if (part, offset) not in self.synsets:
                        raise SweettokError(
                            f"index.{part} and data.{part} in {folder} do not belong together "
                            f"(no synset {offset:08d} for '{word}'); take both from one WordNet release."
                        )

    def meanings(self, word: str, part: str) -> list[Synset]:
        """The synsets of a lower-case base form, most frequent sense first."""
        return [self.synsets[part, offset] for offset in self.senses[part].get(word, ())]

    def count(self, word: str, part: str) -> int:
        """How often the word was met with this part of speech in WordNet's sense-tagged texts."""
        return self.counts[part].get(word, 0)

    def base_forms(self, word: str, part: str) -> list[str]:
        """Base forms, likeliest first, by morphy's rules: the word, then its exceptions, else endings."""
        known = self.senses[part]
        candidates = self.exceptions[part].get(word, ()) or regular_forms(word, part)
        return [form for form in dict.fromkeys((word, *candidates)) if form in known]


def regular_forms(word: str, part: str) -> tuple[str, ...]:
    """What a lower-case word may be a regular inflection of, by morphy's rules; not all of them are words."""
    return tuple(
        word.removesuffix(ending) + base
        for ending, base in _ENDINGS[part]
        if word.endswith(ending) and word != ending
    )


def _check_folder(folder: Path) -> None:
    needed = [f"{kind}.{part}" for part in PARTS for kind in ("index", "data")]
    needed += [f"{part}.exc" for part in PARTS]
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        what = "no folder" if not folder.is_dir() else f"no {missing[0]}"
        raise SweettokError(
            f"WordNet's dictionary files are not in {folder} ({what}); install the package wordnet-base "
            "or name their folder with --wordnet DIR."
        )


def _parsed(path: Path, parse: Callable[[str], Parsed]) -> Iterator[Parsed]:
    """Every line but those of the licence text, which begin with two spaces."""
    try:
        with open(path, encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip() and not line.startswith("  "):
                    try:
                        parsed = parse(line)
                    except (IndexError, ValueError, KeyError) as error:
                        raise SweettokError(
                            f"{path}, line {number}, is not in WordNet's format; use the files of a WordNet "
                            "release unchanged."
                        ) from error
                    yield parsed
    except (OSError, UnicodeDecodeError) as error:
        raise SweettokError(
            f"Cannot read {path} ({error}); use the dictionary files of a WordNet release."
        ) from error


def _parse_synset(part: str, line: str) -> Synset:
    head, _, gloss = line.partition("|")
    fields = head.split()
    size = int(fields[3], 16)
    # An adjective may carry its syntactic place in brackets, as in "ablaze(p)".
    words = tuple(field.partition("(")[0] for field in fields[4 : 4 + 2 * size : 2])
    start = 4 + 2 * size
    pointers = []
    for i in range(int(fields[start])):
        symbol, offset, letter, ends = fields[start + 1 + 4 * i : start + 5 + 4 * i]
        pointers.append(
            Pointer(symbol, _PART_OF_LETTER[letter], int(offset), int(ends[:2], 16), int(ends[2:], 16))
        )
    return Synset(part, int(fields[0]), int(fields[1]), words, tuple(pointers), gloss.strip())


def _parse_senses(line: str) -> tuple[str, tuple[int, ...]]:
    fields = line.split()
    return fields[0], tuple(map(int, fields[-int(fields[2]) :]))


def _parse_exception(line: str) -> tuple[str, tuple[str, ...]]:
    form, base, *more = line.split()
    return form, (base, *more)


def _read_counts(folder: Path) -> dict[str, dict[str, int]]:
    """Tagged occurrences by part of speech and word, summed over senses."""
    layouts = {"cntlist.rev": (0, 2), "cntlist": (1, 0), "index.sense": (0, 3)}
    path = next((folder / name for name in layouts if (folder / name).is_file()), None)
    if path is None:
        raise SweettokError(
            f"{folder} has no counts of senses (cntlist.rev, cntlist or index.sense); "
            "install the package wordnet-base or name a complete folder with --wordnet DIR."
        )
    key_column, count_column = layouts[path.name]

    def parse(line: str) -> tuple[str, str, int]:
        fields = line.split()
        word, _, rest = fields[key_column].partition("%")
        return _PART_OF_SENSE_TYPE[rest[0]], word, int(fields[count_column])

    counts: dict[str, dict[str, int]] = {part: defaultdict(int) for part in PARTS}
    for part, word, count in _parsed(path, parse):
        counts[part][word] += count
    return counts
