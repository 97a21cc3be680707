"""WordNet read from its dictionary files: words by part of speech, sense counts, glosses, inflections.

The format is that of the manual pages wndb(5WN) and cntlist(5WN), the same for WordNet 2.1 to 3.1. Needed
files: ``index.POS``, ``data.POS`` and ``POS.exc`` for noun, verb, adj and adv, and one of ``cntlist.rev``,
``cntlist`` or ``index.sense`` for the counts of tagged senses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sweettok_cli.errors import SweettokError

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


class WordNet:
    """All of WordNet in memory (about 117 k synsets, some 3 s to read)."""

    def __init__(self, folder: Path) -> None:
        """Read ``folder``.

        Raises:
            SweettokError: a file is missing or cannot be understood.
        """
        self.folder = _check_folder(folder)
        self.synsets: dict[tuple[str, int], Synset] = {}
        self.senses: dict[str, dict[str, tuple[int, ...]]] = {}
        self.exceptions: dict[str, dict[str, tuple[str, ...]]] = {}
        for part in PARTS:
            for synset in _read_data(folder / f"data.{part}", part):
                self.synsets[part, synset.offset] = synset
            self.senses[part] = dict(_read_index(folder / f"index.{part}"))
            self.exceptions[part] = _read_exceptions(folder / f"{part}.exc")
        self.counts = _read_counts(folder)
        self._check_senses()

    def _check_senses(self) -> None:
        for part, entries in self.senses.items():
            for word, offsets in entries.items():
                for offset in offsets:
                    if (part, offset) not in self.synsets:
                        raise SweettokError(
                            f"index.{part} and data.{part} in {self.folder} do not belong together "
                            f"(no synset {offset:08d} for '{word}'); take both from one WordNet release."
                        )

    def meanings(self, word: str, part: str) -> list[Synset]:
        """The synsets of a lower-case base form, most frequent sense first."""
        return [self.synsets[part, offset] for offset in self.senses[part].get(word, ())]

    def count(self, word: str, part: str) -> int:
        """How often the word was met with this part of speech in WordNet's sense-tagged texts."""
        return self.counts[part].get(word, 0)

    def base_forms(self, word: str, part: str) -> list[str]:
        """Base forms of a lower-case word that WordNet lists for this part of speech, likeliest first.

        The rules are morphy's: the word itself, then its exceptions, else the detachment of endings.
        """
        known = self.senses[part]
        found = [word] if word in known else []
        listed = self.exceptions[part].get(word, ())
        candidates = listed or tuple(
            word[: len(word) - len(ending)] + base
            for ending, base in _ENDINGS[part]
            if word.endswith(ending) and len(word) > len(ending)
        )
        found.extend(candidate for candidate in candidates if candidate in known)
        return list(dict.fromkeys(found))


def _check_folder(folder: Path) -> Path:
    needed = [f"{kind}.{part}" for part in PARTS for kind in ("index", "data")]
    needed += [f"{part}.exc" for part in PARTS]
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        what = "no folder" if not folder.is_dir() else f"no {missing[0]}"
        raise SweettokError(
            f"WordNet's dictionary files are not in {folder} ({what}); install the package wordnet-base "
            "or name their folder with --wordnet DIR."
        )
    return folder


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without the licence text, whose lines begin with two spaces."""
    try:
        with open(path, encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip() and not line.startswith("  "):
                    yield number, line.rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SweettokError(
            f"Cannot read {path} ({error}); use the dictionary files of a WordNet release."
        ) from error


def _malformed(path: Path, number: int) -> SweettokError:
    return SweettokError(
        f"{path}, line {number}, is not in WordNet's format; use the files of a WordNet release unchanged."
    )


def _read_data(path: Path, part: str) -> Iterator[Synset]:
    for number, line in _lines(path):
        head, _, gloss = line.partition("|")
        fields = head.split()
        try:
            yield _parse_synset(fields, part, gloss.strip())
        except (IndexError, ValueError, KeyError) as error:
            raise _malformed(path, number) from error


def _parse_synset(fields: list[str], part: str, gloss: str) -> Synset:
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
    return Synset(part, int(fields[0]), int(fields[1]), words, tuple(pointers), gloss)


def _read_index(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    for number, line in _lines(path):
        fields = line.split()
        try:
            senses = int(fields[2])
            offsets = tuple(int(field) for field in fields[-senses:])
        except (IndexError, ValueError) as error:
            raise _malformed(path, number) from error
        yield fields[0], offsets


def _read_exceptions(path: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for number, line in _lines(path):
        form, *bases = line.split()
        if not bases:
            raise _malformed(path, number)
        found[form] += tuple(bases)
    return found


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
    counts: dict[str, dict[str, int]] = {part: defaultdict(int) for part in PARTS}
    for number, line in _lines(path):
        fields = line.split()
        try:
            word, _, rest = fields[key_column].partition("%")
            counts[_PART_OF_SENSE_TYPE[rest[0]]][word] += int(fields[count_column])
        except (IndexError, ValueError, KeyError) as error:
            raise _malformed(path, number) from error
    return counts
