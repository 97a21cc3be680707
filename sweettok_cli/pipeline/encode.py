"""A video or image file to tokens: reading and the model overlap, and memory stays flat."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path

from sweettok_cli.models.common.tokenizer import Tokenizer, VideoEncoder
from sweettok_cli.pipeline.threads import read_ahead
from sweettok_cli.runtime import OnProgress
from sweettok_cli.tokens.meta import Tokens
from sweettok_cli.video.reader import VideoReader

_WAITING = 64 << 20  # bytes of frames in a queue


def encode_video(
    path: Path,
    tokenizer: Tokenizer,
    *,
    batch_clips: int | None = None,
    overlap: int = 0,
    on_progress: OnProgress | None = None,
) -> Tokens:
    """Encode a video or an image.

    Args:
        path: anything :class:`~sweettok_cli.video.VideoReader` reads.
        batch_clips: clips that go through the model at once; the tokenizer's own choice by default.
        overlap: frames that each clip repeats of the one before; decoding cross-fades them.
        on_progress: called after each batch, and within those of large frames with parts of a frame.

    Raises:
        SweettokError: the file cannot be read, or does not suit the tokenizer.
    """
    with VideoReader(path) as reader:
        info = reader.info
        tell = None if on_progress is None else partial(_tell, on_progress, info.frames)
        encoder = VideoEncoder(info, tokenizer, overlap, batch_clips, tell)
        with closing(read_ahead(reader, frames_ahead(info.width, info.height))) as frames:
            for frame in frames:
                encoder.push(frame.rgb, frame.time)
        return encoder.finish()


def _tell(on_progress: OnProgress, total: int | None, done: float) -> None:
    on_progress(done, total)


def frames_ahead(width: int, height: int, most: int = 16) -> int:
    """How many frames may wait in a queue: up to ``most``, and no more than the memory for them."""
    return max(2, min(most, _WAITING // (3 * width * height)))
