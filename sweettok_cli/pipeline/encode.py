"""A video or image file to tokens: reading and the model overlap, and memory stays flat."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sweettok_cli.models.common.tokenizer import Tokenizer, VideoEncoder
from sweettok_cli.pipeline.threads import read_ahead
from sweettok_cli.runtime import OnProgress
from sweettok_cli.tokens.meta import Tokens
from sweettok_cli.video.info import VideoInfo
from sweettok_cli.video.loss import Loss
from sweettok_cli.video.pixels import as_path
from sweettok_cli.video.sequence import FrameSequence, open_video

#: Frames that are read before the model wants them.
READ_AHEAD = 16


def encode_video(
    source: Path | str | FrameSequence,
    tokenizer: Tokenizer,
    *,
    batch_clips: int | None = None,
    overlap: int = 0,
    keep_going: bool = False,
    strict: bool = False,
    on_read: Callable[[VideoInfo, Loss], None] | None = None,
    on_progress: OnProgress | None = None,
) -> Tokens:
    """Encode a video or an image.

    Args:
        source: anything :class:`~sweettok_cli.video.VideoReader` reads, or numbered pictures.
        batch_clips: clips that go through the model at once; the tokenizer's own choice by default.
        overlap: frames that each clip repeats of the one before; decoding cross-fades them.
        keep_going: take what is left of a file that is cut short.
        strict: refuse a file of which anything is missing.
        on_read: given what the file is and what was missing of it, which is also logged.
        on_progress: called after each batch.

    Raises:
        SweettokError: the file cannot be read, or does not suit the tokenizer.
    """
    if not isinstance(source, FrameSequence):
        source = as_path(source)
    with open_video(source, keep_going=keep_going, strict=strict) as reader:
        encoder = VideoEncoder(reader.info, tokenizer, overlap, batch_clips)
        done = 0
        with closing(read_ahead(reader, READ_AHEAD)) as frames:
            for frame in frames:
                encoder.push(frame.rgb, frame.time)
                if on_progress is not None and encoder.frames > done:
                    done = encoder.frames
                    on_progress(done, reader.info.frames)
        tokens = encoder.finish()
        if on_read is not None:
            on_read(reader.info, reader.loss)
        if on_progress is not None and encoder.frames > done:
            on_progress(encoder.frames, reader.info.frames)
        return tokens
