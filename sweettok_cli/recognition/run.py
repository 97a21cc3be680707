"""Episodes over a folder of classes, answered by every method."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from sweettok_cli.data.datasets import Item
from sweettok_cli.errors import SweettokError
from sweettok_cli.recognition import nearest
from sweettok_cli.recognition.answer import Answer
from sweettok_cli.recognition.classes import LabelledFile, find_classes
from sweettok_cli.recognition.counted import WordCounter
from sweettok_cli.recognition.episodes import Episode, draw_episodes, usable_classes
from sweettok_cli.recognition.language_model import LanguageModel
from sweettok_cli.recognition.pixels import mean_picture
from sweettok_cli.recognition.prompt import TOP, Choice, Counts, make_prompt
from sweettok_cli.recognition.record import AnsweredEpisode, MethodScore, Setting
from sweettok_cli.recognition.scores import Asked, accuracy, confusion
from sweettok_cli.runtime import Watcher
from sweettok_cli.video.source import MEDIA

TOKENS, VECTORS, PIXELS = "tokens", "word vectors", "pixels"


@dataclass(frozen=True)
class Plan:
    """What is asked, about which files."""

    files: Sequence[LabelledFile]  # of classes that are usable with the least number of shots
    shots: Sequence[int]  # numbers of examples a class, each a setting of its own
    repeats: int  # episodes about each file
    seed: int  # of the draws
    frames: int = 17  # of a video, in its middle
    choice: Choice = "telling"  # of words for prompts
    top: int = TOP  # words of each part of speech
    keep_going: bool = False
    strict: bool = False


@dataclass
class Measured:
    """What a run has found."""

    files: list[LabelledFile] = field(default_factory=list)  # those that could be read
    settings: list[Setting] = field(default_factory=list)
    episodes: list[AnsweredEpisode] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)  # each method, by name
    not_measured: dict[str, str] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)  # name and reason


def make_plan(
    folder: Path, shots: Sequence[int], groups: Mapping[str, str] | None, **choices: object
) -> Plan:
    """Find the files that can take part.

    Raises:
        SweettokError: as :func:`~sweettok_cli.recognition.classes.find_classes`; or no two classes have
            enough files outside one group.
    """
    files = [file for each in find_classes(folder, groups).values() for file in each]
    labels = usable_classes(files, min(shots))
    if len(labels) < 2:
        raise SweettokError(
            f"{folder} has no two classes with {min(shots)} clips outside the group of any query; give more "
            "clips of other groups, or say with --groups which belong together."
        )
    return Plan([file for file in files if file.label in labels], shots, **choices)  # type: ignore[arg-type]


def run(
    plan: Plan,
    counter: WordCounter,
    llm: LanguageModel | None,
    watch: Watcher,
    explain: Callable[[Exception], str],
) -> Measured:
    """Read every file, then ask every method about every episode; files that fail are noted and left out.

    Args:
        plan: what to do.
        counter: of words; encodes videos.
        llm: a method more, where it is given.
        watch: entered for each file, and for each setting of the language model.
        explain: one sentence for any error in one file, or raises it again to end everything.
    """
    found = Measured()
    counts: list[Counts] = []
    pictures: list[np.ndarray] = []
    for place, file in enumerate(plan.files):
        with watch(place, len(plan.files), file.name) as on_progress:
            try:
                named = counter.count(file.path)
                if file.path.suffix.lower() in MEDIA:
                    item = Item(file.name, file.path, keep_going=plan.keep_going, strict=plan.strict)
                    pictures.append(mean_picture(item, plan.frames))
            except Exception as error:
                found.failed.append((file.name, explain(error)))
                continue
            on_progress(1, 1)
        found.files.append(file)
        counts.append(named)
    if not counts:
        raise SweettokError(
            f"None of the {len(plan.files)} clips could be read; the first: {found.failed[0][1]}"
        )
    counts = [counter.alike(each) for each in counts]
    answers = _methods(plan, counter, counts, pictures, llm, found)
    for shots in plan.shots:
        episodes = draw_episodes(found.files, shots, plan.repeats, plan.seed)
        if not episodes:
            enough = len(usable_classes(found.files, shots))
            found.not_measured[f"{shots} shots"] = (
                f"{enough} of the classes have {shots} clips outside the group of any query, and two are "
                "needed"
            )
            continue
        _measure(found, shots, episodes, answers, watch)
    return found


def _methods(
    plan: Plan,
    counter: WordCounter,
    counts: Sequence[Counts],
    pictures: Sequence[np.ndarray],
    llm: LanguageModel | None,
    found: Measured,
) -> dict[str, Callable[[Episode], Answer]]:
    """What answers an episode, by name: the language model first, then what needs none."""
    methods: dict[str, Callable[[Episode], Answer]] = {}
    if llm is not None:
        methods[llm.name] = lambda episode: llm.answer(
            _prompt(episode, counts, counter, plan), [*episode.shots]
        )
        found.about[llm.name] = "language model that reads the words of the examples and of the query"
    vectors = counter.vectors()
    known = {
        TOKENS: (np.stack([nearest.token_histogram(each) for each in counts]), nearest.ABOUT_TOKENS),
        VECTORS: (np.stack([nearest.word_vector(each, vectors) for each in counts]), nearest.ABOUT_VECTORS),
    }
    if len(pictures) == len(counts):
        known[PIXELS] = np.stack(pictures), nearest.ABOUT_PIXELS
    else:
        found.not_measured[PIXELS] = "token files hold no pixels; give the folder of videos"
    for name, (rows, about) in known.items():
        methods[name] = partial(_nearest, rows)
        found.about[name] = about
    return methods


def _nearest(rows: np.ndarray, episode: Episode) -> Answer:
    shots = {label: rows[list(each)] for label, each in episode.shots.items()}
    return nearest.nearest_class(rows[episode.query], shots)


def _prompt(episode: Episode, counts: Sequence[Counts], counter: WordCounter, plan: Plan) -> str:
    """What a language model is asked in an episode."""
    shots = {label: [counts[n] for n in each] for label, each in episode.shots.items()}
    return make_prompt(counts[episode.query], shots, counter.words, plan.choice, plan.top)


def _measure(
    found: Measured,
    shots: int,
    episodes: Sequence[Episode],
    methods: Mapping[str, Callable[[Episode], Answer]],
    watch: Watcher,
) -> None:
    labels = list(episodes[0].shots)
    queries = {episode.query for episode in episodes}
    answers: dict[str, list[str]] = {}
    scores = []
    for place, (name, answer) in enumerate(methods.items()):
        begin = time.perf_counter()
        with watch(place, len(methods), f"{shots} shots: {name}") as on_progress:
            answers[name] = []
            for number, episode in enumerate(episodes, 1):
                answers[name].append(answer(episode).label)
                on_progress(number, len(episodes))
        asked = [
            Asked(found.files[episode.query].label, found.files[episode.query].group, given)
            for episode, given in zip(episodes, answers[name], strict=True)
        ]
        seconds = time.perf_counter() - begin
        scores.append(MethodScore(name, accuracy(asked), confusion(asked, labels), seconds))
    groups = {found.files[query].group for query in queries}
    found.settings.append(
        Setting(shots, labels, len(queries), len(groups), len(episodes), 1 / len(labels), scores)
    )
    found.episodes += [
        AnsweredEpisode(
            shots, episode.query, episode.shots, {name: each[n] for name, each in answers.items()}
        )
        for n, episode in enumerate(episodes)
    ]


def first_prompt(plan: Plan, counter: WordCounter) -> str:
    """The prompt of the first episode that :func:`run` would ask about; only its files are read.

    Raises:
        SweettokError: one of them cannot be read.
    """
    episode = draw_episodes(plan.files, min(plan.shots), plan.repeats, plan.seed)[0]
    shots = {
        label: [counter.count(plan.files[n].path) for n in each] for label, each in episode.shots.items()
    }
    query = counter.alike(counter.count(plan.files[episode.query].path))
    shots = {label: [counter.alike(each) for each in some] for label, some in shots.items()}
    return make_prompt(query, shots, counter.words, plan.choice, plan.top)
