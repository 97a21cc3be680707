"""Words of classes: marks over clips and groups, nearness to the class's name, and folders of classes."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from test_word_map import CODEBOOKS, LISTS, make_tokens

from sweettok_cli.codebook.prior import WordGraph, WordPrior
from sweettok_cli.errors import SweettokError
from sweettok_cli.words.classes import ClassTable, find_classes, mark_words
from sweettok_cli.words.counts import WordCounts
from sweettok_cli.words.nearness import Nearness, words_of_name
from sweettok_cli.words.reader import FileWords


def named(file: str, nouns: tuple[int, ...]) -> FileWords:
    """A file that names the first nouns so often, and nothing else."""
    counts = WordCounts(CODEBOOKS, LISTS)
    counts.counts["nouns"][: len(nouns)] = nouns
    return FileWords(Path(file), make_tokens(), "made-up", Path("clip.mp4"), counts)


def table(**classes: list[tuple[int, ...]]) -> ClassTable:
    clips = [(name, nouns) for name, each in classes.items() for nouns in each]
    return ClassTable((name, named(f"{name}{n}.npz", nouns)) for n, (name, nouns) in enumerate(clips))


def test_a_word_that_only_one_class_names_is_right_and_one_of_all_is_wrong() -> None:
    other = [(8, 0, 2), (8, 0, 3), (8, 0, 4), (8, 0, 5)]
    classes, summary = mark_words(table(a=[(8, 4, 0), (8, 5, 0), (8, 6, 0)], b=other), 2)
    assert [(each.name, each.files, each.units) for each in classes] == [("a", 3, 3), ("b", 4, 4)]
    assert classes[0].least_p == pytest.approx(1 / 35)
    one, two = classes[0].words["nouns"]
    assert (one.word, one.right, one.most_in) == ("noun0", False, "b")
    assert one.share == pytest.approx((8 / 12 + 8 / 13 + 8 / 14) / 3)
    assert one.elsewhere == pytest.approx((8 / 10 + 8 / 11 + 8 / 12 + 8 / 13) / 4)
    assert (two.word, two.right, two.most_in, two.auc) == ("noun1", True, "a", 1.0)
    assert list(classes[0].words) == ["nouns"]  # nothing else is named
    assert summary.words == 4 and summary.right == 0.5 and summary.by_chance < 0.5
    assert summary.near_right is summary.near_wrong is summary.near_others is None and two.near is None


def test_detail_is_told_whichever_file_comes_last() -> None:
    detailed = []
    for number, label in enumerate("aabb"):
        counts = WordCounts({**CODEBOOKS, "detail": (len(LISTS["nouns"]),)}, LISTS)
        counts.counts["detail"][number // 2] = 3
        file = FileWords(Path(f"{number}.npz"), make_tokens(), "made-up", Path("clip.mp4"), counts)
        detailed.append((label, file))
    plain = [("b", named("plain.npz", (1, 2)))]
    for files in (detailed + plain, plain + detailed):
        marked = {each.name: each.words["detail"] for each in mark_words(ClassTable(files), 2)[0]}
        assert {name: [word.word for word in each] for name, each in marked.items()} == {
            "a": ["noun0"],
            "b": ["noun1"],
        }


def test_auc_counts_pairs_and_p_counts_draws_as_good() -> None:
    clips = {"a": [(1, 9), (3, 7)], "b": [(3, 7), (2, 8), (0, 10), (5, 5)]}
    word = next(w for w in mark_words(table(**clips), 2)[0][0].words["nouns"] if w.word == "noun0")
    shares = [1, 3, 3, 2, 0, 5]

    def auc(inside: tuple[int, ...]) -> float:
        pairs = [
            (shares[one] > shares[other]) + 0.5 * (shares[one] == shares[other])
            for one in inside
            for other in set(range(6)) - set(inside)
        ]
        return sum(pairs) / len(pairs)

    assert word.auc == pytest.approx(auc((0, 1)))
    as_good = [auc(pair) >= auc((0, 1)) for pair in combinations(range(6), 2)]
    assert word.p == pytest.approx(np.mean(as_good))


def test_a_long_clip_weighs_as_much_as_a_short_one_and_a_group_as_much_as_a_clip() -> None:
    long = table(a=[(1000, 0), (0, 1), (0, 1)], b=[(1, 1)])
    (first, second) = mark_words(long, 2)[0][0].words["nouns"]
    assert (first.word, first.share) == ("noun1", pytest.approx(2 / 3))
    assert second.share == pytest.approx(1 / 3)
    names = ["v_A_g01_c01.avi.npz", "v_A_g01_c02.avi.npz", "v_A_g02_c01.npz"]
    given = [("A", named(name, nouns)) for name, nouns in zip(names, [(1, 0), (0, 1), (0, 1)], strict=True)]
    classes, _ = mark_words(ClassTable([*given, ("B", named("v_B_g01_c01.npz", (1, 1)))]), 1)
    assert (classes[0].files, classes[0].units) == (3, 2)
    assert classes[0].words["nouns"][0].share == pytest.approx(0.75)


def test_what_chance_brings_is_that_of_classes_dealt_at_random() -> None:
    random = np.random.default_rng(3)
    clips = [tuple(int(n) for n in random.integers(0, 9, 6)) for _ in range(60)]
    _, summary = mark_words(table(**{f"c{n}": clips[10 * n : 10 * n + 10] for n in range(6)}), 6)
    assert 0.02 < summary.by_chance < 0.09  # all words are taken, and none is chosen for being frequent
    assert summary.right < 0.2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("BasketballDunk", ["basketball", "dunk"]),
        ("pull_ups-2", ["pull", "ups"]),
        ("playing guitar", ["playing", "guitar"]),
        ("TVShow", ["tv", "show"]),
        ("YoYo", ["yo"]),
        ("0001", []),
    ],
)
def test_names_are_taken_apart(name: str, words: list[str]) -> None:
    assert words_of_name(name) == words


def prior() -> WordPrior:
    """Words as directions in a plane, some degrees apart."""

    def graph(modifiers: list[str], heads: list[str], degrees: list[float]) -> WordGraph:
        turns = np.radians(degrees)
        vectors = np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)
        return WordGraph(modifiers, heads, vectors, np.zeros((2, 0), np.int64))

    return WordPrior(
        graph(["wet", "dry"], ["dive", "pool", "desk", "cat"], [20, 90, 0, 10, 120, 200]),
        graph(["up", "down"], ["sit", "kayak"], [0, 30, 60, 90]),
    )


def test_nearness_is_the_share_of_words_that_are_farther() -> None:
    near = Nearness(prior())
    assert near.known("Diving") == {"spatial": ["dive"], "temporal": []}
    found = near.to("Diving")
    assert set(found) == {"adjectives", "nouns"}
    assert found["adjectives"].tolist() == [1, 0]
    assert found["nouns"].tolist() == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert near.to("Kayaking")["verbs"].tolist() == [0, 1]
    assert near.to("0001") == {} and near.known("PoolDesk")["spatial"] == ["pool", "desk"]
    assert near.to("PoolCat")["nouns"].tolist() == pytest.approx([1 / 3, 2 / 3, 0, 2 / 3])


def test_words_near_a_class_are_told_from_words_near_others() -> None:
    from types import SimpleNamespace

    near = SimpleNamespace(
        to=lambda name: {"nouns": np.arange(6) / 5 if name == "a" else 1 - np.arange(6) / 5}
    )
    given = table(a=[(0, 2, 4), (0, 2, 4), (0, 2, 4)], b=[(4, 2, 0), (4, 2, 0), (4, 2, 0)])
    classes, summary = mark_words(given, 2, near)  # type: ignore[arg-type]
    marked = {
        (each.name, word.word): (word.right, word.near) for each in classes for word in each.words["nouns"]
    }
    assert marked == {
        ("a", "noun2"): (True, pytest.approx(0.4)), ("a", "noun1"): (False, pytest.approx(0.2)),
        ("b", "noun0"): (True, pytest.approx(1.0)), ("b", "noun1"): (False, pytest.approx(0.8)),
    }  # fmt: skip
    assert (summary.near_right, summary.near_wrong) == (pytest.approx(0.7), pytest.approx(0.5))
    assert summary.near_others == pytest.approx((0.6 + 0.8 + 0 + 0.2) / 4)


def test_classes_are_folders(tmp_path: Path) -> None:
    for name in ("b/x/1.npz", "a/2.npz", "a/3.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert find_classes(tmp_path) == [("a", tmp_path / "a/2.npz"), ("b", tmp_path / "b/x/1.npz")]
    with pytest.raises(SweettokError, match="holds one class only"):
        find_classes(tmp_path / "b")
    (tmp_path / "loose.npz").write_bytes(b"")
    with pytest.raises(SweettokError, match=r"loose\.npz lies beside the folders of classes"):
        find_classes(tmp_path)
