from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.recognition.nearest import nearest_class, token_histogram, word_vector

COUNTS = {"nouns": np.array([1, 3, 0]), "verbs": np.array([0, 0])}


def test_histograms_are_roots_of_shares() -> None:
    assert token_histogram(COUNTS) == pytest.approx([0.5, 0.75**0.5, 0, 0, 0])
    assert token_histogram({"nouns": 7 * COUNTS["nouns"]}) == pytest.approx([0.5, 0.75**0.5, 0])


def test_vectors_are_means_by_part_of_speech() -> None:
    vectors = {"nouns": np.array([[4.0, 0], [0, 4], [9, 9]]), "verbs": np.ones((2, 2))}
    assert word_vector(COUNTS, vectors) == pytest.approx([1, 3, 0, 0])


def test_the_nearest_is_told_by_angle_from_the_middle() -> None:
    shots = {
        "far": np.array([[12.0, 10], [14, 10]]),
        "up": np.array([[10.0, 11], [10, 13]]),
        "down": np.array([[10.0, 8], [4, 8]]),
    }
    answer = nearest_class(np.array([10.1, 100.0]), shots)
    assert answer.label == "up"
    # The mean of all is (10, 10), of "up" (10, 12): straight up. That of "down" is (7, 8).
    assert answer.scores == pytest.approx(
        {"up": 1, "far": 0.1 / 90, "down": -(0.3 + 180) / 90 / 13**0.5}, abs=1e-3
    )


def test_examples_that_are_all_alike_tell_nothing() -> None:
    same = np.ones((1, 3))
    answer = nearest_class(np.zeros(3), {"a": same, "b": same})
    assert (answer.label, answer.scores) == ("a", {"a": 0.0, "b": 0.0})
