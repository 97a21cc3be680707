"""Tokens to a video, image or array file: the model and writing overlap, and memory stays flat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sweettok_cli.models.common.tokenizer import Tokenizer, decode_frames
from sweettok_cli.pipeline.encode import frames_ahead
from sweettok_cli.pipeline.threads import write_behind
from sweettok_cli.runtime import OnProgress
from sweettok_cli.tokens.description import check_match
from sweettok_cli.tokens.meta import TokenMeta, Tokens
from sweettok_cli.video.gif import gif_ticks, gif_writer
from sweettok_cli.video.images import write_image
from sweettok_cli.video.sequence import is_pattern, sequence_writer
from sweettok_cli.video.writer import DEFAULT_CRF, VIDEO_ENDINGS, VideoWriter, array_writer, check_clock

#: Frames that wait for the video writer at most.
MAX_QUEUE = 32


def decode_video(
    tokens: Tokens,
    tokenizer: Tokenizer,
    out: Path | str,
    *,
    batch_clips: int | None = None,
    audio_from: Path | str | None = None,
    crf: float = DEFAULT_CRF,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> None:
    """Decode tokens into a video file, or an image file where they came from one.

    The result has the source's size, frame count and frame rate (or times). On an error nothing is left.

    Args:
        out: .mp4, .m4v, .mov, .mkv, .webm or .gif for a video, or a pattern of numbered pictures
            (``frames_%04d.png``); .png, .jpg, .webp, .avif, ... for an image; .npy for the bare pixels, uint8
            [t, h, w, 3] or [h, w, 3].
        batch_clips: clips that go through the model at once; the tokenizer's own choice by default.
        audio_from: a file whose sound is copied; of a source of which a part was encoded, that of the part.
        crf: H.264 quality, 0 (lossless) to 51.
        on_progress: called as frames are decoded, of large ones with parts of a frame.

    Raises:
        SweettokError: the tokens are another model's, or the file cannot be written.
    """
    meta, out = tokens.meta, Path(out)
    check_match(meta, tokenizer.spec, f"The token file of {meta.source or out.name}")
    told = 0.0

    def tell(done: float) -> None:
        nonlocal told
        if on_progress is not None and done > told:
            told = done
            on_progress(done, meta.frames)

    frames = decode_frames(tokens, tokenizer, batch_clips=batch_clips, on_frames=tell)
    if out.suffix.lower() == ".npy":
        size = (meta.height, meta.width, 3)
        writer = array_writer(out, size if meta.image else (meta.frames, *size), force)
    elif out.suffix.lower() == ".gif" and not meta.image:
        shown = meta.frames, meta.rate, meta.frame_times()
        writer = gif_writer(out, meta.width, meta.height, *shown, force=force)
    elif is_pattern(out) and not meta.image:
        writer = sequence_writer(out, meta.frames, force)
    else:
        writer = frame_writer(out, meta, crf=crf, audio_from=audio_from, force=force)
    with writer as write:
        for done, frame in enumerate(frames, 1):
            write(frame)
            del frame
            tell(done)


def check_times(out: Path, meta: TokenMeta) -> None:
    """Raise :class:`SweettokError` unless a video file can show the frames when they are due."""
    if meta.image:
        return
    if out.suffix.lower() == ".gif":
        gif_ticks(out, meta.frames, meta.rate, meta.frame_times())
    elif out.suffix.lower() in VIDEO_ENDINGS:
        check_clock(out, meta.rate, meta.frame_times())


@contextmanager
def frame_writer(
    out: Path,
    meta: TokenMeta,
    size: tuple[int, int] | None = None,
    *,
    crf: float = DEFAULT_CRF,
    audio_from: Path | str | None = None,
    force: bool = False,
) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield what takes decoded frames, contiguous uint8 [h, w, 3]; the file is whole once the block ends.

    It is a picture where ``meta`` is of one. By default the frames have the source's (width, height).
    """
    if meta.image:
        yield lambda frame: write_image(out, frame, force=force)
        return
    width, height = size or (meta.width, meta.height)
    times, depth = meta.frame_times(), frames_ahead(width, height, min(meta.clip_frames, MAX_QUEUE))
    with (
        VideoWriter(
            out,
            width,
            height,
            meta.rate,
            crf=crf,
            times=times,
            audio_from=audio_from,
            audio_span=(meta.begins, meta.duration) if meta.selection and meta.duration else None,
            sample_aspect_ratio=meta.sample_aspect_ratio,
            force=force,
        ) as video,
        write_behind(video.write, depth) as write,
    ):
        yield write
