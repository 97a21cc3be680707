"""Metrics by name: all are known, what cannot be had is named with the reason, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.metrics.choice import CLIP_METRICS, METRICS, QUICK, SET_METRICS, choose
from sweettok_cli.metrics.network_files import SearchPath


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_every_metric_is_measured_or_has_a_reason(tmp_path: Path) -> None:
    chosen = choose(METRICS, search=SearchPath(tmp_path, online=False))
    made = [name for metric in chosen.metrics for name in metric.names]
    made += [metric.name for metric in chosen.set_metrics]
    assert sorted([*made, *chosen.not_measured]) == sorted(METRICS)
    assert set(chosen.not_measured) == {"lpips_vgg", "lpips_alex", "rfvd", "rfvd_400", "rfid"}
    for reason in chosen.not_measured.values():
        assert "is not on this machine and nothing may be fetched; fetch https://" in reason
    for metric in chosen.metrics:
        assert set(metric.definitions) == set(metric.names)


def test_the_quick_ones_need_nothing(tmp_path: Path) -> None:
    chosen = choose(search=SearchPath(tmp_path, online=False))
    assert not chosen.not_measured
    clip = np.random.default_rng(0).integers(0, 256, (2, 170, 164, 3), dtype=np.uint8)
    scores = {name for metric in chosen.metrics for name in metric.measure(clip, clip)}
    assert {*scores, *(metric.name for metric in chosen.set_metrics)} == set(QUICK)
    assert not any(metric.unsuited(clip.shape) for metric in chosen.metrics)


def test_what_a_clip_does_not_allow_is_said(tmp_path: Path) -> None:
    chosen = choose(("ssim", "ms_ssim", "psnr"))
    clip = np.zeros((1, 64, 80, 3), np.uint8)
    assert {name for metric in chosen.metrics for name in metric.measure(clip, clip)} == {"psnr", "ssim"}
    assert [name for metric in chosen.metrics for name in metric.unsuited(clip.shape)] == ["ms_ssim"]
    for metric in chosen.metrics:
        with pytest.raises(ValueError, match="clips must be"):
            metric.measure(clip, clip[0])


def test_an_unknown_name_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(SweettokError, match=r"There is no metric vmaf; choose among psnr, .*, rfid\.$"):
        choose(("psnr", "vmaf"))


def test_names_are_unique_and_asked_for_once() -> None:
    assert len(set(METRICS)) == len(CLIP_METRICS) + len(SET_METRICS) == len(METRICS)
    chosen = choose(("psnr", "psnr", "psnr_global", "psnr_global"))
    assert [metric.names for metric in chosen.metrics] == [("psnr",)]
    assert len(chosen.set_metrics) == 1


def test_pictures_of_metrics_come_without_torch() -> None:
    """The command line lists the names in its help."""
    code = "import sys; import sweettok_cli.metrics.choice; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
