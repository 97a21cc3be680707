"""What of a token file is coded as planes: its tracks.

A *track* is the tokens of an array that has one at every position; or how many each position has, and then
all first tokens, all second ones, and so on, of an array where that varies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweettok_cli.packing.frequencies import MOST_SYMBOLS
from sweettok_cli.packing.scan import plane_size
from sweettok_cli.tokens.arrays import ARRAYS
from sweettok_cli.tokens.meta import TokenMeta
from sweettok_cli.tokens.ragged import counts_name

#: Levels with a model of their own; those beyond share the last one's.
_OWN_LEVELS = 3


@dataclass(frozen=True)
class ColumnKind:
    """One column of symbols.

    Attributes:
        symbols: how many there are.
        shared: they are those of the column before, too.
    """

    symbols: int
    shared: bool


def column_kinds(sizes: Sequence[int]) -> tuple[tuple[ColumnKind, ...], tuple[int, ...]]:
    """Columns of symbols for indices into codebooks of ``sizes``, and what each index is divided by."""
    columns: list[ColumnKind] = []
    parts: list[int] = []
    for place, size in enumerate(sizes):
        if size <= MOST_SYMBOLS:
            columns.append(ColumnKind(size, place > 0 and size == sizes[place - 1]))
            parts.append(1)
        else:
            part = 1 << -(-(size - 1).bit_length() // 2)
            columns += [ColumnKind(-(-size // part), False), ColumnKind(part, False)]
            parts.append(part)
    return tuple(columns), tuple(parts)


@dataclass(frozen=True)
class Track:
    """Planes that lie in one array.

    Attributes:
        array: its name.
        level: 0 for what every position has; else the tokens of this number, of positions with as many.
        columns: of its tokens, with indices of large codebooks split in two.
        parts: of each index of a token, what its value is divided by for its first column; 1 for one column.
        height: rows of a plane.
        width: cells of a row.
        planes: of a clip.
    """

    array: str
    level: int
    columns: tuple[ColumnKind, ...]
    parts: tuple[int, ...]
    height: int
    width: int
    planes: int

    @property
    def model(self) -> str:
        """Name of the model that codes it: the array's, with a number for later levels."""
        return self.array if self.level < 2 else f"{self.array}.{min(self.level, _OWN_LEVELS)}"

    @property
    def cells(self) -> int:
        """Of a plane."""
        return self.height * self.width

    def split(self, values: np.ndarray) -> np.ndarray:
        """Indices [..., indices] as symbols, int64 [..., columns]."""
        columns = []
        for place, part in enumerate(self.parts):
            value = values[..., place].astype(np.int64)
            columns += [value] if part == 1 else [value // part, value % part]
        return np.stack(columns, axis=-1) if columns else values.astype(np.int64)

    def join(self, symbols: np.ndarray) -> np.ndarray:
        """Undo :meth:`split`."""
        place, values = 0, []
        for part in self.parts:
            value = symbols[..., place]
            values.append(value if part == 1 else value * part + symbols[..., place + 1])
            place += 1 if part == 1 else 2
        return np.stack(values, axis=-1) if values else symbols

    def whole(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """All of its array, a view: [planes of all clips, cells, indices], or rows [rows, indices]."""
        array = arrays[self.array]
        return array if self.level else self._planes(array, len(self.parts))

    def present(self, arrays: Mapping[str, np.ndarray], place: int) -> np.ndarray | None:
        """Which cells of a plane have a token, bool [cells]; None for all."""
        if not self.level:
            return None
        return self._planes(arrays[counts_name(self.array)], 1)[place, :, 0] >= self.level

    def _planes(self, array: np.ndarray, indices: int) -> np.ndarray:
        return array.reshape(len(array) * self.planes, self.cells, indices)

    def rises(self, values: np.ndarray) -> bool:
        """Whether in no token [..., indices] an index is smaller than the one before of the same codebook."""
        symbols = self.split(values)
        return all(
            bool((symbols[..., place] >= symbols[..., place - 1]).all())
            for place, each in enumerate(self.columns)
            if each.shared
        )


def tracks_of(meta: TokenMeta) -> list[Track]:
    """All tracks of a file's indices, in the order in which they are coded."""
    found = []
    for name in ARRAYS:
        if name not in meta.codebooks:
            continue
        columns, parts = column_kinds(meta.codebooks[name])
        shape = meta.shapes[name][:-1] if ARRAYS[name].columns else meta.shapes[name]
        size = shape[-2:] if len(shape) > 1 else plane_size(shape[0], meta.padded_height, meta.padded_width)
        lies = (size[0], size[1], math.prod(shape[:-2]))
        if name in meta.levels:
            most = meta.levels[name]
            found.append(Track(counts_name(name), 0, (ColumnKind(most + 1, False),), (1,), *lies))
            found += [Track(name, level, columns, parts, *lies) for level in range(1, most + 1)]
        else:
            found.append(Track(name, 0, columns, parts, *lies))
    return found
