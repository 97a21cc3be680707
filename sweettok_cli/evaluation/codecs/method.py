"""A video codec as a contender: as many bits as the first model spent on the same frames."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from sweettok_cli.evaluation.clip import Clip
from sweettok_cli.evaluation.codecs.coding import Codec, CodecOutcome
from sweettok_cli.evaluation.method import Pairs, Spent

_FRAMES = 250  # in one stream: what encoders put between key frames by themselves
_BYTES = 1 << 29  # of RGB in one stream, so that memory does not grow with the video


class CodecContender:
    """One codec.

    Long videos are encoded as several streams, each of which is given its share of the bits.

    Raises:
        SweettokError: an unknown name, or PyAV was built without the encoder.
    """

    kind = "codec"

    def __init__(self, name: str) -> None:
        self.name = name
        self._codec = Codec(name)

    def describe(self) -> dict[str, Any]:
        """As :meth:`Contender.describe`."""
        return {**self._codec.describe(), "stream_frames": _FRAMES, "stream_bytes": _BYTES}

    def reconstruct(self, clip: Clip, spent: Spent, bits_per_frame: float | None = None) -> Pairs:
        """As :meth:`Contender.reconstruct`."""
        if bits_per_frame is None:
            raise ValueError("a codec needs to be told what it may spend")
        for frames in _streams(clip):
            start = time.perf_counter()
            outcome = self._codec.match(frames, clip.info.rate, bits_per_frame * len(frames))
            spent.encode += time.perf_counter() - start  # the search and decoding included
            spent.bits += outcome.bits
            spent.clips += 1
            spent.settings.append(outcome.crf)
            if outcome.floor or outcome.ceiling:
                spent.limits.append("floor" if outcome.floor else "ceiling")
            for number, (source, decoded) in enumerate(zip(frames, outcome.frames, strict=True)):
                yield source, decoded, number == 0

    def curve(self, clip: Clip) -> Iterator[tuple[np.ndarray, CodecOutcome]]:
        """The frames of each stream beside what each rate factor of the codec's curve makes of them."""
        for frames in _streams(clip):
            for outcome in self._codec.curve_points(frames, clip.info.rate):
                yield frames, outcome


def _streams(clip: Clip) -> Iterator[np.ndarray]:
    info = clip.info
    most = max(1, min(_FRAMES, _BYTES // (3 * info.width * info.height)))
    held: list[np.ndarray] = []
    for frame in clip.frames():
        held.append(frame)
        if len(held) == most:
            yield np.stack(held)
            held = []
    if held:
        yield np.stack(held)
