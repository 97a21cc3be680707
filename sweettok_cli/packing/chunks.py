"""Chunks: planes that are coded together, and can be decoded without any other.

A chunk holds a whole number of *units*: of a clip's arrays all planes, or single planes of the one array of
grids. Latents are deflated, the lower bytes of all numbers before the higher ones. Indices begin with one
byte: a bit for each array whose tokens rise, or 80 (hexadecimal) where a model gains nothing; and go on as
:mod:`~sweettok_cli.packing.rans` codes them.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from sweettok_cli.packing.columns import Start
from sweettok_cli.packing.counts import CountModel, CountStart
from sweettok_cli.packing.layers import Layer, Rows, column_kinds, layers_of, planes_in, rows_of, symbols_of
from sweettok_cli.packing.planes import ArrayModel, EvenCoder, PlaneCoder, Reader, Writer
from sweettok_cli.packing.rans import CodeFault, fewest_bytes
from sweettok_cli.tokens.arrays import ARRAYS
from sweettok_cli.tokens.fault import TokenFault
from sweettok_cli.tokens.layout import count_bits
from sweettok_cli.tokens.meta import TokenMeta
from sweettok_cli.tokens.ragged import counts_name, rows_by_level

# Symbols of a chunk: more of them are coded better, fewer are read sooner.
_CHUNK_SYMBOLS = 1 << 16
# Cells that are coded together: a share of plane or unit, and not more than a short chunk pays for.
_BLOCKS, _UNIT_SYMBOLS, _LANE_SYMBOLS, _FEWEST_LANES, _MOST_LANES = 64, 160, 240, 4, 256
_DEFLATE = 9
_EVENLY = 0x80
#: Cells of a plane: a picture of 11,585 x 11,585 pixels with a token for every 8 x 8.
MAX_CELLS = 1 << 21


class ChunkCoder:
    """Codes the chunks of one token file, and decodes them."""

    def __init__(
        self,
        meta: TokenMeta,
        starts: Mapping[str, Sequence[Start]],
        counts: Mapping[str, CountStart] = MappingProxyType({}),
    ) -> None:
        """Plan the chunks.

        Args:
            meta: of the file.
            starts: what each model of words begins with, of each column, by its name; those left out know
                nothing.
            counts: what each model of counts begins with, by its array; alike.

        Raises:
            TokenFault: a plane is too large.
        """
        self.meta = meta
        self.layers = layers_of(meta)
        self._starts, self._count_starts = starts, counts
        self._named = [name for name in ARRAYS if name in meta.codebooks]
        if any(layer.cells > MAX_CELLS for layer in self.layers):
            problem = f"has more than {MAX_CELLS:,} tokens over one picture, the most that are packed"
            raise TokenFault(problem, "keep it as it is")
        # Of one array alone each plane is a unit: a stream is one clip, however long.
        self._of_clip = self.layers[0].planes if len(self.layers) == len(meta.shapes) == 1 else 1
        self._units = meta.clips * self._of_clip
        symbols = sum(layer.symbols * layer.planes for layer in self.layers if not layer.level)
        rows = sum(sum(meta.rows[name]) * len(column_kinds(meta.codebooks[name])[0]) for name in meta.levels)
        symbols = symbols // max(1, self._of_clip) + -(-rows // meta.clips)
        numbers = sum(math.prod(meta.shapes[name]) for name in meta.shapes if name not in meta.codebooks)
        counted = sum(layer.cells * layer.planes for layer in self.layers if layer.most)
        # What holds nothing at all is one chunk, whatever its number of clips.
        each = symbols + numbers or counted
        self._holds_indices = bool(symbols or counted)
        self._per_chunk = max(1, _CHUNK_SYMBOLS // each if each else self._units)
        self._unit_symbols = symbols

    def __len__(self) -> int:
        """How many chunks there are."""
        return -(-self._units // self._per_chunk)

    def encode(self, arrays: Mapping[str, np.ndarray], number: int, rows: Rows | None = None) -> bytes:
        """Code chunk ``number`` of the file's ``arrays``.

        ``rows`` is how many of them chunks before have, and is moved on; none by default.
        """
        coded = [_deflate(part) for part in self._numbers(arrays, number)]
        if self.layers:
            before, after = dict(rows or {}), {} if rows is None else rows
            how = sum(bit << n for n, bit in enumerate(self._rising(arrays, number, before)))
            modelled = self._encode_indices(arrays, number, how, after)
            evenly = self._true_bytes(arrays, number, before)
            coded.append(
                modelled if len(modelled) <= evenly else self._encode_indices(arrays, number, _EVENLY, before)
            )
        return b"".join(coded)

    def decode(
        self, coded: bytes, arrays: Mapping[str, np.ndarray], number: int, rows: Rows | None = None
    ) -> None:
        """Put chunk ``number`` into the file's ``arrays``.

        ``rows`` is where in them this chunk's begin, and is moved on; at the first one by default.

        Raises:
            CodeFault: no encoder wrote that.
            TokenFault: an index lies past its codebook.
        """
        for part in self._numbers(arrays, number):
            coded = _inflate(coded, part)
        if self.layers:
            self._decode_indices(coded, arrays, number, {} if rows is None else rows)
        elif coded:
            raise CodeFault("bytes are left")

    def fewest_bytes(self, number: int) -> int:
        """Bytes that a chunk takes at least."""
        return 1 + fewest_bytes(self.lanes(number)) if self.layers else 1

    def lanes(self, number: int) -> int:
        """How many cells are coded together."""
        first, last = self._range(number)
        cells = max((layer.cells for layer in self.layers), default=0)
        most = max(cells // _BLOCKS, self._unit_symbols // _UNIT_SYMBOLS)
        most = min(most, (last - first) * self._unit_symbols // _LANE_SYMBOLS, _MOST_LANES)
        return max(_FEWEST_LANES, 1 << max(0, most.bit_length() - 1))

    def _true_bytes(self, arrays: Mapping[str, np.ndarray], number: int, rows: Rows) -> float:
        """Bytes that a chunk's indices take where all symbols are alike, in about."""
        first, last = self._range(number)
        bits = sum(
            math.log2(column.symbols) * layer.cells * (layer.planes // self._of_clip)
            for layer in self.layers
            for column in layer.columns
            if not layer.level
        ) * (last - first)
        for name, most in self.meta.levels.items():
            counts = arrays[counts_name(name)][first:last]
            by_level = rows_by_level(counts, most)
            bits += count_bits(name, counts.size, by_level)
            bits += sum(by_level) * sum(
                math.log2(column.symbols) for column in column_kinds(self.meta.codebooks[name])[0]
            )
        return bits / 8 + self.fewest_bytes(number)

    def _rising(self, arrays: Mapping[str, np.ndarray], number: int, rows: Rows) -> list[bool]:
        """Of each array, whether in no token of a chunk an index is smaller than one before."""
        first, last = self._range(number)
        rising = []
        for name in self._named:
            layer = next(layer for layer in self.layers if layer.array == name)
            if layer.level:
                begin = rows.get(name, 0)
                count = int(arrays[counts_name(name)][first:last].sum(dtype=np.int64))
                values = arrays[name][begin : begin + count]
            else:
                of_unit = layer.planes // self._of_clip
                values = layer.planes_of(arrays[name])[first * of_unit : last * of_unit]
            rising.append(layer.rises(layer.split(values)))
        return rising

    def _encode_indices(self, arrays: Mapping[str, np.ndarray], number: int, how: int, rows: Rows) -> bytes:
        writer, coders = Writer(self.lanes(number)), self._coders(number, how)
        for layer, place, present in self._order(arrays, number):
            writer.plane = symbols_of(layer, arrays, place, present, rows)
            coders[layer.model].code(writer, layer.height, layer.width, present, layer.level)
        return bytes([how]) + writer.coded()

    def _decode_indices(
        self, coded: bytes, arrays: Mapping[str, np.ndarray], number: int, rows: Rows
    ) -> None:
        if len(coded) < self.fewest_bytes(number):
            raise CodeFault("too few bytes")
        if coded[0] >> len(self._named) and coded[0] != _EVENLY:
            raise CodeFault("an unknown way of coding")
        reader, coders = Reader(coded[1:], self.lanes(number)), self._coders(number, coded[0])
        for layer, place, present in self._order(arrays, number):
            symbols = coders[layer.model].code(reader, layer.height, layer.width, present, layer.level)
            values = layer.join(symbols if present is None else symbols[present])
            self.meta.check_values(
                layer.array, values if layer.most or ARRAYS[layer.array].columns else values[..., 0]
            )
            if present is None:
                layer.planes_of(arrays[layer.array])[place] = values
            else:
                here = rows_of(layer, present, rows)
                if here.stop > len(arrays[layer.array]):
                    raise CodeFault("more tokens than are described")
                arrays[layer.array][here] = values
        reader.finish()

    def _order(
        self, arrays: Mapping[str, np.ndarray], number: int
    ) -> Iterator[tuple[Layer, int, np.ndarray | None]]:
        """The planes of a chunk as they are coded."""
        first, last = self._range(number)
        if self._holds_indices:
            yield from planes_in(self.layers, arrays, first, last, self._of_clip)

    def _coders(self, number: int, how: int) -> dict[str, PlaneCoder]:
        """What codes the layers, by the names of their models."""
        lanes, coders = self.lanes(number), dict[str, PlaneCoder]()
        for layer in self.layers:
            if layer.most:
                start = self._count_starts.get(layer.model) or CountStart.unknowing()
                coders[layer.model] = counter = CountModel(start, layer.most, lanes)
                counter.restart(layer.planes)
            elif how == _EVENLY:
                coders[layer.model] = EvenCoder([each.symbols for each in layer.columns], lanes)
            elif layer.model not in coders:
                model = ArrayModel(
                    self._starts.get(layer.model)
                    or [Start.unknowing(each.symbols) for each in layer.columns],
                    [each.shared for each in layer.columns],
                    lanes,
                )
                model.restart(rising=bool(how >> self._named.index(layer.array) & 1))
                coders[layer.model] = model
        return coders

    def _range(self, number: int) -> tuple[int, int]:
        first = number * self._per_chunk
        return first, min(first + self._per_chunk, self._units)

    def _numbers(self, arrays: Mapping[str, np.ndarray], number: int) -> Iterator[np.ndarray]:
        """The parts of latents that a chunk holds, views."""
        for name in self.meta.shapes:
            if name not in self.meta.codebooks:
                yield arrays[name][slice(*self._range(number))]


def _deflate(numbers: np.ndarray) -> bytes:
    data = np.ascontiguousarray(numbers).view(np.uint8).reshape(-1, numbers.itemsize)
    return zlib.compress(data.T.tobytes(), _DEFLATE)


def _inflate(coded: bytes, numbers: np.ndarray) -> bytes:
    """Fill ``numbers``, and give back what follows them."""
    size = numbers.nbytes
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(coded, size + 1)
    except zlib.error as error:
        raise CodeFault("no deflated numbers") from error
    if len(data) != size or not stream.eof:
        raise CodeFault("another number of bytes")
    bytewise = np.frombuffer(data, np.uint8).reshape(numbers.itemsize, -1)
    numbers[...] = np.ascontiguousarray(bytewise.T).view(numbers.dtype).reshape(numbers.shape)
    return stream.unused_data
