"""gFVD and JEDi by name: which networks they take, what they are, what is warned of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_features import ColourFeatures
from small_vjepa import SMALL, save_vjepa

from sweettok_cli.errors import SweettokError
from sweettok_cli.metrics import NotMeasured
from sweettok_cli.metrics.extractors import JediFeatures
from sweettok_cli.metrics.frechet import FrechetRule
from sweettok_cli.metrics.network_files import SearchPath
from sweettok_cli.metrics.set_distance import NETWORKS, SetDistance, choose_distances


@pytest.fixture
def distances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, SetDistance]:
    monkeypatch.setitem(NETWORKS, "gfvd", ColourFeatures)
    monkeypatch.setattr(JediFeatures, "config", SMALL)
    save_vjepa(tmp_path)
    chosen = choose_distances(
        ["gfvd", "jedi", "gfvd"],
        search=SearchPath(tmp_path, online=False),
        device="cpu",
        rule=FrechetRule(unbiased=False),
    )
    assert not chosen.not_measured
    return {each.name: each for each in chosen.distances}


def test_sets_need_be_no_pairs(distances: dict[str, SetDistance]) -> None:
    generated = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    real = np.concatenate([generated, generated]) + np.array([3, 0, 4], np.float32)
    found = distances["gfvd"].between(generated, real)
    assert found.value == pytest.approx(25, rel=1e-5) and found.clips == 9
    x, y = (np.mean([np.outer(v, v) for v in each], axis=0) for each in (generated, real))
    expected = 100 * np.square(x - y).sum() / 9
    assert distances["jedi"].between(generated, real).value == pytest.approx(expected, rel=1e-5)


def test_definitions_say_network_and_rule(distances: dict[str, SetDistance]) -> None:
    assert distances["gfvd"].definition == (
        "Fréchet distance between generated and real videos of the mean colour; covariance divided by n, "
        "matrix root by eigenvalues in float64."
    )
    assert "kernel (x . y / d)^2" in distances["jedi"].definition
    assert "ViT-H/16" in distances["jedi"].definition


def test_few_samples_are_warned_of(distances: dict[str, SetDistance]) -> None:
    gfvd, jedi = distances["gfvd"], distances["jedi"]
    assert gfvd.warnings(2048, 2048, 2048) == [] and gfvd.warnings(2048, 2047, 2048)
    assert gfvd.warnings(500, 2048, 2048) == [
        "gFVD (TorchScript I3D) of 500 generated and 2,048 real samples is biased upward; the published "
        "figure takes 2,048 of each."
    ]
    assert jedi.warnings(256, 300, 2048) == [] and "biased upward" in jedi.warnings(255, 300, 2048)[0]


def test_what_cannot_be_had_is_named_with_the_reason(
    tmp_path: Path, without_downloads: None, distances: dict[str, SetDistance]
) -> None:
    with pytest.raises(
        SweettokError, match="no metric rfvd of generated videos; choose among gfvd, gfvd_400"
    ):
        choose_distances(["rfvd"], search=SearchPath(), device="cpu", rule=FrechetRule())
    found = choose_distances(["gfvd_400", "jedi"], search=SearchPath(), device="cpu", rule=FrechetRule())
    assert not found.distances and list(found.not_measured) == ["gfvd_400", "jedi"]
    assert found.not_measured["gfvd_400"].startswith("i3d_pretrained_400.pt is not on this machine")
    with pytest.raises(NotMeasured, match="needs two vectors, not 1; measure more videos"):
        distances["gfvd"].between(np.zeros((1, 3)), np.zeros((4, 3)))
    with pytest.raises(NotMeasured, match="not finite"):
        distances["jedi"].between(np.full((2, 3), np.nan), np.zeros((4, 3)))
