"""How often a method is right, with an interval beside chance, and what it takes for what."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweettok_cli.metrics.bootstrap import Interval, mean_interval

INTERVAL = (
    "accuracy is the mean of the classes' shares of right answers, so that chance is one over their number "
    "whatever is answered; brackets hold 95 % of 2000 bootstrap samples of whole groups of queries"
)


@dataclass(frozen=True)
class Asked:
    """One question of which the answer is known."""

    label: str  # the class of the query
    group: str  # of the query
    answer: str


def accuracy(asked: Sequence[Asked]) -> Interval:
    """The mean over classes of the share of right answers; its interval is over groups of queries.

    Questions about clips of one group are no more independent than the clips, and neither are several about
    one clip. ``clips`` of the interval is the number of groups.
    """
    of_class = Counter(each.label for each in asked)
    right, weight = defaultdict[str, float](float), defaultdict[str, float](float)
    for each in asked:
        weight[each.group] += 1 / of_class[each.label]
        right[each.group] += (each.answer == each.label) / of_class[each.label]
    groups = sorted(weight)
    weights = np.array([weight[group] for group in groups], np.float64)
    return mean_interval(np.array([right[group] for group in groups]) / weights, weights)


def confusion(asked: Sequence[Asked], labels: Sequence[str]) -> list[list[int]]:
    """How often each class (row) was taken for each (column), in the order of ``labels``."""
    found = Counter((each.label, each.answer) for each in asked)
    return [[found[label, answer] for answer in labels] for label in labels]
