"""Interleaved rANS: numbers in, coded with given shares of the whole, 32-bit words out; whole numbers only.

Asymmetric numeral systems (Duda, arXiv 1311.2540) as Giesen (arXiv 1402.3392) interleaves them: many states,
the *lanes*, take turns at one stream of words, so that NumPy steps all of them together. Nothing is rounded,
so every machine writes and reads the same bytes.

A symbol is given as a *part* of :data:`WHOLE`: where it begins and how large it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_WHOLE_BITS = 24
#: What all parts of a choice add up to.
WHOLE = 1 << _WHOLE_BITS
# A state lies in [2^28, 2^60): sixteen times the whole at least, so that a large part is hardly rounded.
_LOWEST_BITS, _WORD_BITS = 28, 32
_LOWEST = 1 << _LOWEST_BITS
# A state that is stored takes 5 to 8 bytes; two bits say how many.
_LEAST_BYTES, _MOST_BYTES = 5, 8

_SHIFT = np.uint64(_WHOLE_BITS)
_MASK = np.uint64(WHOLE - 1)
_WORD = np.uint64(_WORD_BITS)
# A state of this many times its part, or more, would leave the range: a word goes out first.
_FULL = np.uint64(_LOWEST_BITS + _WORD_BITS - _WHOLE_BITS)
_FOUR = np.arange(0, 8, 2, dtype=np.uint8)  # where in a byte each of four pairs of bits lies


class CodeFault(ValueError):
    """Coded bytes that no encoder wrote."""


def encode(begins: Sequence[np.ndarray], sizes: Sequence[np.ndarray], lanes: int) -> bytes:
    """Code a row of steps.

    Args:
        begins: of the parts, one array a step, int64 [at most ``lanes``]; a number's lane is its place.
        sizes: of the parts, alike; at least 1.
        lanes: states that take turns.

    Returns:
        The states, as :func:`_pack_states` does, and the words, 4 bytes each, little-endian.
    """
    states = np.full(lanes, _LOWEST, np.uint64)
    words: list[np.ndarray] = []
    # The last symbol that goes in is the first that comes out.
    for begin, size in zip(reversed(begins), reversed(sizes), strict=True):
        state, part = states[: len(begin)], size.astype(np.uint64)
        full = state >= part << _FULL
        if full.any():
            words.append(state[full].astype("<u4"))
            state = np.where(full, state >> _WORD, state)
        times, rest = np.divmod(state, part)
        states[: len(begin)] = (times << _SHIFT) + rest + begin.astype(np.uint64)
    return b"".join([_pack_states(states), *(each.tobytes() for each in reversed(words))])


def fewest_bytes(lanes: int) -> int:
    """Bytes that :func:`encode` gives at least."""
    return -(-lanes // 4) + lanes * _LEAST_BYTES


def _pack_states(states: np.ndarray) -> bytes:
    """Two bits a state, how many bytes it takes beyond 5, four to a byte; then those bytes, lowest first."""
    each = states.astype("<u8").view(np.uint8).reshape(-1, _MOST_BYTES)
    lengths = np.array([max(_LEAST_BYTES, -(-int(state).bit_length() // 8)) for state in states])
    more = np.zeros(-(-len(states) // 4) * 4, np.uint8)
    more[: len(states)] = lengths - _LEAST_BYTES
    packed = (more.reshape(-1, 4) << _FOUR).sum(1).astype(np.uint8)
    return packed.tobytes() + each[np.arange(_MOST_BYTES) < lengths[:, None]].tobytes()


def _unpack_states(coded: bytes, lanes: int) -> tuple[np.ndarray, int]:
    """The states, uint64 [lanes], and how many bytes they took."""
    head = -(-lanes // 4)
    if len(coded) < fewest_bytes(lanes):
        raise CodeFault("too few bytes")
    more = (np.frombuffer(coded, np.uint8, head)[:, None] >> _FOUR) & 3
    taken = np.arange(_MOST_BYTES) < _LEAST_BYTES + more.reshape(-1)[:lanes, None]
    end = head + int(taken.sum())
    if more.reshape(-1)[lanes:].any() or len(coded) < end:
        raise CodeFault("too few bytes")
    each = np.zeros((lanes, _MOST_BYTES), np.uint8)
    each[taken] = np.frombuffer(coded[head:end], np.uint8)
    return each.view("<u8")[:, 0].astype(np.uint64), end


class Decoder:
    """Takes the numbers out again: :meth:`slots` of a step, then :meth:`take` the parts found there."""

    def __init__(self, coded: bytes, lanes: int) -> None:
        """Read the states.

        Raises:
            CodeFault: there are too few bytes, or a state that no encoder leaves.
        """
        self._states, end = _unpack_states(coded, lanes)
        if (len(coded) - end) % 4:
            raise CodeFault("half a word")
        self._words = np.frombuffer(coded, "<u4", offset=end).astype(np.uint64)
        self._place = 0
        if (self._states < _LOWEST).any() or (self._states >> np.uint64(_LOWEST_BITS + _WORD_BITS)).any():
            raise CodeFault("an impossible state")

    def slots(self, count: int) -> np.ndarray:
        """Where in the whole the next ``count`` numbers point, int64 [count]: each into its part."""
        return (self._states[:count] & _MASK).astype(np.int64)

    def take(self, slots: np.ndarray, begin: np.ndarray, size: np.ndarray) -> None:
        """Take out the numbers whose ``slots`` lie in the parts given.

        Raises:
            CodeFault: no words are left.
        """
        count = len(slots)
        state = (self._states[:count] >> _SHIFT) * size.astype(np.uint64) + (slots - begin).astype(np.uint64)
        low = np.flatnonzero(state < _LOWEST)
        if len(low):
            words = self._words[self._place : self._place + len(low)]
            if len(words) < len(low):
                raise CodeFault("too few words")
            state[low] = (state[low] << _WORD) | words
            self._place += len(low)
        self._states[:count] = state

    def finish(self) -> None:
        """Raise :class:`CodeFault` unless everything that was coded has been taken out."""
        if self._place != len(self._words) or (self._states != _LOWEST).any():
            raise CodeFault("bytes are left")
