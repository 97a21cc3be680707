"""Frames from the middle of a file on, found by the container's index."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction

from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sweettok_cli.errors import SweettokError
from sweettok_cli.video.decoding import Progress, decode, stated_time, states_decoding_only
from sweettok_cli.video.source import reason

#: Frames: nearer ones are reached sooner by decoding than by seeking.
NEAR = 32
#: Frames: containers seek by decoding time, which runs ahead of display by the depth of reordering.
MARGIN = 8


def frames_from(
    container: InputContainer, stream: VideoStream, name: str, start: int
) -> Iterator[VideoFrame]:
    """Frames from number ``start`` on."""
    frames = decode(container, stream, Progress(name))
    if start < NEAR or states_decoding_only(container) or not _is_steady(stream):
        yield from itertools.islice(frames, start, None)
        return
    first = next(frames, None)
    jumped = None if first is None else _jump(container, stream, name, start, stated_time(first))
    if jumped is not None:
        yield from jumped
        return
    rewind(container, stream, name)
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
    target = origin + max(0, start - MARGIN) / rate
    try:
        container.seek(int(target / stream.time_base), stream=stream)
    except (FFmpegError, OverflowError):
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


def rewind(container: InputContainer, stream: VideoStream, name: str) -> None:
    """Go back to the beginning, from which decoding begins anew.

    Raises:
        SweettokError: it cannot be found.
    """
    try:
        container.seek(stream.start_time or 0, stream=stream)
    except FFmpegError as error:
        raise SweettokError(
            f"{name} cannot be read from its beginning ({reason(error)}); it is damaged, fetch it again."
        ) from error


def seek_to(
    container: InputContainer,
    stream: VideoStream,
    progress: Progress,
    time: Fraction,
    margin: Fraction,
    keep_going: bool = False,
) -> Iterator[VideoFrame] | None:
    """Frames from a key frame on that is shown by ``time``, in seconds on the container's clock; or None.

    The key frame is the last one that lies ``margin`` seconds before, for indices tell times of decoding.
    """
    if stream.time_base is None:
        return None
    try:
        container.seek(int((time - margin) / stream.time_base), stream=stream)
    except (FFmpegError, OverflowError):
        return None
    frames = decode(container, stream, progress, keep_going)
    for frame in frames:
        if frame.key_frame:  # frames that come before it may refer to ones that were jumped over
            stated = stated_time(frame)
            return None if stated is None or stated > time else itertools.chain([frame], frames)
    return None
