"""Video codecs as contenders: x264, x265 and AV1 at the bits that a model spends, and their curves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from sweettok_cli.evaluation.codec_settings import PIXEL_FORMAT, SMALLEST_SIDE, choose_encoder
from sweettok_cli.evaluation.coded_clip import CodedClip
from sweettok_cli.evaluation.contender import Outcome
from sweettok_cli.evaluation.rate_search import TOLERANCE, Found, find_setting

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
