"""How far long work is: a bar on a terminal, and now and then a line where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sweettok_cli.runtime import OnProgress

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS_BETWEEN_LINES = 60


class Overall:
    """Progress of many jobs as one, or of a single one; parts of a job count.

    Args:
        say: takes a line, where no bar can be drawn.
        drawn: whether a bar can.
        unit: what jobs count.
        shown: makes a text one that may be drawn.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        drawn: bool,
        unit: str = "frames",
        shown: Callable[[str], str] = str,
    ) -> None:
        self._say, self._drawn, self._unit, self._shown = say, drawn, unit, shown
        self._start = self._told = time.monotonic()
        self._before = 0.0  # units of the jobs that are over
        self._bar: Progress | None = None
        self._begun = False
        self.jobs, self.place = 0, 0
        self.again: Sequence[str] = ("--skip-existing",)

    @contextmanager
    def watch(self, place: int, jobs: int, name: str) -> Iterator[OnProgress]:
        """Opened around each job; a :data:`~sweettok_cli.runtime.Watcher`."""
        self.jobs, self.place = jobs, place
        if not self._begun:
            self._start, self._begun = time.monotonic(), True  # loading a model happens once
        current = 0.0

        def update(done: float, total: int | None) -> None:
            nonlocal current
            current = done
            share = (place + (min(1.0, done / total) if total else 0.0)) / jobs
            text = self.text(name, done, total, share)
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], completed=share, text=self._shown(text))
            elif time.monotonic() - self._told >= SECONDS_BETWEEN_LINES:
                self._told = time.monotonic()
                self._say(text)

        if self._drawn:
            self._bar = self._bar or new_bar()
            update(0, None)
            # Stopped between jobs, so that what is said then is not written into it.
            with self._bar:
                yield update
        else:
            yield update
        self._before += current
        self.place = place + 1  # and not where a job was given up

    def text(self, name: str, done: float, total: int | None, share: float) -> str:
        """Files, units, units a second, time left; ``share`` of all the work is done."""
        files = f"{self.place + 1}/{self.jobs} " if self.jobs > 1 else ""
        of = "" if total is None else f"/{total}"
        parts = [f"{files}{name}: {f'{done:.1f}'.removesuffix('.0')}{of} {self._unit}"]
        elapsed = time.monotonic() - self._start
        if elapsed > 0 and self._before + done > 0 and self._unit != "s":  # of a clock
            parts.append(f"{(self._before + done) / elapsed:.1f} {self._unit}/s")
        if share > 0:
            minutes, seconds = divmod(round(elapsed * (1 - share) / share), 60)
            parts.append(f"{minutes // 60}:{minutes % 60:02}:{seconds:02} left")
        return ", ".join(parts)


def new_bar() -> Progress:
    """A bar from 0 to 1 on stderr, with a ``text`` behind it, that leaves nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = BarColumn(bar_width=20), TextColumn("{task.fields[text]}", markup=False)
    # Rich would send what is printed on stdout to stderr, too.
    bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
    bar.add_task("", total=1.0, text="")
    return bar
