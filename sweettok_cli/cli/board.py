"""What a training on a terminal shows: its last figures in a table that is drawn anew, talk above it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from sweettok_cli.cli.output import Output, shown, tell
from sweettok_cli.cli.progress import Overall
from sweettok_cli.runtime import OnProgress

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

_SECONDS_BETWEEN_PICTURES = 0.25
_BLOCK = 28  # columns that a block of the table needs
_GAP = 3  # between two of them
#: Of a record, what has a place of its own in the table, or none.
_PLACED = {
    *("kind", "step", "minutes", "loss", "losses", "codebooks", "psnr", "lr", "grad_norm"),
    *("seconds_per_step", "data_wait", "clips_per_second", "unreadable"),
}

#: What a validation leads with, and in which unit: decibels, or times fewer bits than nominal.
_LEADING = {"psnr": "dB", "picture_psnr": "dB", "ratio": "x"}

Lines = list[tuple[str, str]]


def voice_of(output: Output) -> Output | Board:
    """Who speaks for a training: a board where one can be drawn."""
    from rich.console import Console

    drawn = output.watched() and not Console(stderr=True).is_dumb_terminal
    return Board(output) if drawn else output


class Board:
    """A :class:`~sweettok_cli.training.log.Voice` with a live table.

    While the table is there, one thread alone writes to the terminal: a signal's handler, which interrupts
    whatever this process does, leaves what it says to it.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._lines: deque[str] = deque()  # to be written above the table
        self._drawn = False
        self._last: Mapping[str, Any] = {}
        self._validated: tuple[float, int, str] | None = None  # the leading figure, at a step, in its unit
        self._best: tuple[float, int, str] | None = None
        self._progress = "training"

    def say(self, text: str) -> None:
        """As :meth:`Output.say`."""
        self._put(text)

    def warn(self, text: str) -> None:
        """As :meth:`Output.warn`."""
        self._put(f"warning: {text}")

    def progress(self, label: str, unit: str) -> AbstractContextManager[OnProgress]:
        """As :meth:`Output.progress`."""
        return self._output.progress(label, unit)

    def record(self, record: Mapping[str, Any], sentence: str, new: bool) -> None:
        """Into the table, or above it: what is seldom is said, too."""
        if record["kind"] == "train":
            self._last = record
        elif record["kind"] == "validate":
            name = next(name for name in _LEADING if name in record)
            found = record[name], record["step"], _LEADING[name]
            self._validated, self._best = found, max(self._best or found, found, key=lambda each: each[0])
        if new and record["kind"] == "warning":
            self.warn(record["event"])
        elif new and not (record["kind"] == "train" and self._drawn):
            self.say(sentence)

    @contextmanager
    def watch(self, unit: str) -> Iterator[OnProgress]:
        """The table is there while this is open; what it showed last stays."""
        from rich.console import Console
        from rich.live import Live

        overall = Overall(lambda _: None, drawn=False, unit=unit)
        # Rich would send what is printed on stdout to stderr, too.
        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        live = Live(console=console, auto_refresh=False, redirect_stdout=False)
        over = Event()
        drawing = Thread(target=self._keep_drawing, args=(live, over), name="board", daemon=True)

        def update(done: float, total: int | None) -> None:
            self._progress = overall.text("training", done, total, min(1.0, done / total) if total else 0.0)

        with overall.watch(0, 1, "training"):
            live.start()
            self._drawn = True
            drawing.start()
            try:
                yield update
            finally:
                over.set()
                drawing.join()
                self._drawn = False
                self._draw(live)
                live.stop()

    def _put(self, line: str) -> None:
        if self._drawn:
            self._lines.append(line)
        else:
            tell(line)

    def _keep_drawing(self, live: Live, over: Event) -> None:
        while not over.wait(_SECONDS_BETWEEN_PICTURES):
            self._draw(live)

    def _draw(self, live: Live) -> None:
        while self._lines:
            live.console.print(shown(self._lines.popleft()), soft_wrap=True)
        live.update(self._table(live.console.width), refresh=True)

    def _table(self, width: int) -> Text:
        """How far the training is, and the blocks below that, beside one another as there is room."""
        from rich.text import Text

        blocks = [block for block in self._blocks() if block]
        beside = max(1, min((width + _GAP) // (_BLOCK + _GAP), len(blocks)))
        piles: list[Lines] = [[] for _ in range(beside)]
        for block in blocks:
            min(piles, key=len).extend(block)
        room = (width + _GAP) // beside - _GAP
        widths = [min(room, max((len(a) + len(b) + 1 for a, b in pile), default=0)) for pile in piles]
        table = Text(self._progress[:width], no_wrap=True)
        for row in range(max(map(len, piles))):
            table.append("\n")
            for pile, columns in zip(piles, widths, strict=True):
                name, value = pile[row] if row < len(pile) else ("", "")
                left = columns - len(value) - 1
                table.append((name if len(name) <= left else f"{name[: left - 1]}…").ljust(left), "dim")
                table.append(f" {value}{' ' * _GAP}")
        return table

    def _blocks(self) -> Iterator[Lines]:
        """Losses; what they lead to, and at which step that was found; how fast; the codebooks."""
        last = self._last
        if last:
            terms = [(f"  {name}", _number(value)) for name, value in last["losses"].items()]
            yield [("step", f"{last['step']:,}"), ("loss", _number(last["loss"])), *terms]
        quality: Lines = [("psnr", f"{last['psnr']:.2f} dB")] if "psnr" in last else []
        for name, found in (("validation", self._validated), ("best", self._best)):
            if found is not None:
                quality.append((f"{name} ({found[1]:,})", f"{found[0]:.2f} {found[2]}"))
        for name, value in last.items():
            if name not in _PLACED and isinstance(value, int | float):
                quality.append((name, _number(value)))
        yield quality
        if not last:
            return
        waiting = last["data_wait"] / last["seconds_per_step"] if last["seconds_per_step"] else 0.0
        pace = [
            ("clips a second", f"{last['clips_per_second']:.2f}"),
            ("waiting for data", f"{waiting:.0%}"),
            ("learning rate", f"{last['lr']:.2e}"),
            ("gradient", _number(last["grad_norm"])),
        ]
        if last["unreadable"]:
            pace.append(("unreadable clips", f"{last['unreadable']:,}"))
        yield pace
        if books := last.get("codebooks"):
            yield [("codebooks used", ""), *((f"  {name}", f"{b['use']:.0%}") for name, b in books.items())]


def _number(value: float) -> str:
    """Four places that count, or three, in eight columns."""
    return f"{value:#.4g}" if 1e-3 <= abs(value) < 1e4 or not value else f"{value:.2e}"
