"""A clip, encoded and decoded by a codec at any number of rate factors."""

from __future__ import annotations

import itertools
import re
from fractions import Fraction

import numpy as np
from av.codec.context import CodecContext
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.codecs.settings import PIXEL_FORMAT, SMALLEST_SIDE, Encoder
from sweettok_cli.video.color import FromRgb, ToRgb
from sweettok_cli.video.fit import Fit
from sweettok_cli.video.source import reason

_SEI = 6  # H.264's supplemental information, table 7-1
# Rates that encoders take; variable ones average to fractions that overflow their clocks.
_SLOWEST, _FASTEST, _FINEST = Fraction(1), Fraction(240), 1001


class CodedClip:
    """A clip, encoded at any number of rate factors; each is encoded once.

    Frames are padded to even sides of at least 64 by repeating the edge, converted to 8-bit 4:2:0 BT.709, and
    cut back after decoding.
    """

    def __init__(self, frames: np.ndarray, rate: Fraction, encoder: Encoder) -> None:
        """Convert the frames.

        Args:
            frames: uint8 RGB ``[t, h, w, 3]``; one for an image.
            rate: frames a second. Encoders weigh frames by how long they are shown; clamped to 1 to 240.
            encoder: with its settings.

        Raises:
            ValueError: another shape or type.
        """
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not frames.size:
            raise ValueError(f"expected uint8 [t, h, w, 3], got {frames.dtype} {list(frames.shape)}")
        self.shape = frames.shape
        self._encoder = encoder
        self._rate = min(_FASTEST, max(_SLOWEST, Fraction(rate).limit_denominator(_FINEST)))
        height, width = frames.shape[1:3]
        even = Fit.to_multiple(max(width, SMALLEST_SIDE), max(height, SMALLEST_SIDE), 2)
        self._fit = Fit(width, height, even.padded_width, even.padded_height)
        convert = FromRgb(PIXEL_FORMAT)
        self._pictures = [convert(self._fit.pad(frame)) for frame in frames]
        self._packets: dict[float, list[bytes]] = {}

    def bits(self, crf: float) -> int:
        """Eight times the bytes of the elementary stream: parameter sets and start codes included.

        Not counted is what a decoder never reads, the encoder's description of itself.

        Raises:
            SweettokError: the encoder refuses the clip.
        """
        return 8 * sum(map(len, self.packets(crf)))

    def decode(self, crf: float) -> np.ndarray:
        """The clip after the codec: uint8 RGB, of the shape of the source.

        Raises:
            SweettokError: as for :meth:`bits`, or not all frames come back.
        """
        context = CodecContext.create(self._encoder.decoder, "r")
        assert isinstance(context, VideoCodecContext)
        context.thread_count = 1
        convert = ToRgb()
        decoded = np.empty(self.shape, np.uint8)
        count = 0
        for data in [*self.packets(crf), None]:
            for frame in context.decode(None if data is None else Packet(data)):
                if count < len(decoded):
                    decoded[count] = self._fit.crop(convert(frame))
                count += 1
        if count != len(decoded):
            raise SweettokError(
                f"{self._encoder.decoder} gave {count} frames back of {len(decoded)} that "
                f"{self._encoder.library} encoded; leave this codec out of the comparison."
            )
        return decoded

    def packets(self, crf: float) -> list[bytes]:
        """The elementary stream, a picture each. Encoded once for each rate factor.

        Raises:
            SweettokError: the encoder refuses the clip.
        """
        if crf not in self._packets:
            self._packets[crf] = self._encode(crf)
        return self._packets[crf]

    def _encode(self, crf: float) -> list[bytes]:
        encoder, fit = self._encoder, self._fit
        packets: list[Packet] = []
        try:
            context = encoder.open(fit.padded_width, fit.padded_height, self._rate, crf)
            for time, picture in enumerate(self._pictures):
                picture.pts, picture.time_base = time, context.time_base
                packets += context.encode(picture)
            packets += context.encode(None)
        except (FFmpegError, ValueError) as error:
            raise SweettokError(
                f"{encoder.library} cannot encode {fit.width}x{fit.height} pixels at crf {crf:g} "
                f"({reason(error)}); leave this codec out or resize the clips."
            ) from error
        data = [bytes(packet) for packet in packets]
        if encoder.library == "libx264" and data:
            # Several hundred bytes that x264 cannot be told to leave out: a tenth of a short clip.
            data[0] = without_sei(data[0])
        return data


def without_sei(stream: bytes) -> bytes:
    """An H.264 byte stream (Annex B) without supplemental information."""
    starts = [match.start() for match in re.finditer(rb"\x00?\x00\x00\x01", stream)]
    units = [stream[start:end] for start, end in itertools.pairwise([*starts, len(stream)])]
    return b"".join(unit for unit in units if unit[unit.index(1) + 1] & 0x1F != _SEI)
