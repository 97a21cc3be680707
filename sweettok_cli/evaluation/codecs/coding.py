"""A clip through a codec, at the bits that are asked for."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.codec.context import CodecContext
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.codecs.rate_search import TOLERANCE, Found, find_setting
from sweettok_cli.evaluation.codecs.settings import PIXEL_FORMAT, SMALLEST_SIDE, Encoder, choose_encoder
from sweettok_cli.evaluation.method import Outcome
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
        return 8 * sum(map(len, self._encoded(crf)))

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
        for data in [*self._encoded(crf), None]:
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

    def _encoded(self, crf: float) -> list[bytes]:
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


_DEFINITION = (
    "The whole clip as one stream of {library}, on one thread. The rate factor is searched for each clip, "
    "from the same start, until the bits are within {tolerance:.0%} of the target, else the most bits that "
    "are not above. Bits are all bytes of the elementary stream, parameter sets and start codes included; no "
    "container, and not the encoder's description of itself. Colour is 8-bit 4:2:0 BT.709: the loss of "
    "chroma resolution is part of the result. Sides are padded to even numbers, at least {smallest}, and cut "
    "back."
)


@dataclass(frozen=True, kw_only=True)
class CodecOutcome(Outcome):
    """What a codec made of a clip.

    Attributes:
        crf: the rate factor.
        floor: the codec cannot go down to the target; these are the fewest bits it has.
        ceiling: the codec does not need as many bits as the target at its best quality.
    """

    crf: float
    floor: bool = False
    ceiling: bool = False


class Codec:
    """A video codec, to be given the bits that a model spends on the same clip.

    ::

        codec = Codec("x264")
        outcome = codec.match(frames, Fraction(25), bits=45_000)
        outcome.frames, outcome.bits

    Results depend on the clip and the target alone, never on what was encoded before. Encodings of the clip
    given last are kept, so a curve and a match share what they have in common. An object serves one thread
    at a time; libavcodec leaves others free to run, with another codec say.

    Raises:
        SweettokError: an unknown name, or PyAV was built without the encoder.
    """

    kind = "codec"

    def __init__(self, name: str) -> None:
        """Choose the encoder; ``name`` is one of :data:`codec_settings.ENCODERS`."""
        self.name = name
        self.encoder = choose_encoder(name)
        self._held: tuple[bytes, CodedClip] | None = None

    @property
    def curve(self) -> tuple[float, ...]:
        """The rate factors of :meth:`curve_points`, from the best quality down."""
        return self.encoder.curve

    def describe(self) -> dict[str, Any]:
        """Everything needed to do it again, plain values only."""
        encoder = self.encoder
        options = encoder.options_at(encoder.scale.start)
        return {
            "encoder": encoder.library,
            "decoder": encoder.decoder,
            "av": av.__version__,
            "libavcodec": ".".join(map(str, av.library_versions["libavcodec"])),
            "options": {key: value for key, value in options.items() if key not in ("crf", "err_detect")},
            "crf_start": encoder.scale.start,
            "crf_range": [encoder.scale.low, encoder.scale.high],
            "crf_step": encoder.scale.step,
            "curve": list(encoder.curve),
            "pixel_format": PIXEL_FORMAT,
            "threads": 1,
            "tolerance": TOLERANCE,
            "definition": _DEFINITION.format(
                library=encoder.library, tolerance=TOLERANCE, smallest=SMALLEST_SIDE
            ),
        }

    def match(self, frames: np.ndarray, rate: Fraction, bits: float) -> CodecOutcome:
        """The clip at as nearly ``bits`` as the codec comes, at most 1 % above unless it cannot go so low.

        Args:
            frames: uint8 RGB ``[t, h, w, 3]``; one for an image.
            rate: frames a second.
            bits: the target, more than 0.

        Raises:
            ValueError: another shape or type, or no target.
            SweettokError: the encoder refuses the clip.
        """
        clip = self._clip(frames, rate)
        return self._outcome(clip, find_setting(clip.bits, bits, self.encoder.scale))

    def curve_points(
        self, frames: np.ndarray, rate: Fraction, crfs: Sequence[float] | None = None
    ) -> Iterator[CodecOutcome]:
        """The clip at each of ``crfs`` (:attr:`curve` by default), decoded one after the other.

        Args:
            frames: as for :meth:`match`.
            rate: frames a second.
            crfs: rate factors on the encoder's scale.

        Raises:
            SweettokError: the encoder refuses the clip.
        """
        clip = self._clip(frames, rate)
        for crf in self.curve if crfs is None else crfs:
            yield self._outcome(clip, Found(crf, clip.bits(crf)))

    def _outcome(self, clip: CodedClip, found: Found) -> CodecOutcome:
        return CodecOutcome(
            frames=clip.decode(found.setting),
            bits=found.bits,
            crf=found.setting,
            floor=found.limit == "floor",
            ceiling=found.limit == "ceiling",
        )

    def _clip(self, frames: np.ndarray, rate: Fraction) -> CodedClip:
        """The clip held from the call before where it is the same one, pixel for pixel."""
        digest = hashlib.sha256(np.ascontiguousarray(frames).data)
        digest.update(repr((frames.shape, frames.dtype.str, Fraction(rate))).encode())
        key = digest.digest()
        if self._held is None or self._held[0] != key:
            self._held = (key, CodedClip(frames, rate, self.encoder))
        return self._held[1]
