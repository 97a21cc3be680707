"""PSNR against its closed form and its limits, and its definitions against each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sweettok_cli.metrics import NotMeasured
from sweettok_cli.metrics.psnr import CEILING, GlobalPsnr, Psnr, psnr


def test_constant_error_has_the_closed_form() -> None:
    grey = np.full((20, 30, 3), 100, np.uint8)
    for step in (1, 7, 155):
        assert psnr(grey, grey + np.uint8(step)) == pytest.approx(20 * math.log10(255 / step), abs=1e-9)


def test_error_is_averaged_over_pixels_and_channels_together() -> None:
    first = np.zeros((4, 5, 3), np.uint8)
    second = first.copy()
    second[2, 3, 1] = 255
    assert psnr(first, second) == pytest.approx(10 * math.log10(4 * 5 * 3), abs=1e-9)


def test_differences_do_not_wrap_around() -> None:
    black, white = np.zeros((3, 3, 3), np.uint8), np.full((3, 3, 3), 255, np.uint8)
    assert psnr(black, white) == psnr(white, black) == pytest.approx(0.0, abs=1e-12)


def test_identical_and_almost_identical_frames_get_the_ceiling() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    almost = frame.copy()
    almost[0, 0, 0] ^= 1  # 106 dB
    assert psnr(frame, frame) == psnr(frame, almost) == CEILING == 100.0


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((4, 5, 3), np.uint8), ((4, 4, 3), np.float32), ((4, 4), np.uint8), ((4, 4, 4), np.uint8)],
)
def test_anything_but_a_pair_of_rgb_frames_is_refused(shape: tuple[int, ...], kind: type) -> None:
    with pytest.raises(ValueError, match="frames must be"):
        psnr(np.zeros((4, 4, 3), np.uint8), np.zeros(shape, kind))


def noisy_clip(noise: list[float], side: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """A clip with one frame for each strength of noise."""
    generator = np.random.default_rng(1)
    source = generator.integers(60, 196, (len(noise), side, side, 3), dtype=np.uint8)
    error = generator.normal(0, 1, source.shape) * np.reshape(noise, (-1, 1, 1, 1))
    return source, (source + error).round().clip(0, 255).astype(np.uint8)


def test_definitions_of_a_clip_against_their_formulas() -> None:
    source, reconstruction = noisy_clip([2, 9, 30])
    scores = Psnr().measure(source, reconstruction)
    error = (source.astype(np.float64) - reconstruction) ** 2
    frames = error.mean(axis=(1, 2, 3))
    assert scores == {
        "psnr": pytest.approx(np.mean(10 * np.log10(255**2 / frames)), abs=1e-9),
        "psnr_clip": pytest.approx(10 * np.log10(255**2 / error.mean()), abs=1e-9),
        "psnr_vidtok": pytest.approx(np.mean(10 * np.log10(1 / (frames / 255**2 + 1e-8))), abs=1e-9),
    }


def test_definitions_agree_only_where_all_frames_are_alike() -> None:
    source = np.full((3, 8, 8, 3), 100, np.uint8)
    scores = Psnr(("psnr", "psnr_clip")).measure(source, source + np.uint8(5))
    assert scores["psnr"] == pytest.approx(scores["psnr_clip"], abs=1e-9)
    scores = Psnr(("psnr", "psnr_clip")).measure(*noisy_clip([1, 40]))
    assert scores["psnr"] > scores["psnr_clip"] + 5


def test_vidtok_gives_identical_frames_eighty_decibels() -> None:
    clip = np.zeros((2, 4, 4, 3), np.uint8)
    scores = Psnr().measure(clip, clip)
    assert scores == {"psnr": CEILING, "psnr_clip": CEILING, "psnr_vidtok": pytest.approx(80.0)}


def test_only_the_names_asked_for_are_given() -> None:
    metric = Psnr(("psnr_clip",))
    assert set(metric.definitions) == set(metric.measure(*noisy_clip([3]))) == {"psnr_clip"}


def test_one_error_over_a_set_of_clips_of_different_sizes() -> None:
    pairs = [noisy_clip([3, 4], 12), noisy_clip([25], 30)]
    metric = GlobalPsnr()
    result = metric.result(metric.add(*pair) for pair in pairs)
    errors = np.concatenate([(a.astype(np.float64) - b).ravel() ** 2 for a, b in pairs])
    assert result == pytest.approx(10 * np.log10(255**2 / errors.mean()), abs=1e-9)


def test_the_global_definition_is_never_the_greatest() -> None:
    pairs = [noisy_clip([1, 12]), noisy_clip([30, 5])]
    clips = [Psnr().measure(*pair) for pair in pairs]
    whole = GlobalPsnr().result(GlobalPsnr().add(*pair) for pair in pairs)
    per_clip, per_frame = (np.mean([clip[name] for clip in clips]) for name in ("psnr_clip", "psnr"))
    assert whole < per_clip < per_frame


def test_a_set_without_clips_has_no_score() -> None:
    with pytest.raises(NotMeasured, match="no clip"):
        GlobalPsnr().result([])


def test_clips_that_do_not_match_are_refused() -> None:
    clip = np.zeros((2, 4, 4, 3), np.uint8)
    for other in (clip[:1], clip.astype(np.float32), clip[..., :2]):
        for metric in (Psnr().measure, GlobalPsnr().add):
            with pytest.raises(ValueError, match="clips must be"):
                metric(clip, other)
