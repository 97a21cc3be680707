"""Shards that Megatron-LM reads: ``.bin``, all symbols one after the other, and ``.idx``, where videos begin.

A video is one sequence and one document. All numbers are little-endian; the index holds

=============  ==========================================================================
9 bytes        ``MMIDIDX``, 0, 0
uint64         1, the version
uint8          what a symbol is: 8, uint16; or 4, int32
uint64         sequences, n
uint64         1 + documents
int32 [n]      symbols of each sequence
int64 [n]      byte of ``.bin`` at which each begins
int64 [1 + n]  the first sequence of each document, and n
=============  ==========================================================================

(Megatron Core, ``megatron/core/datasets/indexed_dataset.py`` and its readme.)
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from sweettok_cli.files import open_regular
from sweettok_cli.sequences.shard import Sample, ShardReader, ShardWriter, Spelling, cut

BIN, IDX = ".bin", ".idx"
_HEAD = struct.Struct("<9sQBQQ")
_MAGIC, _VERSION = b"MMIDIDX\0\0", 1
_CODES = {np.dtype("<u2"): 8, np.dtype("<i4"): 4}


class MegatronWriter(ShardWriter):
    """Writes symbols as they come, and the index at the end."""

    endings = (BIN, IDX)

    def __init__(self, stem: Path, spelling: Spelling, first: int) -> None:
        super().__init__(stem, spelling, first)
        self._stream = open(stem.with_suffix(BIN), "wb")  # noqa: SIM115
        self._lengths: list[int] = []

    def add(self, sample: Sample, symbols: np.ndarray) -> int:
        """As :meth:`ShardWriter.add`: the number of the sequence."""
        self._stream.write(symbols.astype(self.spelling.vocabulary.dtype).tobytes())
        self._lengths.append(len(symbols))
        return len(self._lengths) - 1

    def close(self) -> None:
        """Write the index."""
        self._stream.close()
        number, count = self.spelling.vocabulary.dtype, len(self._lengths)
        lengths = np.array(self._lengths, "<i4")
        begins = np.cumsum([0, *self._lengths[:-1]], dtype="<i8") * number.itemsize
        head = _HEAD.pack(_MAGIC, _VERSION, _CODES[number], count, count + 1)
        tables = (lengths, begins, np.arange(count + 1, dtype="<i8"))
        self.stem.with_suffix(IDX).write_bytes(head + b"".join(table.tobytes() for table in tables))


class MegatronReader(ShardReader):
    """Maps ``.bin`` into memory: of a video, only what is asked for is read."""

    def __init__(self, stem: Path, spelling: Spelling) -> None:
        super().__init__(stem, spelling)
        with open_regular(stem.with_suffix(IDX)) as stream:
            index = stream.read()
        if len(index) < _HEAD.size:
            raise ValueError("its index is cut short")
        magic, version, code, count, documents = _HEAD.unpack_from(index)
        number = spelling.vocabulary.dtype
        if (magic, version, code) != (_MAGIC, _VERSION, _CODES[number]) or documents != count + 1:
            raise ValueError("its index is none of videos of this vocabulary")
        if len(index) != _HEAD.size + 4 * count + 8 * count + 8 * documents:
            raise ValueError("its index is not as long as it says")
        lengths = np.frombuffer(index, "<i4", count, _HEAD.size).astype(np.int64)
        begins = np.frombuffer(index, "<i8", count, _HEAD.size + 4 * count) // number.itemsize
        # A map cannot be of an empty file.
        self._symbols = np.memmap(stem.with_suffix(BIN), number, "r")
        if count and (lengths.min() < 4 or begins.min() < 0 or (begins + lengths).max() > len(self._symbols)):
            raise ValueError("its index points past its symbols")
        self._lengths, self._begins = lengths, begins

    def video(self, sample: Sample) -> np.ndarray:
        """As :meth:`ShardReader.video`."""
        return np.array(self._mapped(sample))

    def inner(self, sample: Sample, start: int, end: int) -> np.ndarray:
        """As :meth:`ShardReader.inner`."""
        return np.array(cut(self._mapped(sample), self.spelling, start, end))

    def _mapped(self, sample: Sample) -> np.ndarray:
        if sample.at >= len(self._begins):
            raise ValueError(f"it has no video {sample.at}")
        begin = self._begins[sample.at]
        return self._symbols[begin : begin + self._lengths[sample.at]]
