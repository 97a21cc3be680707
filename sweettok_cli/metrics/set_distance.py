"""Distances between generated and real clips that are no pairs: gFVD and JEDi, by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.metrics.bootstrap import Interval
from sweettok_cli.metrics.extractors import Extractor, JediFeatures, PortedI3D, ScriptedI3D
from sweettok_cli.metrics.frechet import FEW_CLIPS, FrechetRule, Moments, frechet_distance
from sweettok_cli.metrics.jackknife import Distance, jackknife_interval
from sweettok_cli.metrics.metric import NotMeasured
from sweettok_cli.metrics.mmd import JEDI_SCALE, polynomial_mmd
from sweettok_cli.metrics.network_files import SearchPath

if TYPE_CHECKING:
    import torch

JEDI = "jedi"
#: By name, the network whose features are compared.
NETWORKS: dict[str, type[Extractor]] = {"gfvd": ScriptedI3D, "gfvd_400": PortedI3D, JEDI: JediFeatures}


@dataclass(frozen=True)
class SetDistance:
    """One distance.

    Attributes:
        name: one of :data:`NETWORKS`.
        extractor: turns clips into vectors.
        distance: between two sets of them.
        definition: one sentence that says exactly what is computed.
    """

    name: str
    extractor: Extractor
    distance: Distance
    definition: str

    def between(self, generated: np.ndarray, real: np.ndarray) -> Interval:
        """The distance of vectors ``[n, size]`` and ``[m, size]``, with its interval.

        Raises:
            NotMeasured: there are too few vectors, or some are not finite.
        """
        try:
            return jackknife_interval(self.distance, generated, real)
        except ValueError as error:
            raise NotMeasured(f"{error}; measure more videos.") from error

    def warnings(self, generated: int, real: int, published: int) -> list[str]:
        """What must be known before a figure of so many samples is trusted; a paper takes ``published``."""
        title, few = TITLES[self.name], min(generated, real)
        samples = f"{title} of {generated:,} generated and {real:,} real samples"
        if self.name == JEDI:
            return [f"{samples} is biased upward; fewer than {FEW_CLIPS} are few."] if few < FEW_CLIPS else []
        if few >= published:
            return []
        return [f"{samples} is biased upward; the published figure takes {published:,} of each."]


TITLES = {"gfvd": "gFVD (TorchScript I3D)", "gfvd_400": "gFVD (ported I3D)", JEDI: "JEDi"}
"""How the figures are headed."""


@dataclass
class ChosenDistances:
    """What can be measured of what was asked for, and by name the reason why the others cannot."""

    distances: list[SetDistance] = field(default_factory=list)
    not_measured: dict[str, str] = field(default_factory=dict)


def choose_distances(
    names: Iterable[str], *, search: SearchPath, device: torch.device | str, rule: FrechetRule
) -> ChosenDistances:
    """Make the distances of these names; weights are looked for now, so that nothing fails later.

    Args:
        names: among :data:`NETWORKS`.
        search: where to look for weights.
        device: for the networks.
        rule: how Fréchet distances are computed.

    Raises:
        SweettokError: a name is unknown.
    """
    wanted = list(dict.fromkeys(names))
    if unknown := [name for name in wanted if name not in NETWORKS]:
        raise SweettokError(
            f"There is no metric {unknown[0]} of generated videos; choose among {', '.join(NETWORKS)}."
        )
    chosen = ChosenDistances()
    for name in wanted:
        try:
            chosen.distances.append(_made(name, NETWORKS[name](search, device), rule))
        except NotMeasured as reason:
            chosen.not_measured[name] = str(reason)
    return chosen


def _made(name: str, extractor: Extractor, rule: FrechetRule) -> SetDistance:
    if name == JEDI:
        return SetDistance(
            name,
            extractor,
            lambda one, two: JEDI_SCALE * polynomial_mmd(one, two),
            f"{JEDI_SCALE} times the squared maximum mean discrepancy between generated and real videos, "
            f"kernel (x . y / d)^2, all pairs counted, of the {extractor.words}.",
        )

    def frechet(one: np.ndarray, two: np.ndarray) -> float:
        return frechet_distance(_moments(one), _moments(two), rule)

    between = f"Fréchet distance between generated and real videos of the {extractor.words}"
    return SetDistance(name, extractor, frechet, f"{between}; {rule.words}.")


def _moments(vectors: np.ndarray) -> Moments:
    moments = Moments(vectors.shape[1])
    moments.add(vectors)
    return moments
