"""Shards in Apache Parquet: a clip is a row.

Columns: ``name`` of the video, ``clip`` its number in it from 0, ``clips`` of the video, ``class`` where
videos have one, and ``ids``, the symbols of that clip alone. These are lists of one fixed size where all
clips of the folder are as long, else lists of any. Needs pyarrow.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.sequences.shard import Sample, ShardReader, ShardWriter, Spelling, framed, joined, split

PARQUET = ".parquet"
_GROUP_BYTES = 16 << 20  # of symbols, that are held until they are written


def arrow() -> tuple[ModuleType, ModuleType]:
    """``pyarrow`` and ``pyarrow.parquet``.

    Raises:
        SweettokError: they are not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise SweettokError("Parquet needs pyarrow; run: pip install 'sweettok[shards]'") from error
    return pyarrow, pyarrow.parquet


class ParquetWriter(ShardWriter):
    """Writes rows in groups of a few megabytes."""

    endings = (PARQUET,)

    def __init__(self, stem: Path, spelling: Spelling, first: int) -> None:
        super().__init__(stem, spelling, first)
        self._arrow, parquet = arrow()
        number = self._arrow.from_numpy_dtype(spelling.vocabulary.dtype)
        ids = self._arrow.list_(number, -1 if spelling.length is None else spelling.length)
        text, whole = self._arrow.string(), self._arrow.int32()
        columns = [("name", text), ("clip", whole), ("clips", whole)] + [("class", text)] * spelling.classes
        self._schema = self._arrow.schema([*columns, ("ids", ids)])
        self._file = parquet.ParquetWriter(
            stem.with_suffix(PARQUET),
            self._schema,
            compression="zstd",
            use_dictionary=[name for name, kind in columns if kind == text],
        )
        self._rows = 0
        self._clips: list[np.ndarray] = []  # not yet written, and what stands beside them
        self._beside: dict[str, list[Any]] = {name: [] for name, _ in columns}

    def add(self, sample: Sample, symbols: np.ndarray) -> int:
        """As :meth:`ShardWriter.add`: the row of the first clip."""
        at = self._rows
        name = sample.name.encode(errors="backslashreplace").decode()  # columns hold text, names need not be
        for number, clip in enumerate(split(symbols, self.spelling.vocabulary)):
            values = {"name": name, "clip": number, "clips": sample.clips, "class": sample.label}
            for column, held in self._beside.items():
                held.append(values[column])
            self._clips.append(clip.astype(self.spelling.vocabulary.dtype))
            self._rows += 1
        if sum(clip.nbytes for clip in self._clips) >= _GROUP_BYTES:
            self._write()
        return at

    def _write(self) -> None:
        values = self._arrow.array(np.concatenate(self._clips))
        if self.spelling.length is not None:
            ids = self._arrow.FixedSizeListArray.from_arrays(values, self.spelling.length)
        else:
            ends = np.cumsum([0, *map(len, self._clips)], dtype=np.int32)
            ids = self._arrow.ListArray.from_arrays(self._arrow.array(ends), values)
        columns = [
            self._arrow.array(held, self._schema.field(name).type) for name, held in self._beside.items()
        ]
        self._file.write_table(self._arrow.table([*columns, ids], schema=self._schema))
        self._clips.clear()
        for held in self._beside.values():
            held.clear()

    def close(self) -> None:
        """Write the last rows and the footer."""
        if self._clips:
            self._write()
        self._file.close()


class ParquetReader(ShardReader):
    """Holds the symbols of all rows in memory, as numbers."""

    def __init__(self, stem: Path, spelling: Spelling) -> None:
        super().__init__(stem, spelling)
        pyarrow, parquet = arrow()
        try:
            table = parquet.read_table(stem.with_suffix(PARQUET), columns=["ids"])
        except pyarrow.ArrowException as error:
            raise ValueError(f"Parquet: {error}") from error
        column = table.column("ids").combine_chunks()
        kind = pyarrow.from_numpy_dtype(spelling.vocabulary.dtype)
        fixed = pyarrow.types.is_fixed_size_list(column.type)
        if not (fixed or pyarrow.types.is_list(column.type)) or column.type.value_type != kind:
            raise ValueError(f"its ids are {column.type}")
        if column.null_count or column.values.null_count:
            raise ValueError("some of its ids are missing")
        self._values = column.values.to_numpy()
        if fixed:
            self._ends = np.arange(len(column) + 1) * column.type.list_size
        else:
            self._ends = column.offsets.to_numpy()

    def video(self, sample: Sample) -> np.ndarray:
        """As :meth:`ShardReader.video`."""
        return framed(self.inner(sample, 0, sample.clips), self.spelling.vocabulary, sample.label)

    def inner(self, sample: Sample, start: int, end: int) -> np.ndarray:
        """As :meth:`ShardReader.inner`."""
        ends = self._ends[sample.at + start : sample.at + end + 1]
        if len(ends) <= end - start:
            raise ValueError(f"it has no rows {sample.at + start} to {sample.at + end}")
        clips = [self._values[begin:stop] for begin, stop in pairwise(ends)]
        return joined(clips, self.spelling.vocabulary)
