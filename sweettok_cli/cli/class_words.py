"""The words of classes as ``sweettok words --classes`` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweettok_cli.cli.columns import lined_up
from sweettok_cli.cli.output import count, picked, shown

if TYPE_CHECKING:
    from sweettok_cli.words.classes import ClassWords, MarkedWord, Summary

_HEADINGS = ("", "", "word", "share", "times", "AUC", "p", "near", "most in")
_KEY = (
    ("+ -", "right: p is at most 0.05, the word tells the class; wrong: it does not"),
    ("share", "of its part of speech, the mean over the class's clips (of UCF-101: groups)"),
    ("times", "as large as the mean share in clips of all other classes"),
    ("AUC", "probability that a clip of the class has more of it than one of another class"),
    ("p", "probability of as high an AUC for as many clips drawn from all classes"),
    ("near", "share of words of its part of speech less near to the class's name in meaning"),
)


def class_record(classes: Sequence[ClassWords], summary: Summary) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        "classes": [
            {
                **picked(each, "name", "files", "units", "least_p"),
                "words": {part: [vars(word) for word in found] for part, found in each.words.items()},
            }
            for each in classes
        ],
        "summary": vars(summary),
    }


def class_text(classes: Sequence[ClassWords], summary: Summary) -> str:
    """A block for each class, its words below each other; what the columns mean; what it amounts to."""
    from sweettok_cli.words.classes import RIGHT

    blocks = [[_row(part, word) for part, words in each.words.items() for word in words] for each in classes]
    rows = [row for block in blocks for row in block]
    widths = [max(len(row[column]) for row in (_HEADINGS, *rows)) for column in range(len(_HEADINGS))]
    lines = [_line(_HEADINGS, widths)]
    for each, block in zip(classes, blocks, strict=True):
        units = f" of {count(each.units, 'group')}" if each.units != each.files else ""
        few = f"; too few for a p below {each.least_p:.2f}" if each.least_p > RIGHT else ""
        lines += ["", f"{shown(each.name)}: {count(each.files, 'clip')}{units}{few}"]
        lines += [_line(row, widths) for row in block]
    return "\n".join([*lines, "", lined_up(_KEY), "", _amount(summary)])


def _row(part: str, word: MarkedWord) -> tuple[str, ...]:
    near = "-" if word.near is None else f"{100 * word.near:.0f} %"
    times = f"{word.share / word.elsewhere:.1f}" if word.elsewhere else "only"
    figures = f"{100 * word.share:.2f} %", times, f"{word.auc:.2f}", f"{word.p:.3f}", near
    return part, "+" if word.right else "-", shown(word.word), *figures, shown(word.most_in)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Texts at the left, figures at the right of their columns."""
    laid = [
        f"{cell:>{width}}" if 2 < column < len(cells) - 1 else f"{cell:<{width}}"
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return ("  " + "  ".join(laid)).rstrip()


def _amount(summary: Summary) -> str:
    said = (
        f"{100 * summary.right:.0f} % of {count(summary.words, 'word')} are right, "
        f"{100 * summary.by_chance:.0f} % where clips are dealt to the classes at random."
    )
    kinds = (("right", summary.near_right), ("wrong", summary.near_wrong), ("all", summary.near_others))
    right, wrong, others = (None if value is None else f"{100 * value:.0f} %" for _, value in kinds)
    if others is None:
        return f"{said}\nNo class's name has words of the model: how near the words are to it is not known."
    told = ", ".join(f"{name} words {near}" for name, near in (("right", right), ("wrong", wrong)) if near)
    return f"{said}\nMean of near: {told}; of all words to other classes' names {others}."
