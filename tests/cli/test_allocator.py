from __future__ import annotations

import ctypes

import pytest

from sweettok_cli.runtime import trimming


def test_progress_is_passed_on_and_every_third_call_trims(monkeypatch: pytest.MonkeyPatch) -> None:
    trims: list[int] = []

    class Libc:
        malloc_trim = staticmethod(trims.append)

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Libc)
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.39"))
    seen: list[tuple[int, int | None]] = []
    report = trimming(lambda done, total: seen.append((done, total)), every=3)
    for done in range(7):
        report(done, None)
    assert seen == [(done, None) for done in range(7)]
    assert trims == [0, 0]


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))

    def update(done: int, total: int | None) -> None:
        raise AssertionError

    assert trimming(update) is update
