from __future__ import annotations

from pathlib import Path

import pytest

from sweettok_cli.recognition.classes import LabelledFile
from sweettok_cli.recognition.episodes import draw_episodes, usable_classes


def file(label: str, group: str, number: int) -> LabelledFile:
    return LabelledFile(Path(f"{number}.npz"), f"{label}/{number}.npz", label, group)


def files(**classes: str) -> list[LabelledFile]:
    """Of each class a file for every letter, which is its group."""
    return [file(label, group, n) for label, groups in classes.items() for n, group in enumerate(groups)]


GIVEN = files(a="ppqr", b="pst", c="uu", d="vw")


@pytest.mark.parametrize(("shots", "wanted"), [(1, ["a", "b", "d"]), (2, ["a", "b"]), (3, [])])
def test_classes_need_clips_outside_of_any_group(shots: int, wanted: list[str]) -> None:
    assert usable_classes(GIVEN, shots) == wanted


def test_no_group_is_on_both_sides() -> None:
    episodes = draw_episodes(GIVEN, 2, repeats=40, seed=0)
    assert len(episodes) == 7 * 40
    seen = set()
    for episode in episodes:
        assert list(episode.shots) == ["a", "b"]
        for label, each in episode.shots.items():
            assert len(set(each)) == 2 and all(GIVEN[n].label == label for n in each)
            # Nor a clip of the query's group in another class.
            assert all(GIVEN[n].group != GIVEN[episode.query].group for n in each)
            seen |= set(each)
    assert seen == set(range(7))


def test_draws_are_seeded_and_other_shots_change_nothing() -> None:
    assert draw_episodes(GIVEN, 1, 5, seed=3) == draw_episodes(GIVEN, 1, 5, seed=3)
    assert draw_episodes(GIVEN, 1, 5, seed=3) != draw_episodes(GIVEN, 1, 5, seed=4)


def test_one_class_is_no_question() -> None:
    assert draw_episodes(files(a="pqr", b="ss"), 1, 5, seed=0) == []
