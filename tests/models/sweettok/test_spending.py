"""Budgets: so many tokens, or so good, over a whole video."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from small_levels import busy_clips, levelled
from small_network import smooth_clips
from torch import Tensor

from sweettok_cli.models.common.budget import USUAL, Budget, decibels
from sweettok_cli.models.sweettok.network import Choice, SweetTok
from sweettok_cli.models.sweettok.spending import Candidate, Spender


@pytest.fixture(scope="module")
def network() -> SweetTok:
    return levelled()


def candidate(network: SweetTok, clip: Tensor) -> Candidate:
    """One clip [3, t, h, w]; decoded in two bands of rows."""
    video = clip[None]
    tokens = network.encode(video)
    height, width = clip.shape[-2:]

    def decode(choice: Choice) -> Iterator[Tensor]:
        yield from network.decode(*tokens, height, width, clip.shape[1], choice).split(height // 2, dim=3)

    return Candidate(tokens, height * width, lambda start, end: video[:, :, :, start:end], decode)


def spent(choices: list[Choice]) -> list[int]:
    """Tokens of motion and of detail of each clip."""
    return [int(c.present.sum() + c.counts.sum()) for c in choices if c.counts is not None]


def psnr(clip: Candidate, choice: Choice) -> float:
    made = torch.cat(list(clip.decode(choice)), dim=3)
    return float(-10 * (made - clip.rows(0, made.shape[3])).square().mean().log10())


@torch.no_grad()
@pytest.mark.parametrize("per_clip", [40, 80, 160])
def test_a_number_of_tokens_is_kept_over_the_clips(network: SweetTok, per_clip: int) -> None:
    clips = [candidate(network, clip) for clip in busy_clips(4)]
    allowed = 16 * per_clip  # of 256x256 pixels, of which these have a sixteenth
    tokens = [16 + each for each in spent(Spender(network, Budget(tokens=allowed)).spend(clips))]
    assert 0.9 * 4 * per_clip < sum(tokens) <= 4 * per_clip


@torch.no_grad()
def test_by_default_a_video_takes_as_many_tokens_as_without_levels(network: SweetTok) -> None:
    clips = [candidate(network, clip) for clip in busy_clips(4)]
    assert 0.9 * 4 * 64 < sum(spent(Spender(network, USUAL).spend(clips))) <= 4 * 64


@torch.no_grad()
def test_busy_clips_are_given_what_quiet_ones_leave(network: SweetTok) -> None:
    torch.manual_seed(3)
    quiet = [candidate(network, 0.2 * clip) for clip in smooth_clips(2)]
    busy = [candidate(network, clip) for clip in busy_clips(2)]
    together = spent(Spender(network, USUAL).spend([*quiet, *busy]))
    assert sum(together[2:]) > 2 * sum(together[:2]) and sum(together[2:]) > 2 * 64
    # And what comes first leaves tokens for what comes later, in clips that are not looked at together.
    spender = Spender(network, USUAL)
    first, later = spent(spender.spend(busy)), spent(spender.spend(quiet))
    again = spent(spender.spend(busy))
    assert sum(first) <= 2 * 64 and sum(later) < 2 * 64 < sum(again)
    assert sum(first + later + again) <= 6 * 64


@torch.no_grad()
def test_fewer_tokens_than_columns_are_kept_to(network: SweetTok) -> None:
    clips = [candidate(network, clip) for clip in busy_clips(2)]
    tokens = spent(Spender(network, Budget(tokens=16 * 20)).spend(clips))
    assert sum(tokens) <= 2 * 4
    spender = Spender(network, Budget(tokens=1))
    assert sum(spent(spender.spend(clips))) == 0  # spatial tokens alone are more than that


@torch.no_grad()
@pytest.mark.parametrize("aim", [22.0, 24.0, 26.0])
def test_a_quality_is_reached_with_more_tokens_for_more(network: SweetTok, aim: float) -> None:
    (clip,) = (candidate(network, each) for each in busy_clips(1))
    (choice,) = Spender(network, Budget(psnr=aim)).spend([clip])
    assert aim - 0.1 < psnr(clip, choice) < aim + 0.7


def test_a_budget_is_one_thing() -> None:
    for wrong in (
        {"tokens": 3.0, "psnr": 30.0},
        {"tokens": 0.0},
        {"psnr": float("nan")},
        {"psnr": 3.0, "fixed": True},
    ):
        with pytest.raises(ValueError, match="budget"):
            Budget(**wrong)  # type: ignore[arg-type]
    assert decibels("low") < decibels("medium") < decibels("high") and decibels("31.5") == 31.5
    for wrong_name in ("best", "9", "nan", "70"):
        with pytest.raises(ValueError, match="quality"):
            decibels(wrong_name)
