"""What a file says about itself before it is decoded."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sweettok_cli.errors import SweettokError
from sweettok_cli.video.cropping import Cropping, container_cropping
from sweettok_cli.video.decoding import (
    LONGEST,
    LONGEST_GAP,
    REORDERED,
    Orientation,
    Progress,
    decode,
    jumps,
    set_threads,
    shown_delay,
    shown_size,
    stated_time,
)
from sweettok_cli.video.images import count_pictures, is_picture, read_pictures, stored_picture
from sweettok_cli.video.source import (
    File,
    Source,
    check_readable,
    codec_name,
    length_of,
    open_container,
    packets_of,
    video_stream,
)
from sweettok_cli.video.stored import UNSTATED, Stored, stored_frame

DEFAULT_RATE = Fraction(25)
# Containers that count milliseconds (Matroska, WebM) round every time stamp of a steady 30 fps video by up to
# half of one; no player shows it, and a regular rate restores what was meant.
ROUNDING = Fraction(1, 1000)


def is_regular(times: Sequence[Fraction], rate: Fraction, time_base: Fraction) -> bool:
    """Whether frame ``i`` is shown at ``times[0] + i / rate``, up to the rounding of the container's clock.

    ``times`` are seconds in order of display, ``time_base`` is one tick of the clock in seconds.
    """
    tolerance = min(max(time_base, ROUNDING), 1 / (4 * rate))
    return all(abs(time - times[0] - i / rate) <= tolerance for i, time in enumerate(times))


def variable_times(times: Sequence[Fraction], rate: Fraction, time_base: Fraction) -> list[Fraction] | None:
    """The times, counted from the first frame, where the rate varies; None where ``rate`` says it all."""
    if is_regular(times, rate, time_base):
        return None
    return [time - times[0] for time in times]


_PEEKED_PACKETS = 64
_MOST_PACKETS = 4096
# Bare streams of pictures; only the codec may say how fast they are shown.
_NO_CLOCK = {"h264", "hevc", "vvc", "mpegvideo", "m4v", "obu", "cavsvideo", "dirac", "vc1"}
USUAL_RATES = (
    *(Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(48)),
    *(Fraction(50), Fraction(60000, 1001), Fraction(60), Fraction(100), Fraction(120), Fraction(240)),
)
# What is written there as the duration is mostly the time of the end.
_STATE_THE_END = ("matroska,webm", "flv", "asf")
_HIGHEST_RATE = 1000  # frames a second that are believed of a single one
_INEXACT = Fraction(1, 10_000)
_MOST_RATE = 1_000_000  # and of many
_MOST_STRETCHED = 100  # a pixel, wider than high or higher than wide
_LEAST_BITS = 5000  # a second of any video


@dataclass(frozen=True)
class VideoInfo:
    """The header, some packets and the first frame, put together.

    Attributes:
        path: the file.
        width: of a frame as it is shown (cropped and turned), in pixels. Non-square pixels are not stretched.
        height: likewise.
        rate: frames a second, exact; 1 for a still picture.
        frames: how many the container declares; None where it does not. A file trimmed by an edit list
            gives fewer.
        time_base: one tick of the container's clock in seconds.
        variable_rate: True where the first frames do not keep to the rate, False where all of them do, None
            where the file is longer than what was looked at.
        has_audio: whether there is sound.
        is_image: whether it is one still picture.
        start: when the first frame is shown on the container's clock, in seconds.
        duration: seconds; None where unknown.
        sample_aspect_ratio: width of a pixel over its height, as it is shown.
        stored: how the pictures are stored.
    """

    path: File
    width: int
    height: int
    rate: Fraction
    frames: int | None
    time_base: Fraction
    variable_rate: bool | None
    has_audio: bool
    is_image: bool
    start: Fraction = Fraction(0)
    duration: Fraction | None = None
    sample_aspect_ratio: Fraction = Fraction(1)
    stored: Stored = UNSTATED


def probe(path: File | str) -> VideoInfo:
    """Describe a file by its header, some packets and its first frame; nothing more is decoded.

    Raises:
        SweettokError: the file cannot be read, or holds no picture.
    """
    path = Path(path) if isinstance(path, str) else path
    check_readable(path)
    if is_picture(path):
        return _probe_pictures(path)
    with open_container(path) as container:
        stream = video_stream(container, str(path))
        pace = look_at_pace(container, stream, packets_of(container, stream))
    with open_container(path) as container:
        stream = video_stream(container, str(path))
        set_threads(stream, 1)
        first = next(decode(container, stream, Progress(str(path))), None)
        cropping = source_cropping(path, stream)
        info = describe(path, container, stream, first, pace, cropping)
        seconds = info.duration
        if seconds is not None and jumps(container) and length_of(path) * 8 / seconds < _LEAST_BITS:
            return replace(info, duration=None)  # the clock jumped
        return info


@dataclass(frozen=True)
class Pace:
    """What the first packets of a video say of its rate.

    Attributes:
        rate: frames a second.
        regular: whether they keep to it.
        packets: how many there were.
        whole: whether these are all.
    """

    rate: Fraction
    regular: bool
    packets: int
    whole: bool


def look_at_pace(
    container: InputContainer, stream: VideoStream, packets: Iterable[Packet], most: int = _PEEKED_PACKETS
) -> Pace:
    """Take ``most`` of a video's first packets, and tell how fast its frames follow."""
    times, count, whole = _peek(container, stream, packets, most)
    rate, regular = _rate(container, stream, times)
    if not 1 / LONGEST <= rate <= _MOST_RATE:
        rate, regular = min(max(rate, 1 / LONGEST), Fraction(_MOST_RATE)), False
    return Pace(rate, regular, count, whole)


def describe(
    path: File,
    container: InputContainer,
    stream: VideoStream,
    first: VideoFrame | None,
    pace: Pace,
    cropping: Cropping,
) -> VideoInfo:
    """What is known of a video with its ``first`` frame, of which ``cropping`` is cut off.

    Raises:
        SweettokError: there is no frame.
    """
    if first is None:
        raise SweettokError(f"{path} holds no frame that can be decoded; it is damaged, fetch it again.")
    width, height = shown_size(first, cropping)
    orientation = Orientation.of(first)
    still = container.format.name.endswith("_pipe") and pace.packets == 1
    start = stated_time(first) or Fraction(0)
    duration = None if still else _duration(container, stream, start)
    if duration is not None and container.format.name == "gif":
        duration = max(duration, stream.frames / pace.rate)  # short delays are shown as longer ones
    return VideoInfo(
        path=path,
        width=width,
        height=height,
        rate=Fraction(1) if still else pace.rate,
        frames=1 if still else stream.frames or None,
        time_base=_time_base(stream),
        variable_rate=None if pace.regular and not pace.whole else not pace.regular,
        has_audio=bool(container.streams.audio),
        is_image=still,
        start=start,
        duration=duration,
        sample_aspect_ratio=_sample_aspect_ratio(stream, orientation.transpose),
        stored=stored_frame(first, codec_name(stream), *astuple(orientation)),
    )


def _duration(container: InputContainer, stream: VideoStream, start: Fraction) -> Fraction | None:
    """Seconds from ``start``, when the first picture is shown, to the end, as the header has it."""
    if not (stream.duration or container.duration):
        return None
    begins = Fraction(0)
    if stream.duration:
        duration = stream.duration * _time_base(stream)
    else:
        duration = Fraction(container.duration or 0, 1_000_000)
    if container.format.name not in _STATE_THE_END:
        begins = start if stream.duration else Fraction(container.start_time or 0, 1_000_000)
    late = start - begins  # after other streams, or on a clock that was running
    return duration - late if 0 < late < duration else duration


def _probe_pictures(path: File) -> VideoInfo:
    count = count_pictures(path)
    pictures = [(rgb.shape, time) for rgb, time in itertools.islice(read_pictures(path), _PEEKED_PACKETS)]
    (height, width, _), _ = pictures[0]
    base, stored = Fraction(1, 1000), stored_picture(path)
    if count == 1:
        return VideoInfo(path, width, height, Fraction(1), 1, base, False, False, True, stored=stored)
    times = [time for _, time in pictures]
    rate = (len(times) - 1) / times[-1]
    regular = is_regular(times, rate, base)
    variable = None if regular and len(times) < count else not regular
    return VideoInfo(path, width, height, rate, count, base, variable, False, False, stored=stored)


def _time_base(stream: VideoStream) -> Fraction:
    return Fraction(stream.time_base or Fraction(1, 1000))


def source_cropping(source: Source, stream: VideoStream) -> Cropping:
    """What the container says is cut off the pictures of its video."""
    width, height = stream.codec_context.width, stream.codec_context.height
    if isinstance(source, File):
        with source.open("rb") as file:
            return container_cropping(file, width, height)
    place = source.tell()
    try:
        return container_cropping(source, width, height)
    finally:
        source.seek(place)


def _sample_aspect_ratio(stream: VideoStream, turned: bool) -> Fraction:
    ratio = Fraction(stream.sample_aspect_ratio or 1)
    if not Fraction(1, _MOST_STRETCHED) <= ratio <= _MOST_STRETCHED:
        return Fraction(1)
    return 1 / ratio if turned else ratio


def _peek(
    container: InputContainer, stream: VideoStream, given: Iterable[Packet], most: int
) -> tuple[list[Fraction], int, bool]:
    """Times of the first packets in order of display, how many packets there were, and if that was all."""
    base = _time_base(stream)
    times: list[Fraction] = []
    packets = 0
    may_jump, last = jumps(container), -math.inf
    try:
        for packet in given:
            if packet.size == 0 and packet.dts is None:
                return _shown(container, times), packets, True
            packets += 1
            # What an edit list trims away is not shown.
            if packet.pts is not None and not getattr(packet, "is_discard", False):
                time = packet.pts * base
                back = packet.dts is not None and packet.dts < last
                if may_jump and times and (back or abs(time - times[-1]) > LONGEST_GAP):
                    break
                if times and (_anew(times, time) or time - times[-1] > LONGEST):
                    break
                last = last if packet.dts is None else packet.dts
                if time not in times:  # told twice it tells nothing
                    times.append(time)
            if len(times) == most or packets == _MOST_PACKETS:
                break
    except (FFmpegError, EOFError):
        # Decoding meets the same damage and reports it.
        return _shown(container, times), packets, False
    # Frames arrive out of order; the last of the peeked ones may still lack an earlier neighbour.
    return _shown(container, times)[: most - min(REORDERED, most // 2)], packets, False


def _anew(times: Sequence[Fraction], time: Fraction) -> bool:
    """Whether the clock begins anew: ``time`` lies further back of ``times`` than frames are reordered."""
    latest = max(times)
    return (latest - time) * (len(times) - 1) > REORDERED * (latest - min(times))


def _shown(container: InputContainer, times: list[Fraction]) -> list[Fraction]:
    """Times in order of display."""
    times = sorted(times)
    if container.format.name != "gif" or not times:
        return times
    delays = [shown_delay(b - a) for a, b in itertools.pairwise(times)]
    return list(itertools.accumulate(delays, initial=times[0]))


def _rate(container: InputContainer, stream: VideoStream, times: list[Fraction]) -> tuple[Fraction, bool]:
    """The rate that the first frames keep to, or their mean; and whether they keep to it."""
    coded = stream.codec_context.framerate
    stated = [stream.average_rate or coded, stream.guessed_rate, stream.base_rate]
    if container.format.name in _NO_CLOCK:  # its average is what libav assumes, and high rates it halves
        stated = [coded, stream.guessed_rate, stream.average_rate, stream.base_rate]
    rates = [Fraction(rate) for rate in stated if rate]
    mean = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else None
    if mean is not None:
        rates += [rate for rate in USUAL_RATES if abs(rate / mean - 1) < Fraction(1, 500)]
        rates.append(_simple(mean))
    base = _time_base(stream)
    for rate in rates:
        if is_regular(times, rate, base) and (mean is not None or rate <= _HIGHEST_RATE):
            # The average of times in milliseconds is not exact.
            near = (usual for usual in USUAL_RATES if base >= ROUNDING and abs(usual / rate - 1) < _INEXACT)
            return next(near, rate), True
    if mean is None:
        return DEFAULT_RATE, True
    # The average of the whole file, where it agrees with what was seen of it.
    return rates[0] if abs(rates[0] / mean - 1) < Fraction(1, 2) else _simple(mean), False


def _simple(rate: Fraction) -> Fraction:
    """One near it, of which a frame lasts a simple fraction of a second, or whole seconds."""
    if rate < Fraction(1, 1000):
        return Fraction(1, round(1 / rate))
    return 1 / (1 / rate).limit_denominator(1001) if rate < 1000 else Fraction(round(rate))
