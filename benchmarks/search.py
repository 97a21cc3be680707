"""What words find: clips of the same video, and of the same class, beside what pixels and colours find.

    python benchmarks/search.py clips.csv clips-000.tar clips-001.tar ... --ucf UCF-101
    python benchmarks/search.py clips.csv clips.tar --ucf UCF-101 --model MODEL

source   clips cut from one video at different times, those of ``clips.csv`` with the same ``repo`` and
         ``source_path``: of videos with at least two, drawn at random, until there are ``--clips``
class    UCF-101: clips of the same class but another group, among the clips of other groups; classes with one
         group are among what is searched, and do not ask

Of each clip the middle 256x256 of the first 17 frames is taken, by all. Words: tf-idf of the words of the
tokens, in the fixed layout, by part of speech, as ``sweettok search`` compares them (adjectives, nouns).
Pixels: the mean over the frames at 8x8, without the mean of all clips, by cosine. Colours: a histogram of
8x8x8 colours of all frames, by the cosine of its roots. Chance: the mean of 50 random orders.

recall@1, @5   share of clips that ask, of which the first, one of the first five is one that is sought
map            mean average precision, with a 95 % interval (bootstrap over videos, or classes); and of words
               less colours and less pixels, on the same clips

Also says of the UCF-101 clips which share of the words that a class names most tell it from the others, as
``sweettok words --classes`` does. Prints the tables of ``docs/words.md`` and writes
``benchmarks/results/search.json``.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import RESULTS, describe

from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.entry import Entry
from sweettok_cli.data.groups import ucf101
from sweettok_cli.errors import SweettokError
from sweettok_cli.metrics.bootstrap import mean_interval
from sweettok_cli.models.common.budget import Budget
from sweettok_cli.tokens.arrays import PARTS_OF_SPEECH
from sweettok_cli.training.samples import centre_clip
from sweettok_cli.words.classes import ClassTable, mark_words
from sweettok_cli.words.counts import WordCounts, read_word_lists
from sweettok_cli.words.nearness import read_nearness
from sweettok_cli.words.reader import FileWords
from sweettok_cli.words.search import SEEN, WordIndex, count_words
from sweettok_cli.zoo.load import load

RULE = "|---"
SIDE, FRAMES, THUMBNAIL, COLOURS, ORDERS = 256, 17, 8, 8, 50
MOVING = PARTS_OF_SPEECH["temporal"]
#: What is compared with what pixels and colours find; the first is what the command compares.
WORDS = {"words": SEEN, **{part: (part,) for part in SEEN + MOVING}, "all words": SEEN + MOVING}

Found = tuple[Entry, str, str]  # a clip, what it is sought by, and its group


@dataclass(frozen=True)
class Clip:
    """A clip with what is known of it, and what of it is compared."""

    name: str
    sought: str  # clips with the same are sought
    group: str  # but not those with the same of this
    words: dict[str, np.ndarray]
    pixels: np.ndarray
    colours: np.ndarray
    read: FileWords


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list", type=Path, help="table of clips: file, repo, source_path")
    parser.add_argument("data", type=Path, nargs="+", help="folders or shards that hold them")
    parser.add_argument("--ucf", type=Path, required=True, help="folder of UCF-101's class folders")
    parser.add_argument("--clips", type=int, default=150)
    parser.add_argument("--model", default="sweettok-small")
    parser.add_argument("--output", type=Path, default=RESULTS / "search.json")
    options = parser.parse_args()
    try:
        sources = from_sources(options.list, find_entries(options.data), options.clips)
        ucf = from_classes(find_entries([options.ucf]))
        reader = Reader(options.model)
        clips = {
            "source": [reader.read(*each) for each in sources],
            "class": [reader.read(*each) for each in ucf],
        }
    except SweettokError as error:
        print(error, file=sys.stderr)
        return 1
    result: dict[str, Any] = {kind: compare(found) for kind, found in clips.items()}
    result["class_words"] = class_words(clips["class"], options.model)
    print("\n".join(lines(result)))
    facts = {"model": reader.tokenizer.spec.name, "weights_sha256": reader.tokenizer.spec.weights_sha256}
    facts |= {"side": SIDE, "frames": FRAMES, "list": options.list.name, "ucf": options.ucf.name}
    options.output.write_text(json.dumps({**facts, **result, "machine": describe()}, indent=1) + "\n")
    return 0


def from_sources(table: Path, entries: Sequence[Entry], count: int) -> list[Found]:
    """Clips of videos of which there are several, each with its video, and itself as its group."""
    try:
        with table.open(newline="", encoding="utf-8") as stream:
            rows = [(row["file"], f"{row['repo']}/{row['source_path']}") for row in csv.DictReader(stream)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise SweettokError(f"{table} is no table of clips ({error}); name clips.csv.") from error
    by_name, videos = {entry.name: entry for entry in entries}, defaultdict(list)
    for name, video in rows:
        if name in by_name:
            videos[video].append(by_name[name])
    several = [(video, clips) for video, clips in videos.items() if len(clips) > 1]
    chosen: list[Found] = []
    for at in np.random.default_rng(0).permutation(len(several)):
        if len(chosen) < count:
            video, clips = several[at]
            chosen += [(clip, video, clip.name) for clip in clips]
    return several_groups(chosen, f"{table} has no two videos of several clips")


def from_classes(entries: Sequence[Entry]) -> list[Found]:
    """Clips of UCF-101, each with its class and its group."""
    found = []
    for entry in entries:
        if (known := ucf101(entry.name)) is not None:
            found.append((entry, *known))
    return several_groups(found, "There are no two classes of UCF-101 with clips of several groups")


def several_groups(found: list[Found], lacking: str) -> list[Found]:
    """What was found, of which at least two are sought by others."""
    groups = defaultdict(set)
    for _, sought, group in found:
        groups[sought].add(group)
    if sum(len(each) > 1 for each in groups.values()) < 2:
        raise SweettokError(f"{lacking}; name what holds them.")
    return found


class Reader:
    """Reads clips and names their words."""

    def __init__(self, model: str) -> None:
        self.model, self.tokenizer = model, load(model, "cpu", "float32")
        self._lists = read_word_lists(model, self.tokenizer.spec.weights_sha256)

    def read(self, entry: Entry, sought: str, group: str) -> Clip:
        """One clip; pixels are the mean of its frames at 8x8, colours a histogram, floats."""
        clip = centre_clip(entry, FRAMES, SIDE)
        tokens = self.tokenizer.encode(clip, budget=Budget(fixed=True))
        counts = WordCounts(tokens.meta.codebooks, self._lists)
        counts.add(tokens.arrays)
        read = FileWords(Path(entry.name), tokens, self.model, Path(entry.name), counts)
        steps = (clip // (256 // COLOURS)).reshape(-1, 3).astype(int) @ (COLOURS**2, COLOURS, 1)
        return Clip(
            name=entry.name,
            sought=sought,
            group=group,
            words=count_words(tokens),
            pixels=thumbnail(clip),
            colours=np.bincount(steps, minlength=COLOURS**3) / len(steps),
            read=read,
        )


def thumbnail(clip: np.ndarray) -> np.ndarray:
    """Of uint8 [t, h, w, 3] the mean over frames and over 8x8 parts of the picture, float [8 * 8 * 3]."""
    mean = clip.mean(axis=0)
    rows = np.stack([part.mean(axis=0) for part in np.array_split(mean, THUMBNAIL, axis=0)])
    return np.stack([part.mean(axis=1) for part in np.array_split(rows, THUMBNAIL, axis=1)], axis=1).ravel()


def compare(clips: Sequence[Clip]) -> dict[str, Any]:
    """How well each way finds what is sought."""
    ways = {name: by_words(clips, parts) for name, parts in WORDS.items()}
    pixels, colours = (np.array([getattr(clip, kind) for clip in clips]) for kind in ("pixels", "colours"))
    ways["pixels"] = by_cosine(pixels - pixels.mean(axis=0))
    ways["colours"] = by_cosine(np.sqrt(colours))
    figures = {name: [answers(clips, each)] for name, each in ways.items()}
    random = np.random.default_rng(0)
    figures["chance"] = [answers(clips, random.random((len(clips),) * 2)) for _ in range(ORDERS)]
    asking = [at for at, each in enumerate(figures["words"][0]) if each is not None]
    of = [clips[at].sought for at in asking]
    rows, precision = {}, {}
    for name, runs in figures.items():
        values = np.mean([[run[at] for at in asking] for run in runs], axis=0)  # [asking, figures]
        precision[name] = values[:, 2]
        first, five = values[:, :2].mean(axis=0).round(4)
        rows[name] = {"recall@1": first, "recall@5": five, "map": interval(values[:, 2], of)}
    less = {name: interval(precision["words"] - precision[name], of) for name in ("pixels", "colours")}
    return {"clips": len(clips), "asking": len(asking), "of": len(set(of)), "rows": rows, "words_less": less}


def by_words(clips: Sequence[Clip], parts: Sequence[str]) -> np.ndarray:
    index = WordIndex({Path(clip.name): clip.words for clip in clips}, parts)
    return np.array([index.similarities(clip.words) for clip in clips])


def by_cosine(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def answers(clips: Sequence[Clip], similar: np.ndarray) -> list[tuple[float, float, float] | None]:
    """Of each clip whether the first is sought, whether one of five is, and the average precision."""
    found: list[tuple[float, float, float] | None] = []
    for at, clip in enumerate(clips):
        others = [n for n, other in enumerate(clips) if other.group != clip.group]
        order = sorted(others, key=lambda n: -similar[at, n])
        right = np.array([clips[n].sought == clip.sought for n in order])
        if not right.any():
            found.append(None)
            continue
        precision = np.cumsum(right) / np.arange(1, len(right) + 1)
        found.append((float(right[0]), float(right[:5].any()), float(precision[right].mean())))
    return found


def interval(values: np.ndarray, of: Sequence[str]) -> dict[str, float]:
    """The mean of the clips' values, and where it would lie, had other videos or classes been taken."""
    groups = [values[[name == each for name in of]] for each in dict.fromkeys(of)]
    mean = mean_interval([each.mean() for each in groups], [len(each) for each in groups])
    return {key: round(getattr(mean, key), 4) for key in ("value", "low", "high")}


def class_words(clips: Sequence[Clip], model: str) -> dict[str, Any]:
    """What the words of the classes amount to, three of each part of speech."""
    table = ClassTable((clip.sought, clip.read) for clip in clips)
    classes, summary = mark_words(table, 3, read_nearness(model))
    return {"classes": len(classes), "units": sum(each.units for each in classes), **asdict(summary)}


def lines(result: dict[str, Any]) -> list[str]:
    """The tables of ``docs/words.md``."""
    kinds = [result[kind] for kind in ("source", "class")]
    asked = (f"{of['asking']} of {of['clips']} clips, {of['of']}" for of in kinds)
    titles = (f"{title} ({each})" for title, each in zip(("videos", "classes"), asked, strict=True))
    found = [
        f"| by | {' | '.join(f'{title}: recall@1 | recall@5 | mAP' for title in titles)} |",
        RULE * 7 + "|",
    ]
    shown: Callable[[dict[str, float]], str] = "{value:.3f} [{low:.3f}, {high:.3f}]".format_map
    for name in kinds[0]["rows"]:
        rows = [of["rows"][name] for of in kinds]
        cells = [f"{row['recall@1']:.2f} | {row['recall@5']:.2f} | {shown(row['map'])}" for row in rows]
        found.append(f"| {name} | {' | '.join(cells)} |")
    for name in kinds[0]["words_less"]:
        cells = [f"| | {shown(of['words_less'][name])}" for of in kinds]
        found.append(f"| words less {name} | {' | '.join(cells)} |")
    words = result["class_words"]
    names = ("words", "right", "by chance", "near: right", "wrong", "to other names")
    keys = ("right", "by_chance", "near_right", "near_wrong", "near_others")
    shares = ("-" if words[key] is None else f"{100 * words[key]:.0f} %" for key in keys)
    table = [f"| {' | '.join(names)} |", RULE * 6 + "|", f"| {words['words']} | {' | '.join(shares)} |"]
    return [*found, "", *table]


if __name__ == "__main__":
    sys.exit(main())
