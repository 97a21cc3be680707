"""The sound of one file carried over into another."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from sweettok_cli.errors import SweettokError
from sweettok_cli.video.decoding import LONGEST_GAP, jumps
from sweettok_cli.video.images import is_picture
from sweettok_cli.video.info import probe
from sweettok_cli.video.source import (
    check_readable,
    decodable,
    open_container,
    packets_of,
    reason,
    video_stream,
)

# What players of each kind of file expect to find; anything else is encoded again.
_COPIED = {
    "mp4": {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac"},
    "mov": {"aac", "mp3", "ac3", "eac3", "alac"},
    "matroska": {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "vorbis", "dts", "pcm_s16le"},
    "webm": {"opus", "vorbis"},
}


@dataclass(frozen=True)
class _Encoder:
    """What sound is encoded with again; it comes at 48 kHz and in stereo where it fits in no better."""

    name: Literal["aac", "libopus"]
    samples: str  # their format
    length: int  # samples of a packet
    rates: tuple[int, ...]
    layouts: frozenset[str]


_AAC = _Encoder(
    "aac",
    "fltp",
    1024,
    (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000),
    frozenset(("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1")),
)
_OPUS = _Encoder("libopus", "flt", 960, (48000, 24000, 16000, 12000, 8000), frozenset(("mono", "stereo")))
# An encoder's priming lies a few hundredths of a second before the pictures; only a longer lead moves them.
_LONGEST_PRIMING = Fraction(1, 10)


class SoundTrack:
    """The best sound stream of a file, added to an output and fed to it in step with the pictures.

    Packets are copied as they are where the output's format allows, else encoded again: as AAC, in WebM as
    Opus. Sound and pictures keep the distance they have in the source.

    Attributes:
        lead_ticks: by how many ticks of the output's picture clock the pictures must be delayed, because the
            sound begins before them; 0 for most files.
    """

    def __init__(
        self,
        source: Path,
        container: InputContainer,
        output: OutputContainer,
        clock: Fraction,
        span: tuple[Fraction, Fraction] | None = None,
    ) -> None:
        stream = decodable(container.streams.audio, container.streams.best("audio"), str(source))
        self._source = source
        self._output = output
        self._input = container
        self._stream = stream
        pictures = probe(source).start if container.streams.video else Fraction(0)
        first = next((p for p in packets_of(container, stream) if p.size and p.pts is not None), None)
        sound = pictures if first is None else Fraction(first.pts or 0) * _base(first)
        self._span: tuple[Fraction, Fraction] | None = None
        if span is not None:
            pictures += span[0]
            self._span = (pictures, pictures + span[1])
            sound = max(sound, pictures)
        container.seek(int(sound / _base(stream)), stream=stream)
        lead = pictures - sound
        self.lead_ticks = math.ceil(lead / clock) if lead > _LONGEST_PRIMING else 0
        self._shift = self.lead_ticks * clock - pictures
        self._cuts = _cuts(source)
        # Streams are added now: the output's header, written with its first packet, lists them.
        if _codec(stream) in _COPIED.get(output.format.name, ()):
            self._packets = self._copies(output.add_stream_from_template(stream))
        else:
            context = stream.codec_context
            encoder = _OPUS if output.format.name == "webm" else _AAC
            rate = context.sample_rate if context.sample_rate in encoder.rates else 48000
            layout = context.layout.name if context.layout.name in encoder.layouts else "stereo"
            target = output.add_stream(encoder.name, rate=rate, layout=layout)
            self._packets = self._encoded(target, encoder, layout, rate)
        self._waiting: Packet | None = None

    @classmethod
    def open(
        cls,
        source: Path,
        output: OutputContainer,
        clock: Fraction,
        closing: ExitStack,
        span: tuple[Fraction, Fraction] | None = None,
    ) -> SoundTrack | None:
        """Add the sound of ``source`` to ``output``; None where it has none.

        ``clock`` is the tick of the output's pictures in seconds; ``closing`` closes the source. ``span`` is
        the part of it that is taken, where it is not all: when it begins, in seconds after the source's first
        picture, and how many seconds it lasts.

        Raises:
            SweettokError: ``source`` cannot be read.
        """
        check_readable(source)
        if is_picture(source):
            return None
        container = closing.enter_context(open_container(source))
        if not container.streams.audio:
            return None
        try:
            return cls(source, container, output, clock, span)
        except (FFmpegError, EOFError, ValueError) as error:
            raise SweettokError(
                f"The sound of {source} cannot be read ({reason(error)}); leave it out or convert it to AAC."
            ) from error

    def write(self, until: Fraction | None) -> None:
        """Hand over what plays before ``until`` seconds of the output; everything that is left for None."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                return
            if until is not None and packet.dts is not None and packet.dts * _base(packet) > until:
                self._waiting = packet
                return
            self._output.mux(packet)

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Around all that writes the output: where libav refuses what is written, it is for the sound.

        The header names it, and the end of the file sums it up.
        """
        try:
            yield
        except FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise SweettokError(
                f"The sound of {self._source} cannot be copied ({reason(error)}); "
                "leave it out or convert it to AAC."
            ) from error

    def _copies(self, target: AudioStream) -> Iterator[Packet]:
        for packet in self._in_step():
            if packet.size:
                packet.stream = target
                yield packet

    def _encoded(self, target: AudioStream, encoder: _Encoder, layout: str, rate: int) -> Iterator[Packet]:
        packets = AudioResampler(encoder.samples, layout, rate, frame_size=encoder.length)
        for frame in itertools.chain(self._alike(encoder.samples, layout, rate), [None]):
            for piece in packets.resample(frame):
                yield from target.encode(piece)
        yield from target.encode(None)

    def _alike(self, samples: str, layout: str, rate: int) -> Iterator[AudioFrame]:
        """Frames of one form, one after the other: a broadcast may change its own, and its clock."""
        end = None
        for _, frames in itertools.groupby(self._decoded(), _form):
            resampler = AudioResampler(samples, layout, rate)
            for frame in itertools.chain(frames, [None]):
                for piece in resampler.resample(frame):
                    if piece is None:  # what a resampler with nothing to do gives back
                        continue
                    if piece.pts is not None and piece.time_base is not None:
                        piece.pts = round(piece.pts * piece.time_base * rate)
                    if end is not None and (piece.pts is None or piece.pts < end):
                        piece.pts = end
                    piece.time_base = Fraction(1, rate)
                    end = None if piece.pts is None else piece.pts + piece.samples
                    yield piece

    def _decoded(self) -> Iterator[AudioFrame]:
        for packet in self._in_step():
            try:
                frames = packet.decode()
            except FFmpegError:
                continue
            for frame in frames:
                if isinstance(frame, AudioFrame):
                    yield frame

    def _in_step(self) -> Iterator[Packet]:
        """The packets, and an empty one, on the output's clock; where the source's jumps, sound goes on."""
        following, last, stated, moved = 0, None, None, 0
        for packet in packets_of(self._input, self._stream):
            if packet.size:
                if self._span is not None and packet.pts is not None:
                    time = packet.pts * _base(packet)
                    if time + (packet.duration or 0) * _base(packet) <= self._span[0]:
                        continue
                    if time >= self._span[1]:
                        return
                dts = packet.dts if packet.dts is not None else packet.pts
                if dts is not None:
                    if stated is not None and self._is_cut(stated * _base(packet), dts * _base(packet)):
                        moved = following - dts
                    stated, dts = dts, dts + moved
                else:
                    dts = following
                pts = dts if packet.pts is None else packet.pts + moved
                if last is not None and dts <= last:  # repeated, or back
                    pts = dts = max(following, last + 1)
                last, following = dts, dts + (packet.duration or 0)
                shift = round(self._shift / _base(packet))
                packet.pts, packet.dts = max(pts, dts) + shift, dts + shift
            yield packet

    def _is_cut(self, before: Fraction, after: Fraction) -> bool:
        """Whether the pictures are joined where the sound goes from one time to another, far from it."""
        return abs(after - before) > LONGEST_GAP and any(
            abs(left - before) < LONGEST_GAP and abs(entered - after) < LONGEST_GAP
            for left, entered in self._cuts
        )


def _cuts(source: Path) -> list[tuple[Fraction, Fraction]]:
    """Where the clock of the pictures jumps: from and to, in seconds."""
    found, last = [], None
    with open_container(source) as container:
        if not jumps(container) or not container.streams.video:
            return []
        with suppress(FFmpegError, EOFError):  # damaged from here on
            for packet in packets_of(container, video_stream(container, str(source))):
                if packet.dts is not None:
                    time = packet.dts * _base(packet)
                    if last is not None and not 0 <= time - last <= LONGEST_GAP:
                        found.append((last, time))
                    last = time
    return found


def _form(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _codec(stream: AudioStream) -> str:
    """The codec's name, not its decoder's (mp3float, libopus)."""
    return stream.codec_context.name.removeprefix("lib").removesuffix("float")


def _base(timed: Packet | AudioStream) -> Fraction:
    return Fraction(timed.time_base or Fraction(1, 1000))
