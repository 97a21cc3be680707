"""The data-dependent start: stacks that add nothing, and pictures before any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_network import small_network, smooth_clips, word_prior
from torch import Tensor

from sweettok_cli.codebook.prior import first_words
from sweettok_cli.models.sweettok.config import SMALL
from sweettok_cli.models.sweettok.folder import read_words_of
from sweettok_cli.models.sweettok.initialise import fit, silence_branches, start_codebook, start_linear
from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.models.sweettok.quantizer import LanguageQuantizer


def decibels(a: Tensor, b: Tensor) -> float:
    return -10 * (a - b).square().mean().log10().item()


@pytest.fixture(scope="module")
def started() -> SweetTok:
    model = small_network(word_prior(200, 120, 24), code_dim=24)
    start_linear(model, smooth_clips(128), polish_rows=128)  # a thin network needs fewer
    return model.eval()


@pytest.mark.parametrize(
    "changes",
    [
        {"queries": "flattened"},
        {"codebook": "random"},
        {"codebook": "learned"},
        {"graph": False},
        {"frames": 9},
    ],
    ids=["flattened", "random", "learned", "no graph", "9 frames"],
)
def test_every_kind_of_network_starts_on_pictures(changes: dict[str, Any]) -> None:
    """Measured: clips 26 to 29 dB, pictures 23 to 27; their mean colours give 17 or 18."""
    torch.manual_seed(0)
    model = small_network(word_prior(200, 120, 24), code_dim=24, **changes)
    length = model.config.frames
    start_linear(model, smooth_clips(96, length), polish_steps=60, polish_rows=128)
    for frames in (1, length):
        video = smooth_clips(4, length, 128, 64)[:, :, :frames]
        with torch.inference_mode():
            shown = model.eval()(video).reconstruction
        mean = video.mean(dim=(2, 3, 4), keepdim=True)
        assert decibels(shown, video) > decibels(mean, video) + 5


@pytest.mark.parametrize("frames", [1, 17])
def test_untrained_network_shows_the_picture(started: SweetTok, frames: int) -> None:
    """Measured: clips 28 dB, pictures 25; their mean colours give 18 and 17, random weights 0 and 3."""
    torch.manual_seed(5)
    video = smooth_clips(8, 17, 128, 64)[:, :, :frames]
    with torch.inference_mode():
        shown = started(video).reconstruction
        noise = small_network()(video).reconstruction
    mean = video.mean(dim=(2, 3, 4), keepdim=True)
    assert decibels(shown, video) > decibels(mean, video) + 6
    assert decibels(shown, video) > decibels(noise, video) + 12


def test_every_token_says_something(started: SweetTok) -> None:
    with torch.inference_mode():
        ids = started.encode(smooth_clips(8))
    for half in ids:
        for column in half.unbind(-1):
            assert column.unique().numel() > 10


def test_silent_branches_pass_everything_on() -> None:
    model = small_network()
    video = smooth_clips(2)
    grid = model.config.patch_grid(64, 64)
    codes = torch.randn(2, 16, 7), torch.randn(2, 64, 7)

    def untouched() -> list[bool]:
        embedded = model.encoder.embed(video)
        start = model.spatial_anchor.spread(codes[0], 8, 8) + model.temporal_anchor.spread(codes[1], 8, 8)
        return [
            model.encoder.encode_space(embedded, grid)[1].equal(embedded),
            model.encoder.encode_time(embedded, grid)[1].equal(embedded),
            model.features(*codes, 64, 64).equal(start),
        ]

    with torch.inference_mode():
        assert untouched() == [False, False, False]
        silence_branches(model)
        assert untouched() == [True, True, True]


def test_pictures_alone_start_the_spatial_half() -> None:
    model = small_network(word_prior(200, 120, 24), code_dim=24)
    start_linear(model, smooth_clips(64, frames=1), polish_steps=40, polish_rows=64)
    picture = smooth_clips(8, frames=1)
    with torch.inference_mode():
        shown = model.eval()(picture).reconstruction
    assert decibels(shown, picture) > decibels(picture.mean(dim=(2, 3, 4), keepdim=True), picture) + 4


def test_faint_directions_of_words_are_left_to_the_offsets() -> None:
    directions = torch.linalg.qr(torch.randn(40, 6))[0]
    strengths = torch.tensor([10.0, 5.0, 4.0, 3.0, 2.0, 1e-4])
    words, codes = directions * strengths, torch.randn(40, 3)
    weight = fit(words, codes)
    exact = torch.linalg.lstsq(words, codes).solution.T
    assert weight.shape == (3, 6) and exact[:, -1].norm() > 1e3
    assert weight[:, -1].norm() < 1e-2
    assert torch.allclose(weight[:, 0], exact[:, 0] / 1.01, atol=1e-4)


def test_few_words_stay_where_they_are_laid() -> None:
    """A sixteenth of the shipped words: measured, 302 of 317 adjectives are used; with an exact fit 94."""
    words = first_words(read_words_of(Path(__file__).parents[3] / "weights" / "sweettok-small"), 1 / 16)
    quantizer, latents = LanguageQuantizer(words.spatial, SMALL, (10, 6)), torch.randn(1000, 16)
    start_codebook(quantizer, latents, 20, 256, neighbours=0.02)
    ids = quantizer.eval()(latents[None]).ids
    used = ids[..., :2].unique().numel(), ids[..., 2].unique().numel()
    assert used[0] > 250 and used[1] > 250
