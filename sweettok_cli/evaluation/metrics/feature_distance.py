"""Fréchet distances between the features of all sources and of all reconstructions: rFVD and rFID."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sweettok_cli.evaluation.features.extractors import Extractor
from sweettok_cli.evaluation.metrics.base import Features, NotMeasured, check_clips
from sweettok_cli.evaluation.metrics.frechet import FrechetRule, frechet_distance
from sweettok_cli.evaluation.metrics.moments import Moments

FEW_CLIPS = 256
"""Below this number of clips a score depends more on which they are than on the model."""

SOURCE, RECONSTRUCTION = "source", "reconstruction"


class FeatureDistance:
    """The Fréchet distance of one feature network.

    Args:
        name: of the score.
        extractor: the network.
        rule: how the distance is computed.
    """

    unit = ""
    higher_is_better = False

    def __init__(self, name: str, extractor: Extractor, rule: FrechetRule | None = None) -> None:
        self.name = name
        self.extractor = extractor
        self.rule = rule or FrechetRule()
        self.definition = (
            f"Fréchet distance between sources and reconstructions of the {extractor.words}; "
            f"{self.rule.words}."
        )

    def unsuited(self, shape: tuple[int, ...]) -> str | None:
        """Why a clip of shape ``[t, h, w, 3]`` is too short, or None."""
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
        """``source`` and ``reconstruction``: float32 ``[n, size]`` each.

        Raises:
            NotMeasured: the clip is too short.
        """
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
        """That the clips are few, where they are."""
        if clips >= FEW_CLIPS:
            return []
        return [
            f"{self.name} over {clips} clips, fewer than {FEW_CLIPS}: it is biased upwards, depends on which "
            "clips they are, and compares with no paper's."
        ]
