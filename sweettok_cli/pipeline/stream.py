"""Live video to tokens, clip by clip, as soon as its frames are there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.pipeline.encode import read_frames
from sweettok_cli.tokens.layout import CostCounter
from sweettok_cli.tokens.meta import Tokens
from sweettok_cli.video.inputs import Input
from sweettok_cli.video.selection import WHOLE, Selection


@dataclass(frozen=True)
class Clip:
    """The tokens of one clip, or of one piece of a video that is read as one stream.

    Attributes:
        number: of the clip, from 0.
        start: number of the first frame that it adds to those before, from 0.
        end: number of the frame behind its last; the clip is filled by repeating that one.
        begins: when the first of them is shown, in seconds after the source's first frame.
        ends: when the last of them is over.
        tokens: how many tokens these are.
        bits: what they cost.
        arrays: as token files hold them, ``[1, ...]``, or ``[rows, ...]`` with their counts.
        latency: seconds from when the last of the frames came to when the tokens were there.
    """

    number: int
    start: int
    end: int
    begins: Fraction
    ends: Fraction
    tokens: int
    bits: float
    arrays: dict[str, np.ndarray]
    latency: float


def stream_video(
    source: Input | str,
    tokenizer: Tokenizer,
    on_clip: Callable[[Clip], None],
    *,
    overlap: int = 0,
    budget: Budget = USUAL,
    keep_going: bool = False,
    strict: bool = False,
    selection: Selection = WHOLE,
    keep: bool = False,
) -> Tokens | None:
    """Encode a video clip by clip; each goes through the model alone, and waits for none that follows.

    A budget therefore holds for every clip, and none lends to another.

    Args:
        source: as for :func:`~sweettok_cli.pipeline.encode.encode_video`, like all that is not named here.
        on_clip: given each clip as soon as it is encoded.
        keep: whether the tokens of the whole video are wanted, too; else memory does not grow with it.

    Returns:
        The tokens of the whole video, if they are kept.

    Raises:
        SweettokError: the source cannot be read, or does not suit the tokenizer.
    """
    with read_frames(source, keep_going=keep_going, strict=strict, selection=selection) as (reader, frames):
        encoder = tokenizer.video_encoder(
            reader.info, overlap=overlap, budget=budget, selection=reader.selection, look_ahead=1, keep=keep
        )
        waiting: list[tuple[Fraction, float]] = []  # when frames of the clip are shown, and when they came
        number, lasts = 0, 1 / reader.info.rate

        def give(arrays: dict[str, np.ndarray]) -> None:
            nonlocal number
            if not arrays:
                return
            now = time.monotonic()
            end = encoder.frames
            start, came = end - len(waiting), waiting[-1][1]
            cost = CostCounter(tokenizer.spec)
            cost.add(arrays)
            shown = waiting[0][0], waiting[-1][0] + lasts
            on_clip(Clip(number, start, end, *shown, cost.tokens, cost.bits, arrays, now - came))
            waiting.clear()
            number += 1

        for frame in frames:
            waiting.append((frame.time, frame.came))
            give(encoder.push(frame.rgb, frame.time))
        give(encoder.rest())
        return encoder.finish() if keep else None
