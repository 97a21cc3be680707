"""Some frames out of the middle of a video, as training asks for them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from sweettok_cli.errors import SweettokError
from sweettok_cli.video.decoding import (
    Progress,
    Upright,
    decode,
    set_threads,
    shown_size,
    stated_time,
    states_decoding_only,
)
from sweettok_cli.video.images import is_picture, read_pictures
from sweettok_cli.video.source import Source, open_container, source_name, video_stream

# Nearer frames are reached sooner by decoding than by seeking.
_NEAR = 32
# Containers seek by decoding time, which runs ahead of display by the depth of reordering.
_MARGIN = 8


def read_clip(
    source: Source | str, start: int, count: int, *, size: tuple[int, int] | None = None, threads: int = 1
) -> np.ndarray:
    """Frames ``start`` to ``start + count`` of a video, uint8 RGB [t, h, w, 3]; fewer where it ends before.

    Where the container's header proves a steady rate (MP4, MOV), decoding begins at the key frame before
    ``start``, else at the first frame. The frames are those that :class:`VideoReader` gives these numbers.

    Args:
        source: a file, or a seekable binary stream of one.
        start: number of the first frame, from 0.
        count: how many frames.
        size: width and height to scale to; the video's own by default.
        threads: of the decoder. One is fastest where many processes load clips.

    Raises:
        SweettokError: the source cannot be read, or has no frame ``start``.
    """
    if start < 0 or count < 1:
        raise ValueError(f"cannot read {count} frames from number {start}")
    source = Path(source) if isinstance(source, str) else source
    if isinstance(source, Path) and source.is_file() and is_picture(source):
        frames = [
            _scaled(rgb, size) for rgb, _ in itertools.islice(read_pictures(source), start, start + count)
        ]
    else:
        frames = _read_frames(source, start, count, size, threads)
    if not frames:
        raise SweettokError(f"{source_name(source)} has no frame {start}; it is shorter or damaged.")
    return np.stack(frames)


def _scaled(rgb: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    return rgb if size is None else np.array(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def _read_frames(
    source: Source, start: int, count: int, size: tuple[int, int] | None, threads: int
) -> list[np.ndarray]:
    name = source_name(source)
    frames: list[np.ndarray] = []
    with open_container(source) as container:
        stream = video_stream(container, name)
        set_threads(stream, threads)
        upright = Upright(name)
        for frame in _from(container, stream, name, start):
            size = size or shown_size(frame)
            frames.append(upright(frame, size))
            if len(frames) == count:
                break
    return frames


def _from(container: InputContainer, stream: VideoStream, name: str, start: int) -> Iterator[VideoFrame]:
    """Frames from number ``start`` on."""
    frames = decode(container, stream, Progress(name))
    if start < _NEAR or states_decoding_only(container) or not _is_steady(stream):
        yield from itertools.islice(frames, start, None)
        return
    first = next(frames, None)
    jumped = None if first is None else _jump(container, stream, name, start, stated_time(first))
    if jumped is not None:
        yield from jumped
        return
    container.seek(stream.start_time or 0, stream=stream)
    yield from itertools.islice(decode(container, stream, Progress(name)), start, None)


def _is_steady(stream: VideoStream) -> bool:
    """Whether the number of frames, the duration and the rate agree, so that time tells a frame's number."""
    rate, base = stream.average_rate, stream.time_base
    if not (stream.frames and stream.duration and rate and base and rate == stream.guessed_rate):
        return False
    return abs(stream.duration * Fraction(base) * rate - stream.frames) < Fraction(1, 2)


def _jump(
    container: InputContainer, stream: VideoStream, name: str, start: int, origin: Fraction | None
) -> Iterator[VideoFrame] | None:
    """Frames from number ``start`` on, decoded from the key frame before; None where that is impossible."""
    if origin is None or stream.average_rate is None or stream.time_base is None:
        return None
    rate = Fraction(stream.average_rate)
    target = origin + max(0, start - _MARGIN) / rate
    try:
        container.seek(int(target / stream.time_base), stream=stream)
    except FFmpegError:
        return None
    frames = decode(container, stream, Progress(name))
    after_key = False
    for frame in frames:
        time = stated_time(frame)
        if time is None:
            return None
        exact = (time - origin) * rate
        number = round(exact)
        if abs(exact - number) > Fraction(1, 4) or number > start:
            return None
        # Frames shown before the key frame may refer to ones that were jumped over.
        after_key = after_key or bool(frame.key_frame)
        if number == start:
            return itertools.chain([frame], frames) if after_key else None
    return None
