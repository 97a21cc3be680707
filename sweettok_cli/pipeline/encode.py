"""A video or image file to tokens: reading and the model overlap, and memory stays flat."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.models.common.tokenizer import Tokenizer, VideoEncoder
from sweettok_cli.pipeline.threads import read_ahead
from sweettok_cli.runtime import OnProgress
from sweettok_cli.tokens.meta import Tokens
from sweettok_cli.video.info import VideoInfo
from sweettok_cli.video.inputs import open_video
from sweettok_cli.video.loss import Loss
from sweettok_cli.video.pixels import as_path
from sweettok_cli.video.sequence import FrameSequence

_WAITING = 64 << 20  # bytes of frames in a queue


def encode_video(
    source: Path | str | FrameSequence,
    tokenizer: Tokenizer,
    *,
    batch_clips: int | None = None,
    overlap: int = 0,
    budget: Budget = USUAL,
    keep_going: bool = False,
    strict: bool = False,
    on_read: Callable[[VideoInfo, Loss], None] | None = None,
    on_worst: Callable[[float | None], None] | None = None,
    on_progress: OnProgress | None = None,
) -> Tokens:
    """Encode a video or an image.

    Args:
        source: anything :class:`~sweettok_cli.video.VideoReader` reads, or numbered pictures.
        batch_clips: clips that go through the model at once; the tokenizer's own choice by default.
        overlap: frames that each clip repeats of the one before; decoding cross-fades them.
        budget: how many bits it may take, or how good it shall be, of a model with levels.
        keep_going: take what is left of a file that is cut short.
        strict: refuse a file of which anything is missing.
        on_read: given what the file is and what was missing of it, which is also logged.
        on_worst: given how many decibels the clip has that comes back worst, where a model tries that.
        on_progress: called after each batch, and within those of large frames with parts of a frame.

    Raises:
        SweettokError: the file cannot be read, or does not suit the tokenizer.
    """
    if not isinstance(source, FrameSequence):
        source = as_path(source)
    with open_video(source, keep_going=keep_going, strict=strict) as reader:
        info = reader.info
        tell = None if on_progress is None else partial(_tell, on_progress, info.frames)
        encoder = VideoEncoder(info, tokenizer, overlap, batch_clips, tell, budget)
        with closing(read_ahead(reader, frames_ahead(info.width, info.height))) as frames:
            for frame in frames:
                encoder.push(frame.rgb, frame.time)
        tokens = encoder.finish()
        if on_read is not None:
            on_read(reader.info, reader.loss)
        if on_worst is not None:
            on_worst(encoder.worst)
        return tokens


def _tell(on_progress: OnProgress, total: int | None, done: float) -> None:
    on_progress(done, total)


def frames_ahead(width: int, height: int, most: int = 16) -> int:
    """How many frames may wait in a queue: up to ``most``, and no more than the memory for them."""
    return max(2, min(most, _WAITING // (3 * width * height)))
