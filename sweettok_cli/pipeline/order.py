"""What ends in any order, told in the order in which it was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def in_order(ended: Iterable[tuple[int, T]], most: int) -> Iterator[T]:
    """What comes with places from 0, each once, in the order of those.

    Where more than ``most`` have ended and one before them has not, they no longer wait for it: memory stays
    flat.
    """
    waiting: dict[int, T] = {}
    early: set[int] = set()  # that did not wait
    following = 0
    for place, each in ended:
        waiting[place] = each
        while following in waiting or following in early:
            if following in early:
                early.remove(following)
            else:
                yield waiting.pop(following)
            following += 1
        if len(waiting) > most:
            early.add(first := min(waiting))
            yield waiting.pop(first)
