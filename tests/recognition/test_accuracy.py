from __future__ import annotations

import pytest

from sweettok_cli.recognition.scores import Asked, accuracy, confusion


def asked(*given: str) -> list[Asked]:
    """``"a1b"``: a query of class a and group 1 that was taken for b."""
    return [Asked(each[0], each[1], each[2]) for each in given]


def test_classes_count_the_same() -> None:
    # Nine of a, all right; one of b, wrong: an answer that is always a is right by chance alone.
    found = accuracy(asked(*(f"a{n}a" for n in range(9)), "b9a"))
    assert found.value == pytest.approx(0.5) and found.clips == 10


def test_the_interval_is_over_groups() -> None:
    many = asked(*["a1a"] * 50, *["b2a"] * 50, *["a3a"] * 50, *["b4b"] * 50)
    few = asked("a1a", "b2a", "a3a", "b4b")
    assert accuracy(many) == accuracy(few)  # more episodes about the same clips narrow nothing
    assert accuracy(few).clips == 4
    more = accuracy(
        asked(*(f"a{g}a" for g in "1234567"), *(f"b{g}{'a' if g < 'w' else 'b'}" for g in "qrstuvwxyz"))
    )
    low, high = more.low, more.high
    assert low is not None and high is not None and 0 < low < more.value < high < 1


def test_confusion_counts_answers_by_class() -> None:
    found = confusion(asked("a1a", "a1b", "b2b", "b2b", "c3a"), ["a", "b", "c"])
    assert found == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
