"""Budgets: so many tokens, or so good, over a whole video."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from small_levels import busy_clips, levelled
from small_network import smooth_clips
from torch import Tensor

from sweettok_cli.models.common.budget import USUAL, Budget, decibels
from sweettok_cli.models.common.frames import to_frames
from sweettok_cli.models.sweettok.candidate import Candidate, Extent
from sweettok_cli.models.sweettok.network import Choice, SweetTok
from sweettok_cli.models.sweettok.spending import Spender
from sweettok_cli.tokens.layout import count_bits
from sweettok_cli.tokens.ragged import rows_by_level


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

    whole = Extent(*clip.shape[1:])
    return Candidate(tokens, whole, whole, lambda start, end: video[:, :, :, start:end], decode)


def spent(network: SweetTok, choices: list[Choice]) -> float:
    """Bits of motion and of detail of some clips, those of their counts too."""
    assert network.detail is not None
    present = torch.cat([choice.present for choice in choices]).long().numpy()
    counts = torch.cat([choice.counts for choice in choices if choice.counts is not None]).numpy()
    bits = network.motion_bits * present.sum() + network.detail.bits * counts.sum()
    bits += count_bits("temporal", present.size, rows_by_level(present, 1))
    return float(bits + count_bits("detail", counts.size, rows_by_level(counts, 3)))


def usual(network: SweetTok) -> float:
    """Bits of motion of a clip without levels."""
    return 64 * network.motion_bits


def appearance(network: SweetTok) -> float:
    """Bits of a clip's spatial tokens."""
    return 16 * math.fsum(map(math.log2, network.quantize_spatial.sizes))


def psnr(clip: Candidate, choice: Choice) -> float:
    made = torch.cat(list(clip.decode(choice)), dim=3)
    return float(-10 * (made - clip.rows(0, made.shape[3])).square().mean().log10())


@torch.no_grad()
def test_an_aim_that_few_columns_reach_takes_no_others(network: SweetTok) -> None:
    """Down to none, which is the least that there is; and never more bits for less."""
    clip = candidate(network, busy_clips(1)[0])
    without = Choice(torch.zeros_like(clip.tokens.temporal[..., 0], dtype=torch.bool))
    least = psnr(clip, without)
    bits = []
    for aim in (least - 3, least - 0.5, least + 0.2, least + 0.5, least + 1):
        (choice,) = Spender(network, Budget(psnr=aim)).spend([clip])
        assert psnr(clip, choice) > aim - 0.1
        if aim < least:
            assert not choice.present.any() and choice.counts is not None and not choice.counts.any()
        bits.append(spent(network, [choice]))
    assert bits == sorted(bits) and bits[1] < bits[2] < bits[-1]


@torch.no_grad()
@pytest.mark.parametrize("per_clip", [40, 80, 160])
def test_a_number_of_tokens_is_kept_over_the_clips(network: SweetTok, per_clip: int) -> None:
    clips = [candidate(network, clip) for clip in busy_clips(4)]
    budget = Budget(tokens=16 * per_clip)  # of 256x256 pixels, of which these have a sixteenth
    bits = spent(network, Spender(network, budget).spend(clips)) + 4 * appearance(network)
    allowed = 4 * per_clip / 80 * (usual(network) + appearance(network))
    assert 0.9 * allowed < bits <= allowed


@torch.no_grad()
def test_by_default_a_video_takes_as_many_bits_as_without_levels(network: SweetTok) -> None:
    clips = [candidate(network, clip) for clip in busy_clips(4)]
    allowed = 4 * usual(network)
    assert 0.9 * allowed < spent(network, Spender(network, USUAL).spend(clips)) <= allowed


@torch.no_grad()
def test_busy_clips_are_given_what_quiet_ones_leave(network: SweetTok) -> None:
    torch.manual_seed(3)
    quiet = [candidate(network, 0.2 * clip) for clip in smooth_clips(2)]
    busy = [candidate(network, clip) for clip in busy_clips(2)]
    together, allowed = Spender(network, USUAL).spend([*quiet, *busy]), 2 * usual(network)
    of_quiet, of_busy = spent(network, together[:2]), spent(network, together[2:])
    assert of_busy > 1.5 * of_quiet and of_busy > allowed
    # And what comes first leaves bits for what comes later, in clips that are not looked at together.
    spender = Spender(network, USUAL)
    first, later, again = (spent(network, spender.spend(clips)) for clips in (busy, quiet, busy))
    assert first <= allowed and later < allowed < again
    assert first + later + again <= 3 * allowed


@torch.no_grad()
def test_fewer_tokens_than_columns_are_kept_to(network: SweetTok) -> None:
    clips = [candidate(network, clip) for clip in busy_clips(2)]
    bits = spent(network, Spender(network, Budget(tokens=16 * 24)).spend(clips)) + 2 * appearance(network)
    assert bits <= 2 * 24 / 80 * (usual(network) + appearance(network))
    choices = Spender(network, Budget(tokens=1)).spend(clips)
    for choice in choices:  # spatial tokens alone are more than that
        assert choice.counts is not None and not choice.present.any() and not choice.counts.any()


@torch.no_grad()
@pytest.mark.parametrize("aim", [22.0, 22.6, 23.2])
def test_a_quality_is_reached_with_more_tokens_for_more(network: SweetTok, aim: float) -> None:
    (clip,) = (candidate(network, each) for each in busy_clips(1))
    (choice,) = Spender(network, Budget(psnr=aim)).spend([clip])
    assert aim - 0.1 < psnr(clip, choice) < aim + 0.7


@torch.no_grad()
def test_a_clip_that_needs_no_detail_does_not_stand_in_the_way_of_others(network: SweetTok) -> None:
    torch.manual_seed(3)
    (quiet,) = (candidate(network, 0.1 * clip) for clip in smooth_clips(1))
    (busy,) = (candidate(network, clip) for clip in busy_clips(1))
    spender = Spender(network, Budget(psnr=22.6))
    (easy,) = spender.spend([quiet])
    (hard,) = spender.spend([busy])
    assert easy.counts is not None and hard.counts is not None
    assert not easy.counts.any() and hard.counts.any() and psnr(busy, hard) > 22.5
    spender = Spender(network, Budget(tokens=16 * 19))  # hardly more than appearance
    (none,) = spender.spend([busy])
    (rest,) = spender.spend([quiet])
    assert none.counts is not None and rest.counts is not None and not none.counts.any()


@torch.no_grad()
def test_what_is_not_seen_takes_no_bits_and_is_no_error(network: SweetTok) -> None:
    """Neither of pixels that pad a frame, nor of frames that fill up a clip, nor beyond black and white."""
    clip = candidate(network, busy_clips(1)[0])
    part = replace(clip, own=Extent(9, 36, 44))
    for budget in (Budget(psnr=60), USUAL):
        (choice,) = Spender(network, budget).spend([part])
        assert choice.counts is not None
        columns, counts = choice.present[0].view(8, 8), choice.counts[0]
        assert columns.any() and not columns[5:].any() and not columns[:, 6:].any()
        assert counts[:3, :5, :6].any() and not counts[3:].any()
        assert not counts[:, 5:].any() and not counts[:, :, 6:].any()
    made = torch.cat(list(clip.decode(choice)), dim=3)[:, :, :9, :36, :44]
    shown, wanted = (to_frames(video).double() for video in (made, clip.rows(0, 64)[:, :, :9, :36, :44]))
    assert part.error(choice) == pytest.approx(float((shown - wanted).square().sum()) / 255**2)
    white = replace(clip, rows=lambda start, end: torch.full((1, 3, 17, end - start, 64), 0.5))
    bright = replace(white, decode=lambda choice: iter([torch.full((1, 3, 17, 64, 64), 0.6)]))
    assert not any(left.any() for left in bright.left(choice)) and bright.error(choice) == 0


@torch.no_grad()
def test_what_comes_back_worst_is_measured_where_an_aim_is_missed(network: SweetTok) -> None:
    """As bytes show it, of the source's own pixels; of other budgets it is not told."""
    clips = [replace(candidate(network, clip), own=Extent(17, 40, 52)) for clip in busy_clips(2)]
    spender = Spender(network, Budget(psnr=60))
    assert spender.worst is None
    found = []
    for clip in clips:
        (choice,) = spender.spend([clip])
        found.append(-10 * math.log10(clip.error(choice) / clip.own.values))
    assert spender.worst == pytest.approx(min(found))
    spender = Spender(network, USUAL)
    spender.spend(clips)
    assert spender.worst is None


@torch.no_grad()
def test_columns_that_do_harm_are_left_out_whatever_there_is_to_spend(network: SweetTok) -> None:
    """Of a picture without motion: as good as with fewer bits, and better than with all columns."""
    clip = candidate(network, torch.full((3, 17, 64, 64), -0.5))
    found = []
    for tokens in (16 * 80, 16 * 80 * 64):
        (choice,) = Spender(network, Budget(tokens=tokens)).spend([clip])
        found.append(clip.error(choice))
    assert found[1] <= found[0]


@torch.no_grad()
def test_what_cannot_be_reached_costs_no_more_from_clip_to_clip(network: SweetTok) -> None:
    """Detail is looked for at ever lower prices, and none is bought that removes nothing."""
    clip = candidate(network, busy_clips(1)[0])
    spender = Spender(network, Budget(psnr=60))
    choices = [spender.spend([clip])[0] for _ in range(17)]
    bits = [spent(network, [choice]) for choice in choices]
    assert bits[-1] < 1.1 * bits[0] and clip.error(choices[-1]) < 1.01 * clip.error(choices[0])


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
    assert decibels("31dB") == 31
    for wrong_name in ("best", "9", "nan", "70"):
        with pytest.raises(ValueError, match="quality"):
            decibels(wrong_name)
    for words in ("640", True):
        with pytest.raises(TypeError, match="numbers"):
            Budget(words)  # type: ignore[arg-type]
