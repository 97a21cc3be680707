"""Fréchet distance between two sets of feature vectors, each taken for a Gaussian.

``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``: Dowson and Landau 1982; Heusel et al. 2017 (FID);
Unterthiner et al. 2018 (FVD). The trace of the root is taken from a symmetric matrix with the same
eigenvalues, ``C1^(1/2) C2 C1^(1/2)``, so that no complex numbers arise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sweettok_cli.evaluation.metrics.moments import Moments

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
    """

    unbiased: bool = True
    root: Literal["eigh", "svd"] = "eigh"
    single: bool = False

    @property
    def words(self) -> str:
        """For definitions."""
        divisor = "n - 1" if self.unbiased else "n"
        precision = "float32" if self.single else "float64"
        method = "eigenvalues" if self.root == "eigh" else "SVD"
        return f"covariance divided by {divisor}, matrix root by {method} in {precision}"


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
