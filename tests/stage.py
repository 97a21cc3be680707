"""A clock, a terminal and Ctrl-C, as tests need them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any


class Clock:
    """Seconds that pass when the test says so; in place of the module ``time``."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A terminal that keeps what is drawn on it."""

    def isatty(self) -> bool:
        return True


def interrupted(function: Callable[..., Any], on: int) -> Callable[..., Any]:
    """A function or method that Ctrl-C hits in its call number ``on``."""
    calls = 0

    def call(*given: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == on:
            raise KeyboardInterrupt
        return function(*given, **options)

    return call
