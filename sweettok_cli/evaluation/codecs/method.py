"""A video codec as a method: as many bits as the first model spent on the same frames."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import av
import numpy as np

from sweettok_cli.evaluation.codecs.encoder import (
    MOST_BETWEEN,
    PIXEL_FORMAT,
    SMALLEST_SIDE,
    CodedClip,
    choose_encoder,
)
from sweettok_cli.evaluation.codecs.rate_search import TOLERANCE, Limit, find_setting
from sweettok_cli.evaluation.method import Clip, Pairs
from sweettok_cli.evaluation.record import Kind
from sweettok_cli.evaluation.results import Cost

_BYTES = 1 << 29  # of RGB in one stream, so that memory does not grow with the video

_DEFINITION = (
    "The whole clip as one stream of {library}, on one thread. {keys} The rate factor is "
    "searched for each clip, from the same start, until the bits are within {tolerance:.0%} of the target, "
    "else the most bits that are not above. Bits are all bytes of the elementary stream, parameter sets and "
    "start codes included; no container, and not the encoder's description of itself. Colour is 8-bit 4:2:0 "
    "BT.709: the loss of chroma resolution is part of the result. Sides are padded to even numbers, at least "
    "{smallest}, and cut back."
)
_KEYS = "Key frames are where the encoder puts them, {gop} frames apart at most."
_EVEN_KEYS = "Every {gop} frames a key frame begins, which no frame refers across; there are no others."


@dataclass(frozen=True)
class Coded:
    """What a codec made of a run of frames."""

    frames: np.ndarray  # uint8 RGB [t, h, w, 3], of the shape of the source
    bits: int  # true bits that they cost
    crf: float  # the rate factor
    limit: Limit | None = None


class CodecMethod:
    """A video codec, to be given the bits that a model spends on the same clip.

    Results depend on the frames and the target alone, never on what was encoded before. Encodings of the
    frames given last are kept, so a curve and a match share what they have in common. Long videos are encoded
    as several streams, each of which is given its share of the bits. An object serves one thread at a time;
    libavcodec leaves others free to run, with another codec say.

    Args:
        codec: one of :data:`sweettok_cli.evaluation.codecs.encoder.ENCODERS`.
        gop: frames from one key frame to the next, 1 to 250, such as a clip of a model has; by default key
            frames are where the encoder puts them.

    Raises:
        SweettokError: an unknown name, or PyAV was built without the encoder.
        ValueError: another ``gop``.
    """

    kind: ClassVar[Kind] = "codec"

    def __init__(self, codec: str, gop: int | None = None) -> None:
        encoder = choose_encoder(codec)
        if gop is not None and not 1 <= gop <= MOST_BETWEEN:
            raise ValueError(f"key frames are 1 to {MOST_BETWEEN} frames apart, not {gop}")
        self.name = codec if gop is None else f"{codec} GOP {gop}"
        self.encoder = encoder if gop is None else encoder.with_gop(gop)
        self._keys = _KEYS if gop is None else _EVEN_KEYS
        self._held: tuple[bytes, CodedClip] | None = None

    def describe(self) -> dict[str, Any]:
        """As :meth:`Method.describe`."""
        encoder, scale = self.encoder, self.encoder.scale
        options = encoder.options_at(scale.start)
        return {
            "encoder": encoder.library,
            "decoder": encoder.decoder,
            "av": av.__version__,
            "libavcodec": ".".join(map(str, av.library_versions["libavcodec"])),
            "options": {key: value for key, value in options.items() if key not in ("crf", "err_detect")},
            "crf_start": scale.start,
            "crf_range": [scale.low, scale.high],
            "crf_step": scale.step,
            "curve": list(encoder.curve),
            "gop": encoder.gop,
            "pixel_format": PIXEL_FORMAT,
            "threads": 1,
            "tolerance": TOLERANCE,
            "definition": _DEFINITION.format(
                library=encoder.library,
                keys=self._keys.format(gop=encoder.gop),
                tolerance=TOLERANCE,
                smallest=SMALLEST_SIDE,
            ),
            "stream_frames": self._stream_frames,
            "stream_bytes": _BYTES,
        }

    def reconstruct(self, clip: Clip, cost: Cost, bits_per_frame: float | None = None) -> Pairs:
        """As :meth:`Method.reconstruct`."""
        if bits_per_frame is None:
            raise ValueError("a codec needs to be told what it may spend")
        for frames in self._streams(clip):
            start = time.perf_counter()
            coded = self.match(frames, clip.info.rate, bits_per_frame * len(frames))
            cost.encode += time.perf_counter() - start
            cost.bits += coded.bits
            cost.clips += 1
            cost.settings = (*cost.settings, coded.crf)
            if coded.limit:
                cost.limits = (*cost.limits, coded.limit)
            for number, (source, decoded) in enumerate(zip(frames, coded.frames, strict=True)):
                yield source, decoded, number == 0

    def curve(self, clip: Clip) -> Iterator[tuple[np.ndarray, Coded]]:
        """The frames of each stream beside what each rate factor of the codec's curve makes of them."""
        for frames in self._streams(clip):
            for coded in self.curve_points(frames, clip.info.rate):
                yield frames, coded

    def match(self, frames: np.ndarray, rate: Fraction, bits: float) -> Coded:
        """The frames at as nearly ``bits`` as the codec comes, at most 1 % above unless it cannot go so low.

        Args:
            frames: uint8 RGB ``[t, h, w, 3]``; one for an image.
            rate: frames a second.
            bits: the target, more than 0.

        Raises:
            ValueError: another shape or type, or no target.
            SweettokError: the encoder refuses the frames.
        """
        held = self._hold(frames, rate)
        found = find_setting(held.bits, bits, self.encoder.scale)
        return Coded(held.decode(found.setting), found.bits, found.setting, found.limit)

    def curve_points(
        self, frames: np.ndarray, rate: Fraction, crfs: Sequence[float] | None = None
    ) -> Iterator[Coded]:
        """The frames at each rate factor, by default those of the encoder's curve, best quality first.

        Arguments and errors as for :meth:`match`.
        """
        held = self._hold(frames, rate)
        for crf in self.encoder.curve if crfs is None else crfs:
            yield Coded(held.decode(crf), held.bits(crf), crf)

    def _hold(self, frames: np.ndarray, rate: Fraction) -> CodedClip:
        # That of the call before where it is the same clip, pixel for pixel.
        digest = hashlib.sha256(np.ascontiguousarray(frames).data)
        digest.update(repr((frames.shape, frames.dtype.str, Fraction(rate))).encode())
        key = digest.digest()
        if self._held is None or self._held[0] != key:
            self._held = (key, CodedClip(frames, rate, self.encoder))
        return self._held[1]

    @property
    def _stream_frames(self) -> int:
        """Of one stream at most: whole groups, so that a new stream cuts none short."""
        return MOST_BETWEEN // self.encoder.gop * self.encoder.gop

    def _streams(self, clip: Clip) -> Iterator[np.ndarray]:
        gop = self.encoder.gop
        most = max(1, min(self._stream_frames, _BYTES // (3 * clip.info.width * clip.info.height)))
        most -= most % gop if most > gop else 0
        frames = clip.frames()
        while held := list(itertools.islice(frames, most)):
            yield np.stack(held)
