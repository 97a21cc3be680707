"""Videos as sequences: what begins and ends one, its class, its clips, and back.

begin  class or ``any``  clip 1  ``clip``  clip 2  ``clip``  ...  clip n  end
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sweettok_cli.sequences.order import ClipOrder, Place, Range
from sweettok_cli.sequences.vocabulary import Vocabulary
from sweettok_cli.tokens.fault import TokenFault
from sweettok_cli.tokens.meta import TokenMeta, Tokens
from sweettok_cli.tokens.ragged import COUNTED, split_clips


def vocabulary_of(meta: TokenMeta, classes: tuple[str, ...] = ()) -> Vocabulary:
    """The vocabulary of the model that made some tokens, as far as these show it.

    Raises :class:`TokenFault` for continuous latents.
    """
    if not meta.codebooks:
        raise TokenFault("holds continuous latents, which are no symbols", "encode with a discrete model")
    return Vocabulary(meta.family, meta.model, meta.weights_sha256, dict(meta.codebooks), classes)


class VideoOrder:
    """The order of the symbols of videos whose clips are all alike.

    Args:
        vocabulary: of the model.
        shapes: of one clip's arrays, as in token files.
        levels: tokens that a position has at most, of ragged arrays; empty where all are dense.
    """

    def __init__(
        self, vocabulary: Vocabulary, shapes: Mapping[str, tuple[int, ...]], levels: Mapping[str, int]
    ) -> None:
        self.vocabulary = vocabulary
        self.clip = ClipOrder(vocabulary, shapes, levels)
        self._dense = {name: tuple(shape) for name, shape in shapes.items() if name not in levels}

    @classmethod
    def of(cls, vocabulary: Vocabulary, meta: TokenMeta) -> VideoOrder:
        """Of the tokens that ``meta`` describes.

        Raises :class:`TokenFault` for tokens of another model.
        """
        vocabulary.check(meta.family, meta.weights_sha256, meta.codebooks)
        return cls(vocabulary, meta.shapes, meta.levels)

    def write(self, tokens: Tokens, label: str | None = None) -> np.ndarray:
        """The symbols of a video of a class, int64 [n].

        Raises ValueError for a class that there is not.
        """
        code = self.vocabulary
        found = [np.array([code.special("begin"), code.label(label)])]
        for number, clip in enumerate(self.clips(tokens)):
            found += [np.array([code.special("clip")])] * (number > 0) + [clip]
        return np.concatenate([*found, np.array([code.special("end")])])

    def clips(self, tokens: Tokens) -> list[np.ndarray]:
        """The symbols of each clip of some tokens."""
        return [
            self.clip.write({n: a if n in tokens.meta.levels else a[0] for n, a in arrays.items()})
            for arrays in split_clips(tokens.arrays, 1)
        ]

    def read(self, symbols: np.ndarray) -> tuple[dict[str, np.ndarray], str | None]:
        """The arrays of a video, int64, as in token files, and its class.

        Raises ValueError for what is no video.
        """
        code = self.vocabulary
        symbols = np.asarray(symbols, np.int64)
        ends = code.special("begin"), code.special("end")
        if len(symbols) < 4 or (symbols[0], symbols[-1]) != ends:
            raise ValueError("a video does not begin and end with the symbols for that")
        label, inner = code.class_of(int(symbols[1])), symbols[2:-1]
        marks = np.flatnonzero(inner == code.special("clip"))
        clips = [part[index > 0 :] for index, part in enumerate(np.split(inner, marks))]
        return self.joined([self.clip.read(clip) for clip in clips]), label

    def joined(self, clips: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """The arrays of several clips as those of a video."""
        return {
            name: np.concatenate([clip[name][None] if self._has_axis(name) else clip[name] for clip in clips])
            for name in clips[0]
        }

    def _has_axis(self, name: str) -> bool:
        return name in self._dense or name in COUNTED


@dataclass(frozen=True)
class Spot:
    """Where in a video the next symbol stands.

    ``head``: symbols before the first clip that are there; ``clips``: that are whole; ``place`` in the clip
    that is being written, None between two; ``over``: the video has ended.
    """

    head: int = 0
    clips: int = 0
    place: Place | None = None
    over: bool = False


class Walk:
    """Follows a video, symbol by symbol, and says what may come next.

    Args:
        order: of its symbols.
        clips: that it shall have; None leaves it open.
    """

    def __init__(self, order: VideoOrder, clips: int | None = None) -> None:
        self._order, self._clips = order, clips
        self.spot = Spot()

    def next(self) -> list[Range]:
        """What may stand here; once the video is over, only what fills up a batch."""
        code, spot = self._order.vocabulary, self.spot
        if spot.over:
            return [_only(code.special("pad"))]
        if spot.place is not None:
            return self._order.clip.next(spot.place)
        if spot.head == 0:
            return [_only(code.special("begin"))]
        if spot.head == 1:
            return [_only(code.special("any")), *([code.labels] if code.classes else [])]
        ways = [_only(code.special(name)) for name in ("clip", "end")]
        if self._clips is None:
            return ways
        return ways[:1] if spot.clips < self._clips else ways[1:]

    def push(self, symbol: int) -> None:
        """Go on by one symbol.

        Raises ValueError for one that may not stand here.
        """
        if not any(start <= symbol < end for start, end in self.next()):
            raise ValueError(f"symbol {symbol} may not stand here")
        code, spot = self._order.vocabulary, self.spot
        if spot.over:
            return
        if spot.place is not None:
            place = self._order.clip.after(spot.place, symbol)
            self.spot = Spot(2, spot.clips + (place is None), place)
        elif spot.head < 2:
            begun = spot.head + 1 == 2
            self.spot = Spot(spot.head + 1, 0, self._order.clip.begin if begun else None)
        else:
            over = symbol == code.special("end")
            self.spot = Spot(2, spot.clips, None if over else self._order.clip.begin, over)


def _only(symbol: int) -> Range:
    return symbol, symbol + 1
