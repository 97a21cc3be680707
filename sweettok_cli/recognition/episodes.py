"""Episodes of few-shot recognition: a query, and for each class k examples outside the query's group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweettok_cli.recognition.classes import LabelledFile


@dataclass(frozen=True)
class Episode:
    """One question, in numbers of files."""

    query: int
    shots: Mapping[str, tuple[int, ...]]  # the examples of each class that may be the answer


def usable_classes(files: Sequence[LabelledFile], shots: int) -> list[str]:
    """Classes with at least ``shots`` files outside any one group, so that no query's group must be used."""
    found = []
    for label in sorted({file.label for file in files}):
        groups = Counter(file.group for file in files if file.label == label)
        if groups.total() - max(groups.values()) >= shots:
            found.append(label)
    return found


def draw_episodes(files: Sequence[LabelledFile], shots: int, repeats: int, seed: int) -> list[Episode]:
    """Every file of the usable classes as the query of ``repeats`` episodes, in the order of the files.

    All usable classes may be the answer. The examples are drawn without replacement from the files of each
    class that are not of the query's group. The same arguments give the same episodes; those of another
    number of shots are drawn anew. None where fewer than two classes are usable.
    """
    labels = usable_classes(files, shots)
    if len(labels) < 2:
        return []
    generator = np.random.default_rng([seed, shots])
    episodes = []
    for query, file in enumerate(files):
        if file.label not in labels:
            continue
        known = {
            label: [n for n, each in enumerate(files) if each.label == label and each.group != file.group]
            for label in labels
        }
        for _ in range(repeats):
            drawn = {
                label: tuple(int(n) for n in generator.choice(there, shots, replace=False))
                for label, there in known.items()
            }
            episodes.append(Episode(query, drawn))
    return episodes
