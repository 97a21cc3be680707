"""Batches that clips of several videos fill together, for one model."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sweettok_cli.models.common.streams import CPU, Encode, WaitingClips

#: Frames, and padded height and width, of clips that may go through a model together.
Shape = tuple[int, ...]

# Seconds that clips wait for others where nothing tells whether any will come.
_PATIENCE = 0.2
# Batches that a GPU is given before the first of them is awaited.
_IN_FLIGHT = 2


class Batcher:
    """Gathers clips that threads want encoded, a video each, and sends batches of one shape through a model.

    A batch goes when it is full, when every thread that is expected waits, or when none has come for a
    moment: what clips become does not depend on that, but how long it takes.

    Args:
        encode: the model; called by one thread alone.
        most: how many clips of a shape it takes at once.
    """

    def __init__(self, encode: Encode, most: Callable[[Shape], int]) -> None:
        self._encode, self._most = encode, most
        self._change = threading.Condition()
        self._waiting: list[_Asked] = []
        self._expected = 0
        self._end: BaseException | None = None  # why nobody encodes any more
        self._flying: deque[Arrival] = deque()
        self._thread = threading.Thread(target=self._serve, name="batcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Encode nothing more; whoever still waits is stopped."""
        self._end_with(Stopped())
        self._thread.join()

    def expect(self, more: int) -> None:
        """So many threads more, or fewer, may come with clips."""
        with self._change:
            self._expected += more
            self._change.notify_all()

    def encode(self, clips: WaitingClips) -> dict[str, Tensor]:
        """The tokens of some clips of one video, as the model gives them, in this machine's memory.

        Raises:
            Stopped: it has ended.
            Exception: what the model raises.
        """
        asked = _Asked(clips)
        with self._change:
            if self._end is not None:
                raise self._end
            self._waiting.append(asked)
            self._change.notify_all()
        return dict(asked.answer.result().wait())

    def _serve(self) -> None:
        try:
            while (batch := self._next()) is not None:
                while len(self._flying) >= _IN_FLIGHT:
                    self._flying.popleft().wait()
                self._send(batch)
        except BaseException as error:
            self._end_with(error)

    def _end_with(self, why: BaseException) -> None:
        with self._change:
            self._end = self._end or why
            left, self._waiting = self._waiting, []
            self._change.notify_all()
        for asked in left:
            asked.answer.set_exception(why)

    def _next(self) -> list[_Asked] | None:
        """What goes next; None at the end."""
        with self._change:
            patient = True
            while self._end is None:
                groups: dict[Shape, list[_Asked]] = {}
                for asked in self._waiting:
                    groups.setdefault(asked.clips.shape[1:], []).append(asked)
                full = [group for shape, group in groups.items() if _clips(group) >= self._most(shape)]
                if not full and groups and (len(self._waiting) >= self._expected or not patient):
                    full = [max(groups.values(), key=_clips)]
                if full:
                    chosen = _first(full[0], self._most(full[0][0].clips.shape[1:]))
                    self._waiting = [asked for asked in self._waiting if asked not in chosen]
                    return chosen
                patient = self._change.wait(_PATIENCE if groups else None)
            return None

    def _send(self, batch: Sequence[_Asked]) -> None:
        """Encode what was asked for; where that cannot be together, one after the other."""
        try:
            tokens = self._encode(WaitingClips.joined([asked.clips for asked in batch]))
        except Exception as error:
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
                return
            for asked in batch:
                self._send([asked])
            return
        arrival = Arrival.of(tokens)
        self._flying.append(arrival)
        start = 0
        for asked in batch:
            end = start + len(asked.clips.clips)
            asked.answer.set_result(arrival.part(start, end))
            start = end


class Stopped(BaseException):
    """Nobody encodes any more; no fault of a source, which is why it is no ``Exception``."""


@dataclass(eq=False)
class _Asked:
    clips: WaitingClips
    answer: Future[Arrival] = field(default_factory=Future)


def _clips(group: Sequence[_Asked]) -> int:
    return sum(len(asked.clips.clips) for asked in group)


def _first(group: Sequence[_Asked], most: int) -> list[_Asked]:
    """The first of them and those that fit beside it."""
    chosen = [group[0]]
    for asked in group[1:]:
        if _clips(chosen) + len(asked.clips.clips) <= most:
            chosen.append(asked)
    return chosen


@dataclass(frozen=True)
class Arrival:
    """Tokens on their way to this machine's memory."""

    held: Mapping[str, Tensor]
    copied: torch.cuda.Event | None = None

    @classmethod
    def of(cls, tokens: Mapping[str, Tensor]) -> Arrival:
        """Begin to copy what a model on a GPU has been asked for, without waiting for it."""
        held = {name: each.to(CPU, non_blocking=True) for name, each in tokens.items()}
        device = next(iter(tokens.values())).device
        if device.type != "cuda":
            return cls(held)
        copied = torch.cuda.Event()
        copied.record(torch.cuda.current_stream(device))
        return cls(held, copied)

    def part(self, start: int, end: int) -> Arrival:
        """Those of some clips."""
        return Arrival({name: each[start:end] for name, each in self.held.items()}, self.copied)

    def wait(self) -> Mapping[str, Tensor]:
        """The tokens, when they are there."""
        if self.copied is not None:
            self.copied.synchronize()
        return self.held
