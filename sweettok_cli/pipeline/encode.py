"""A video or image file to tokens: reading and the model overlap, and memory stays flat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.pipeline.threads import read_ahead
from sweettok_cli.runtime import OnProgress
from sweettok_cli.tokens.meta import Tokens
from sweettok_cli.video.info import VideoInfo
from sweettok_cli.video.inputs import Frames, Input, open_video, read_input
from sweettok_cli.video.loss import Loss
from sweettok_cli.video.pipe import Pipe
from sweettok_cli.video.reader import Frame
from sweettok_cli.video.selection import WHOLE, Selection

_WAITING = 64 << 20  # bytes of frames in a queue


def encode_video(
    source: Input | str,
    tokenizer: Tokenizer,
    *,
    batch_clips: int | None = None,
    overlap: int = 0,
    budget: Budget = USUAL,
    keep_going: bool = False,
    strict: bool = False,
    selection: Selection = WHOLE,
    on_read: Callable[[VideoInfo, Loss], None] | None = None,
    on_worst: Callable[[float | None], None] | None = None,
    on_progress: OnProgress | None = None,
) -> Tokens:
    """Encode a video or an image.

    Args:
        source: anything :class:`~sweettok_cli.video.VideoReader` reads, an address, numbered pictures, or a
            pipe.
        batch_clips: clips that go through the model at once; the tokenizer's own choice by default.
        overlap: frames that each clip repeats of the one before; decoding cross-fades them.
        budget: how many bits it may take, or how good it shall be, of a model with levels.
        keep_going: take what is left of a file that is cut short.
        strict: refuse a file of which anything is missing.
        selection: which part of it is taken, at which rate and size.
        on_read: given what the file is and what was missing of it, which is also logged.
        on_worst: given how many decibels the clip has that comes back worst, where a model tries that.
        on_progress: called after each batch, and within those of large frames with parts of a frame.

    Raises:
        SweettokError: the file cannot be read, or does not suit the tokenizer.
    """
    with read_frames(source, keep_going=keep_going, strict=strict, selection=selection) as (reader, frames):
        info = reader.info
        encoder = tokenizer.video_encoder(
            info, overlap=overlap, batch_clips=batch_clips, budget=budget, selection=reader.selection
        )
        encoder.tell(None if on_progress is None else partial(_tell, on_progress, info.frames))
        for frame in frames:
            encoder.push(frame.rgb, frame.time)
        tokens = encoder.finish()
        if on_read is not None:
            on_read(reader.info, reader.loss)
        if on_worst is not None:
            on_worst(encoder.worst)
        return tokens


@contextmanager
def read_frames(
    source: Input | str, *, keep_going: bool = False, strict: bool = False, selection: Selection = WHOLE
) -> Iterator[tuple[Frames, Iterator[Frame]]]:
    """What a source is, and its frames, which a thread reads ahead; see :func:`open_video`.

    Raises:
        SweettokError: it cannot be read.
    """
    source = read_input(source) if isinstance(source, str) else source
    with ExitStack() as stack:
        reader = stack.enter_context(
            open_video(source, keep_going=keep_going, strict=strict, selection=selection)
        )
        ahead = read_ahead(reader, frames_ahead(reader.info.width, reader.info.height))
        stack.enter_context(closing(ahead))
        if isinstance(source, Pipe):  # in which the thread may wait for what never comes
            stack.callback(source.stop)
        yield reader, ahead


def _tell(on_progress: OnProgress, total: int | None, done: float) -> None:
    on_progress(done, total)


def frames_ahead(width: int, height: int, most: int = 16) -> int:
    """How many frames may wait in a queue: up to ``most``, and no more than the memory for them."""
    return max(2, min(most, _WAITING // (3 * width * height)))
