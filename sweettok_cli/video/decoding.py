"""One pass over a stream's packets: frames, upright RGB, times."""

from __future__ import annotations

import errno
import math
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.sidedata.sidedata import SideDataContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sweettok_cli.errors import SweettokError
from sweettok_cli.video.color import ToRgb
from sweettok_cli.video.cropping import NOTHING, Cropping
from sweettok_cli.video.images import scaled
from sweettok_cli.video.source import codec_name, packets_of, reason

_MAY_JUMP = 0x200  # AVFMT_TS_DISCONT
LONGEST_GAP = 10  # seconds; ffmpeg's -dts_delta_threshold
REORDERED = 16  # frames: further back no coding reaches
_BEGINNING = 1  # second of a clock
LONGEST = Fraction(1 << 29)  # seconds, some 17 years; what seems longer is a clock that was set anew
_KEPT = 40  # packets: what a decoder may hold back
_MOST_SIGNS = 100_000
# Where damage is no error, and what is made up for it depends on frames that other threads decode.
_OTHER_THREADS = {"vp8": "NONE", "png": "NONE", "apng": "NONE", "ffv1": "SLICE"}


@dataclass(frozen=True)
class Orientation:
    """Swap rows and columns first, then mirror: the eight ways to lay a picture on the screen."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @classmethod
    def of(cls, frame: Any) -> Orientation:
        """What the display matrix of an ``av.VideoFrame`` asks for, taken to the nearest quarter turn.

        The matrix is nine int32, row by row; a point goes to (a x + c y, b x + d y), y pointing down
        (ISO/IEC 14496-12, 6.2.2).
        """
        held = SideDataContainer.__new__(SideDataContainer)
        with suppress(ValueError):  # at a kind that PyAV has no name for; it holds what lies before
            SideDataContainer.__init__(held, frame)  # type: ignore[call-arg]
        try:
            data = next((bytes(d) for d in held if d.type.name == "DISPLAYMATRIX"), None)
        except ValueError:  # none before; the angle can still be had
            angle = -math.radians(getattr(frame, "rotation", 0))
            a, b, c, d = math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle)
        else:
            if data is None or len(data) < 36:
                return cls()
            a, b, _, c, d = struct.unpack("=9i", data[:36])[:5]
        if abs(a) >= abs(b):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    def apply(self, rgb: np.ndarray) -> np.ndarray:
        """Turn [h, w, 3]; the result is contiguous."""
        if self.transpose:
            rgb = rgb.swapaxes(0, 1)
        if self.mirror_x:
            rgb = rgb[:, ::-1]
        if self.mirror_y:
            rgb = rgb[::-1]
        return np.ascontiguousarray(rgb)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height once turned (also: before, of a picture that shall have them once turned)."""
        return (height, width) if self.transpose else (width, height)


@dataclass
class Progress:
    """What became of the packets of one file."""

    name: str
    frames: int = 0
    packets: int = 0  # that should have given a frame
    damaged: int = 0
    joins: int = 0  # of a clock that jumped
    broken: str = ""  # why the container could not be read to its end
    cut: bool = False  # whether the last packet is shorter than it should be
    signs: list[int] = field(default_factory=list)  # frames that there were when damage was met
    positions: deque[int] = field(
        default_factory=lambda: deque(maxlen=_KEPT)
    )  # of the last packets, in bytes

    def begin_again(self) -> None:
        """Forget what was read."""
        vars(self).update(vars(Progress(self.name)))


class DamagedPacket(Exception):
    """A packet cannot be decoded; how many frames are lost with it depends on the decoder's threads."""


def decode(
    container: InputContainer,
    stream: VideoStream,
    progress: Progress,
    keep_going: bool = False,
    packets: Iterator[Packet] | None = None,
) -> Iterator[VideoFrame]:
    """Decoded frames in order of display. Packets that cannot be decoded are counted and passed over.

    ``packets`` are those of the stream, and an empty one, where some of them were taken before.

    Raises:
        DamagedPacket: damage was met for the first time, where more than one thread decodes: begin again with
            one. The frames before are the same.
        SweettokError: the container itself cannot be read any further. With ``keep_going`` that is noted in
            ``progress``.
    """
    alone = stream.codec_context.thread_count == 1
    transparent = _transparent_decoder(stream)
    for packet in _packets(packets or packets_of(container, stream), stream, progress):
        if progress.broken and not alone:
            raise DamagedPacket
        marked = packet.size > 0 and packet.is_corrupt
        progress.packets += packet.size > 0 and not getattr(packet, "is_discard", False)
        if packet.size and packet.pos is not None:
            progress.positions.append(packet.pos)
        progress.cut = marked or (progress.cut and not packet.size)
        try:
            frames = packet.decode() if transparent is None else transparent.decode(packet)
        except EOFError:
            break
        except FFmpegError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError from error
            if not alone:
                raise DamagedPacket from error
            progress.damaged += 1
            marked, frames = True, []
        if marked or any(frame.is_corrupt for frame in frames):
            if not alone:
                raise DamagedPacket  # what is made up for the missing part depends on the threads, too
            if len(progress.signs) < _MOST_SIGNS:
                progress.signs.append(progress.frames)
        for frame in frames:
            if isinstance(frame, VideoFrame):
                progress.frames += 1
                yield frame
    # What the last packets give threads keep to themselves where they meet damage.
    if not alone and 0 < progress.packets - progress.frames <= _KEPT:
        raise DamagedPacket
    if progress.broken and not keep_going:
        raise SweettokError(
            f"{progress.name} cannot be read beyond frame {progress.frames} ({progress.broken}); "
            "it is damaged or cut short, fetch it again."
        )


def _packets(packets: Iterator[Packet], stream: VideoStream, progress: Progress) -> Iterator[Packet]:
    """Those of one stream, and an empty one, which asks a decoder for what it holds back."""
    while True:
        try:
            packet = next(packets, None)
        except (FFmpegError, EOFError) as error:
            progress.broken = reason(error)
            last = Packet()
            last.stream = stream
            if stream.time_base is not None:
                last.time_base = stream.time_base
            yield last
            return
        if packet is None:
            return
        yield packet


def _transparent_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """The decoder of a WebM that states transparency, to which libav's own ones are blind."""
    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.codec.canonical_name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        return None
    decoder = VideoCodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count = stream.codec_context.thread_count
    return decoder


_most_threads = 0  # of a decoder that has the choice; 0 for as many as it likes


def limit_threads(most: int) -> None:
    """Let decoders of this process that have the choice use so many threads at most."""
    global _most_threads
    _most_threads = most


def set_threads(stream: VideoStream, threads: int) -> None:
    """Let the decoder use this many threads; 0 leaves it the choice, up to what :func:`limit_threads` says.

    Each takes a frame of its own: what is made up for damaged parts of one that several share depends on
    their number.
    """
    stream.thread_type = "NONE" if threads == 1 else _OTHER_THREADS.get(codec_name(stream), "FRAME")
    stream.codec_context.thread_count = threads or _most_threads


class Upright:
    """Turns the frames of one file into RGB as they are to be shown.

    Attributes:
        other: width and height as shown of the first frame that was scaled, if any was.
    """

    def __init__(self, name: str, cropping: Cropping = NOTHING, usual: tuple[int, int] | None = None) -> None:
        """``usual`` is the size of most frames as shown, where they are scaled; that asked for by default."""
        self._name = name
        self._usual = usual
        self._cropping = cropping
        self._to_rgb = ToRgb()
        self.other: tuple[int, int] | None = None

    def __call__(self, frame: VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """Uint8 RGB [h, w, 3], scaled to ``size`` (width, height, as shown) where the frame has another."""
        orientation = Orientation.of(frame)
        try:
            width, height = orientation.size(*size)
            top, bottom, left, right = self._cropping
            own = orientation.size(frame.width - left - right, frame.height - top - bottom)
            if own != (self._usual or size) and self.other is None:
                self.other = own
            if any(self._cropping) and self._usual not in (None, size):  # edges are of pictures as stored
                rgb = self._to_rgb(frame)[top : frame.height - bottom, left : frame.width - right]
                return scaled(orientation.apply(rgb), size)
            rgb = self._to_rgb(frame, (left + width + right, top + height + bottom))
            return orientation.apply(rgb[top : top + height, left : left + width])
        except SweettokError as error:
            raise SweettokError(f"{self._name}: {error}") from error


def shown_size(frame: VideoFrame, cropping: Cropping = NOTHING) -> tuple[int, int]:
    """Width and height of a frame as it is to be shown."""
    top, bottom, left, right = cropping
    return Orientation.of(frame).size(frame.width - left - right, frame.height - top - bottom)


def stated_time(frame: VideoFrame, by_decoding: bool = False) -> Fraction | None:
    """When the frame is shown on the container's clock, in seconds; None where it does not say."""
    tick = frame.dts if by_decoding else frame.pts
    if tick is None or frame.time_base is None:
        return None
    return tick * Fraction(frame.time_base)


def jumps(container: InputContainer) -> bool:
    """Whether the container's clock may jump, as that of broadcasts cut together does (MPEG-TS)."""
    return bool(int(container.format.flags) & _MAY_JUMP)


def states_decoding_only(container: InputContainer) -> bool:
    """Whether the container knows times of decoding only (AVI); what libav makes up for display is wrong."""
    return container.format.name == "avi"


class Clock:
    """Times of frames counted from the first one; always growing, also where the file states none.

    Where a clock jumps back, or forth by more than ten seconds, in a container in which that means a cut and
    no pause, what follows is joined to what went before, as players do. So are files of any kind that were
    put one behind the other, whose clock begins anew.

    Attributes:
        joins: how often that happened.
    """

    def __init__(self, rate: Fraction, container: InputContainer, origin: Fraction | None = None) -> None:
        """For the frames of ``container`` where they state no times: so many a second.

        ``origin`` is what the first frame of the file states, where another comes first.
        """
        self._step = 1 / rate
        self._by_decoding = states_decoding_only(container)
        self._jumps = jumps(container)
        self._hurries = container.format.name == "gif"
        self._before = Fraction(0)
        self.joins = 0
        self._origin = self._start = Fraction(0)
        self._last: Fraction | None = None
        self._given = origin

    def time(self, frame: VideoFrame) -> Fraction:
        """The time of the next frame, in seconds."""
        stated = stated_time(frame, self._by_decoding)
        if self._last is None:
            self._before = stated or Fraction(0)
            self._origin = self._start = self._before if self._given is None else self._given
            time = self._before - self._start
        else:
            time = self._last + self._step if stated is None else stated - self._start
            # Frames come in order of display.
            back = Fraction(0) if stated is None else self._before - stated
            # Behind damage decoders may give one frame late, but none from the beginning.
            anew = back > REORDERED * self._step and stated is not None and stated - self._origin < _BEGINNING
            jumped = anew or abs(time) > LONGEST
            jumped |= self._jumps and (back > 0 or abs(time - self._last) > LONGEST_GAP)
            if stated is not None and jumped:
                self._start = stated - self._last - self._step
                time = self._last + self._step
                self.joins += 1
            if self._hurries and stated is not None:
                time = self._last + shown_delay(stated - self._before)
            # Frames of one stamp are made up to follow each other, nearer than stamps can be to none.
            tick = Fraction(0) if stated is None else Fraction(frame.time_base or 0)
            if time <= self._last:
                time = self._last + max(self._step, tick)
            time = max(time, self._last + tick)
        self._last, self._before = time, self._before if stated is None else stated
        return time


def shown_delay(delay: Fraction) -> Fraction:
    """How long browsers show a frame of a GIF, which states a ``delay`` in seconds."""
    return Fraction(1, 10) if delay <= Fraction(1, 100) else delay
