"""Fréchet distances between sets of features: moments, the distance, and the metrics made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from sweettok_cli.metrics.metric import Features, NotMeasured, SetMetric, check_clips

if TYPE_CHECKING:
    from sweettok_cli.metrics.extractors import Extractor


class Moments:
    """Mean and scatter of all vectors seen so far; memory does not grow with their number.

    Batches are merged by the update of Chan, Golub and LeVeque (1983), which, unlike sums of squares, keeps
    its digits where the mean is large beside the spread.

    Attributes:
        count: vectors seen.
        mean: float64 ``[d]``.
        scatter: sum of outer products of the vectors' distances from their mean, float64 ``[d, d]``.
    """

    def __init__(self, size: int) -> None:
        """For vectors of ``size`` numbers."""
        self.count = 0
        self.mean = np.zeros(size)
        self.scatter = np.zeros((size, size))

    def add(self, vectors: np.ndarray) -> None:
        """Take ``[n, d]`` of any float type.

        Raises:
            ValueError: the vectors have another size, or hold a number that is not finite.
        """
        if vectors.ndim != 2 or vectors.shape[1] != len(self.mean):
            raise ValueError(f"vectors must be [n, {len(self.mean)}], not {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise ValueError("the vectors hold numbers that are not finite")
        if len(vectors):
            part = Moments(len(self.mean))
            part.count = len(vectors)
            values = vectors.astype(np.float64)
            part.mean = values.mean(axis=0)
            values -= part.mean
            part.scatter = values.T @ values
            self.merge(part)

    def merge(self, other: Moments) -> None:
        """Take all that ``other`` has seen."""
        count = self.count + other.count
        if not other.count:
            return
        step = other.mean - self.mean
        self.scatter += other.scatter + np.outer(step, step) * (self.count * other.count / count)
        self.mean = self.mean + step * (other.count / count)
        self.count = count

    def covariance(self, unbiased: bool = True) -> np.ndarray:
        """Float64 ``[d, d]``: the scatter divided by ``count - 1``, or by ``count`` if not ``unbiased``.

        Raises:
            ValueError: fewer than two vectors were seen.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs two vectors, not {self.count}")
        return self.scatter / (self.count - 1 if unbiased else self.count)


SVD_FLOOR = 1e-10
"""Singular values below this are not rooted by the published programs that use the SVD."""


@dataclass(frozen=True)
class FrechetRule:
    """How the distance is computed; every choice moves the last digits, and with few clips the first.

    Attributes:
        unbiased: divide the scatter by n - 1 (SweetTok, OmniTokenizer, pytorch-fid), not by n (StyleGAN-V,
            LARP).
        root: ``eigh``, negative eigenvalues counted as 0, or ``svd`` as in the published code of SweetTok and
            OmniTokenizer (after TensorFlow GAN), which leaves singular values below 1e-10 as they are.
        single: round means and covariances to float32 and go on in float32, as that code does.
        words: all of this, for definitions.
    """

    unbiased: bool = True
    root: Literal["eigh", "svd"] = "eigh"
    single: bool = False
    words: str = field(init=False)  # not a property: the record of an evaluation holds it

    def __post_init__(self) -> None:
        divisor = "n - 1" if self.unbiased else "n"
        precision = "float32" if self.single else "float64"
        method = "eigenvalues" if self.root == "eigh" else "SVD"
        words = f"covariance divided by {divisor}, matrix root by {method} in {precision}"
        object.__setattr__(self, "words", words)


def frechet_distance(first: Moments, second: Moments, rule: FrechetRule | None = None) -> float:
    """Distance between two sets of vectors, in the vectors' own units, squared.

    Raises:
        ValueError: a set holds fewer than two vectors.
    """
    rule = rule or FrechetRule()
    kind = np.float32 if rule.single else np.float64
    one, two = (moments.covariance(rule.unbiased).astype(kind) for moments in (first, second))
    step = first.mean.astype(kind) - second.mean.astype(kind)
    trace = _trace_of_root_eigh if rule.root == "eigh" else _trace_of_root_svd
    return float(step @ step + np.trace(one) + np.trace(two) - 2 * trace(one, two))


def _trace_of_root_eigh(one: np.ndarray, two: np.ndarray) -> float:
    values, vectors = np.linalg.eigh(one)
    # [d, d] whose product with its transpose is C1: the eigenvalues of half.T C2 half are those of C1 C2.
    half = vectors * np.sqrt(values.clip(min=0))
    product = half.T @ two @ half
    return float(np.sqrt(np.linalg.eigvalsh((product + product.T) / 2).clip(min=0)).sum())


def _trace_of_root_svd(one: np.ndarray, two: np.ndarray) -> float:
    half = _root_svd(one)
    return float(np.trace(_root_svd(half @ two @ half)))


def _root_svd(matrix: np.ndarray) -> np.ndarray:
    left, values, right = np.linalg.svd(matrix)
    return (left * np.where(values < SVD_FLOOR, values, np.sqrt(values))) @ right


FEW_CLIPS = 256
"""Below this number of clips a score depends more on which they are than on the model."""

SOURCE, RECONSTRUCTION = "source", "reconstruction"


class FeatureDistance(SetMetric):
    """The Fréchet distance of one feature network, computed by a rule."""

    unit = ""
    higher_is_better = False

    def __init__(self, name: str, extractor: Extractor, rule: FrechetRule | None = None) -> None:
        self.name = name
        self.extractor = extractor
        self.rule = rule or FrechetRule()
        between = f"Fréchet distance between sources and reconstructions of the {extractor.words}"
        self.definition = f"{between}; {self.rule.words}."

    def unsuited(self, shape: tuple[int, ...]) -> str | None:
        """As :meth:`SetMetric.unsuited`: a clip may be too short."""
        least = self.extractor.least_frames
        return f"{shape[0]} frames are too few; a clip needs {least}." if shape[0] < least else None

    def features(self, clip: np.ndarray) -> np.ndarray:
        """Float32 ``[n, size]`` of one clip; those of a source serve every reconstruction of it.

        Raises:
            NotMeasured: the clip is too short.
        """
        if reason := self.unsuited(clip.shape):
            raise NotMeasured(reason)
        return self.extractor.features(clip)

    def add(self, source: np.ndarray, reconstruction: np.ndarray) -> dict[str, np.ndarray]:
        """As :meth:`SetMetric.add`: ``source`` and ``reconstruction``, float32 ``[n, size]`` each."""
        check_clips(source, reconstruction)
        return {SOURCE: self.features(source), RECONSTRUCTION: self.features(reconstruction)}

    def result(self, clips: Iterable[Features]) -> float:
        """The distance over all clips.

        Raises:
            NotMeasured: fewer than two vectors on either side, or some that are not finite.
        """
        sides = {name: Moments(self.extractor.size) for name in (SOURCE, RECONSTRUCTION)}
        try:
            for clip in clips:
                for name, moments in sides.items():
                    moments.add(clip[name])
            return frechet_distance(sides[SOURCE], sides[RECONSTRUCTION], self.rule)
        except ValueError as error:
            raise NotMeasured(f"{error}; measure more clips.") from error

    def warnings(self, clips: int) -> list[str]:
        """As :meth:`SetMetric.warnings`: that the clips are few, where they are."""
        if clips >= FEW_CLIPS:
            return []
        return [
            f"{self.name} over {clips} clips, fewer than {FEW_CLIPS}: it is biased upwards, depends on which "
            "clips they are, and compares with no paper's."
        ]
