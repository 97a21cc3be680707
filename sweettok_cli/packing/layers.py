"""What of a token file is coded as planes: its layers.

A *layer* is all tokens of an array that has one at every position. Of an array where that varies, it is how
many each position has; then all first tokens, all second ones, and so on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweettok_cli.packing.frequencies import MOST_SYMBOLS
from sweettok_cli.packing.scan import plane_size
from sweettok_cli.tokens.arrays import ARRAYS
from sweettok_cli.tokens.meta import TokenMeta
from sweettok_cli.tokens.ragged import counts_name

#: Of arrays that are rows, how many rows came so far.
Rows = dict[str, int]

# Levels of an array with a model of their own; those beyond share the last one's.
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
class Layer:
    """Planes that are alike.

    Attributes:
        array: in which they lie.
        level: 0 where every position has a token, or a count; else that of the tokens, from 1.
        most: tokens of a position at most, where these are counts; else 0.
        columns: of a token, with indices of large codebooks split in two.
        parts: of each index of a token, what its value is divided by for its first column; 1 for one column.
        height: rows of a plane.
        width: cells of a row.
        planes: of a clip.
    """

    array: str
    level: int
    most: int
    columns: tuple[ColumnKind, ...]
    parts: tuple[int, ...]
    height: int
    width: int
    planes: int

    @property
    def model(self) -> str:
        """Name of the model that codes it."""
        return model_name(self.array, self.level)

    @property
    def cells(self) -> int:
        """Of a plane."""
        return self.height * self.width

    @property
    def symbols(self) -> int:
        """Of a plane in which every cell has a token; counts have none."""
        return self.cells * len(self.columns)

    def planes_of(self, array: np.ndarray) -> np.ndarray:
        """An array, or some clips of it, that is no rows, as a view [planes, cells, indices of a token]."""
        indices = 1 if self.most else len(self.parts)
        return array.reshape(len(array) * self.planes, self.cells, indices)

    def split(self, values: np.ndarray) -> np.ndarray:
        """Indices [..., indices] as symbols, int64 [..., columns].

        Of counts [..., 1] these are whether there is a first token, a second one, and so on.
        """
        if self.most:
            return (values > np.arange(self.most)).astype(np.int64)
        columns = []
        for place, part in enumerate(self.parts):
            value = values[..., place].astype(np.int64)
            columns += [value] if part == 1 else [value // part, value % part]
        return np.stack(columns, axis=-1) if columns else values.astype(np.int64)

    def join(self, symbols: np.ndarray) -> np.ndarray:
        """Undo :meth:`split`; but counts are what they are."""
        place, values = 0, []
        for part in self.parts:
            value = symbols[..., place]
            values.append(value if part == 1 else value * part + symbols[..., place + 1])
            place += 1 if part == 1 else 2
        return np.stack(values, axis=-1) if values else symbols

    def present(self, arrays: Mapping[str, np.ndarray], place: int) -> np.ndarray | None:
        """Which cells of a plane have a token, bool [cells]; None where all have."""
        if not self.level:
            return None
        counts = arrays[counts_name(self.array)]
        return counts.reshape(len(counts) * self.planes, self.cells)[place] >= self.level

    def rises(self, symbols: np.ndarray) -> bool:
        """Whether no symbol is smaller than the one before it of the same codebook."""
        return all(
            bool((symbols[..., place] >= symbols[..., place - 1]).all())
            for place, each in enumerate(self.columns)
            if each.shared
        )


def model_name(array: str, level: int) -> str:
    """Name of the model of an array's tokens: the array's, with a number for later levels."""
    return array if level < 2 else f"{array}.{min(level, _OWN_LEVELS)}"


def layers_of(meta: TokenMeta) -> list[Layer]:
    """All layers of a file's indices, in the order in which they are coded."""
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
            found.append(Layer(counts_name(name), 0, most, (), (), *lies))
            found += [Layer(name, level, 0, columns, parts, *lies) for level in range(1, most + 1)]
        else:
            found.append(Layer(name, 0, 0, columns, parts, *lies))
    return found


def planes_in(
    layers: Sequence[Layer], arrays: Mapping[str, np.ndarray], first: int, last: int, of_clip: int = 1
) -> Iterator[tuple[Layer, int, np.ndarray | None]]:
    """The planes of some units, from ``first`` to before ``last``, in the order in which they are coded.

    Those in which no cell has a token are left out.

    Args:
        layers: of the file.
        arrays: of the file; counts must be there when the planes that they count come.
        first: unit of the file.
        last: alike.
        of_clip: units that a clip has.

    Yields:
        The layer, the plane's place among all of it, and which of its cells have a token, bool [cells]; None
        where all have.
    """
    for unit in range(first, last):
        for layer in layers:
            of_unit = layer.planes // of_clip
            for place in range(unit * of_unit, (unit + 1) * of_unit):
                present = layer.present(arrays, place)
                if present is None or present.any():
                    yield layer, place, present


def rows_of(layer: Layer, present: np.ndarray, rows: Rows) -> slice:
    """Where in its array the rows of the next plane lie; ``rows`` is moved on."""
    begin = rows.get(layer.array, 0)
    rows[layer.array] = end = begin + int(np.count_nonzero(present))
    return slice(begin, end)


def symbols_of(
    layer: Layer, arrays: Mapping[str, np.ndarray], place: int, present: np.ndarray | None, rows: Rows
) -> np.ndarray:
    """The symbols of the next plane, int64 [cells, columns]; 0 where no token is."""
    array = arrays[layer.array]
    if present is None:
        return layer.split(layer.planes_of(array)[place])
    plane = np.zeros((layer.cells, len(layer.columns)), np.int64)
    plane[present] = layer.split(array[rows_of(layer, present, rows)])
    return plane


def columns_of(
    codebooks: Mapping[str, Sequence[int]], levels: Mapping[str, int]
) -> dict[str, tuple[ColumnKind, ...]]:
    """The columns of each model of words, by its name; ``levels`` are those of ragged arrays."""
    return {
        model_name(name, level): column_kinds(sizes)[0]
        for name, sizes in codebooks.items()
        for level in range(1, levels.get(name, 1) + 1)
    }
