"""The page that ``sweettok eval recognition --report`` writes: accuracies, and what is taken for what."""

from __future__ import annotations

from pathlib import Path

from sweettok_cli.evaluation.report.page import TEMPLATES, write_page
from sweettok_cli.evaluation.report.text import FigureText
from sweettok_cli.metrics.bootstrap import Interval
from sweettok_cli.recognition.record import Record


def write_recognition(record: Record, path: Path, force: bool = False) -> None:
    """Write the page of a run.

    Raises:
        SweettokError: the file exists without ``force``, or cannot be written.
    """
    page = TEMPLATES.get_template("recognition.html").render(record=record, percent=_percent)
    write_page(page, path, force)


def _percent(accuracy: Interval) -> FigureText:
    """A share in percent, with the ends of its interval where there are any."""
    low, high = (None if end is None else 100 * end for end in (accuracy.low, accuracy.high))
    return FigureText(100 * accuracy.value, 1, "%", low, high)
