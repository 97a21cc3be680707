"""The nearest class without a language model: what stands for a clip, and the mean of a class's examples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sweettok_cli.recognition.answer import Answer
from sweettok_cli.recognition.pixels import SIDE
from sweettok_cli.recognition.prompt import Counts

_RULE = (
    "the class whose examples' mean lies in the direction of the clip, both seen from the mean of all "
    "examples (cosine)"
)
ABOUT_TOKENS = f"square roots of the words' shares of their part of speech; {_RULE}"
ABOUT_VECTORS = f"the prior's vectors of the words, their mean by part of speech; {_RULE}"
ABOUT_PIXELS = f"the mean over frames of {SIDE}x{SIDE} RGB pixels; {_RULE}"


def token_histogram(counts: Counts) -> np.ndarray:
    """Square roots of the words' shares, all parts of speech one after another; float32 [words]."""
    return np.concatenate([np.sqrt(_shares(each)) for each in counts.values()]).astype(np.float32)


def word_vector(counts: Counts, vectors: Mapping[str, np.ndarray]) -> np.ndarray:
    """The mean vector of the words that a clip names, by part of speech, one after another; [4 dim].

    Args:
        counts: of the clip.
        vectors: of every word, [words, dim] by part of speech. Of detail, whose nouns mean nothing, there
            are none, and nothing is counted.
    """
    return np.concatenate([_shares(counts[part]) @ each for part, each in vectors.items()])


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / max(1, counts.sum())


def nearest_class(query: np.ndarray, shots: Mapping[str, np.ndarray]) -> Answer:
    """The class whose mean is nearest; of several the first.

    Nearest is by angle, seen from the mean of all examples: what they have in common tells nothing, and
    neither does how far a class lies from it. The score is the cosine, -1 to 1; more is better.

    Args:
        query: what stands for the clip, [d].
        shots: the same of the examples of each class, [k, d].
    """
    centre = np.concatenate([*shots.values()]).mean(0)
    seen = query - centre
    scores = {label: _cosine(seen, each.mean(0) - centre) for label, each in shots.items()}
    return Answer(max(scores, key=lambda label: scores[label]), scores)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return min(1.0, max(-1.0, float(a @ b) / length)) if length else 0.0  # rounding goes beyond
