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

import numpy as np

from sweettok_cli.packing.columns import Start
from sweettok_cli.packing.planes import ArrayModel, EvenCoder, PlaneCoder, Reader, Writer
from sweettok_cli.packing.rans import CodeFault, fewest_bytes
from sweettok_cli.packing.tracks import Track, tracks_of
from sweettok_cli.tokens.arrays import ARRAYS
from sweettok_cli.tokens.fault import TokenFault
from sweettok_cli.tokens.meta import TokenMeta
from sweettok_cli.tokens.ragged import counts_name

# Symbols of a chunk: more of them are coded better, fewer are read sooner.
_CHUNK_SYMBOLS = 1 << 16
# Cells that are coded together: a share of plane or unit, and not more than a short chunk pays for.
_BLOCKS, _UNIT_SYMBOLS, _LANE_SYMBOLS, _FEWEST_LANES, _MOST_LANES = 64, 160, 240, 4, 256
_DEFLATE = 9
_EVENLY = 0x80
#: Cells of a plane: a picture of 11,585 x 11,585 pixels with a token for every 8 x 8.
MAX_CELLS = 1 << 21

#: Of arrays that are rows, how many rows came before: moved on by every chunk.
Rows = dict[str, int]


class ChunkCoder:
    """Codes the chunks of one token file, and decodes them; where arrays are rows, one after the other."""

    def __init__(self, meta: TokenMeta, starts: Mapping[str, Sequence[Start]]) -> None:
        """Plan the chunks.

        Args:
            meta: of the file.
            starts: what each model begins with, of each column, by its name; those left out know nothing.

        Raises:
            TokenFault: a plane is too large.
        """
        self.meta = meta
        self.tracks = tracks_of(meta)
        self._named = [name for name in ARRAYS if name in meta.codebooks]
        self._starts = {
            track.model: starts.get(track.model) or [Start.unknowing(each.symbols) for each in track.columns]
            for track in self.tracks
        }
        if any(track.cells > MAX_CELLS for track in self.tracks):
            problem = f"has more than {MAX_CELLS:,} tokens over one picture, the most that are packed"
            raise TokenFault(problem, "keep it as it is")
        # Of one array alone each plane is a unit: a stream is one clip, however long.
        self._of_clip = self.tracks[0].planes if len(self.tracks) == len(meta.shapes) == 1 else 1
        self._units = meta.clips * self._of_clip
        rows = sum(sum(meta.rows[name]) * len(meta.codebooks[name]) for name in meta.levels)
        dense = [track for track in self.tracks if not track.level]
        symbols = sum(track.cells * track.planes * len(track.columns) for track in dense)
        self._unit_symbols = symbols // max(1, self._of_clip) + -(-rows // max(1, meta.clips))
        numbers = sum(math.prod(meta.shapes[name]) for name in meta.shapes if name not in meta.codebooks)
        # What holds nothing at all is one chunk, whatever its number of clips.
        each = self._unit_symbols + numbers
        self._per_chunk = max(1, _CHUNK_SYMBOLS // each if each else self._units)

    def __len__(self) -> int:
        """How many chunks there are."""
        return -(-self._units // self._per_chunk)

    def encode(self, arrays: Mapping[str, np.ndarray], number: int, rows: Rows) -> bytes:
        """Code chunk ``number`` of the file's ``arrays``."""
        coded = [_deflate(part) for part in self._numbers(arrays, number)]
        if self.tracks:
            after, rising = dict(rows), self.rising(arrays, number, rows)
            how = sum((name in rising) << place for place, name in enumerate(self._named))
            modelled, bits = self._encode_indices(arrays, number, after, how)
            if 8 * len(modelled) > bits + 8 * self.fewest_bytes(number):
                modelled, _ = self._encode_indices(arrays, number, dict(rows), _EVENLY)
            rows.update(after)
            coded.append(modelled)
        return b"".join(coded)

    def decode(self, coded: bytes, arrays: Mapping[str, np.ndarray], number: int, rows: Rows) -> None:
        """Put chunk ``number`` into the file's ``arrays``.

        Raises:
            CodeFault: no encoder wrote that.
        """
        for part in self._numbers(arrays, number):
            coded = _inflate(coded, part)
        if self.tracks:
            self._decode_indices(coded, arrays, number, rows)
        elif coded:
            raise CodeFault("bytes are left")

    def planes(
        self, arrays: Mapping[str, np.ndarray], number: int, rows: Rows
    ) -> Iterator[tuple[Track, np.ndarray, np.ndarray | None]]:
        """The planes of a chunk as they are coded: track, symbols [cells, columns], cells that are there."""
        for track, place in self._order(number):
            present = track.present(arrays, place)
            whole = track.whole(arrays)
            if present is None:
                yield track, track.split(whole[place]), None
                continue
            begin = rows.get(track.array, 0)
            rows[track.array] = end = begin + int(np.count_nonzero(present))
            plane = np.zeros((track.cells, len(track.columns)), np.int64)
            plane[present] = track.split(whole[begin:end])
            yield track, plane, present

    def fewest_bytes(self, number: int) -> int:
        """Bytes that a chunk takes at least."""
        return 1 + fewest_bytes(self.lanes(number)) if self.tracks else 1

    def lanes(self, number: int) -> int:
        """How many cells are coded together."""
        first, last = self._range(number)
        cells = max((track.cells for track in self.tracks), default=0)
        most = max(cells // _BLOCKS, self._unit_symbols // _UNIT_SYMBOLS)
        most = min(most, (last - first) * self._unit_symbols // _LANE_SYMBOLS, _MOST_LANES)
        return max(_FEWEST_LANES, 1 << max(0, most.bit_length() - 1))

    def _encode_indices(
        self, arrays: Mapping[str, np.ndarray], number: int, rows: Rows, how: int
    ) -> tuple[bytes, float]:
        """The coded bytes, and the bits that they would take were all symbols alike."""
        writer, coders, bits = Writer(self.lanes(number)), self._coders(number, how), 0.0
        for track, plane, present in self.planes(arrays, number, rows):
            writer.plane = plane
            coders[track.model].code(writer, track.height, track.width, present)
            cells = track.cells if present is None else int(np.count_nonzero(present))
            bits += cells * math.fsum(math.log2(each.symbols) for each in track.columns)
        return bytes([how]) + writer.coded(), bits

    def _decode_indices(
        self, coded: bytes, arrays: Mapping[str, np.ndarray], number: int, rows: Rows
    ) -> None:
        if len(coded) < self.fewest_bytes(number):
            raise CodeFault("too few bytes")
        if coded[0] >> len(self._named) and coded[0] != _EVENLY:
            raise CodeFault("an unknown way of coding")
        reader, coders = Reader(coded[1:], self.lanes(number)), self._coders(number, coded[0])
        for track, place in self._order(number):
            present, whole = track.present(arrays, place), track.whole(arrays)
            symbols = coders[track.model].code(reader, track.height, track.width, present)
            if present is None:
                whole[place] = self._checked(track, symbols)
                continue
            values = self._checked(track, symbols[present])
            begin = rows.get(track.array, 0)
            rows[track.array] = end = begin + len(values)
            if end > len(whole):
                raise CodeFault("more tokens than are described")
            whole[begin:end] = values
        reader.finish()

    def _checked(self, track: Track, symbols: np.ndarray) -> np.ndarray:
        values = track.join(symbols)
        if track.array in self.meta.codebooks:
            sizes = np.array(self.meta.codebooks[track.array])
            if (values >= sizes).any():
                raise CodeFault("an index past its codebook")
        return values

    def _order(self, number: int) -> Iterator[tuple[Track, int]]:
        """The planes of a chunk as they are coded: track, place among all its planes."""
        first, last = self._range(number)
        for unit in range(first, last if self._unit_symbols else first):
            for track in self.tracks:
                of_unit = track.planes // self._of_clip
                for place in range(unit * of_unit, (unit + 1) * of_unit):
                    yield track, place

    def _coders(self, number: int, how: int) -> dict[str, PlaneCoder]:
        """What codes the tracks, by the names of their models."""
        lanes, coders = self.lanes(number), dict[str, PlaneCoder]()
        rising = {name for place, name in enumerate(self._named) if how >> place & 1}
        for track in self.tracks:
            if how == _EVENLY:
                coders[track.model] = EvenCoder([each.symbols for each in track.columns], lanes)
            elif track.model not in coders:
                model = ArrayModel(self._starts[track.model], [each.shared for each in track.columns], lanes)
                model.restart(track.array in rising)
                coders[track.model] = model
        return coders

    def rising(self, arrays: Mapping[str, np.ndarray], number: int, rows: Rows) -> set[str]:
        """The arrays in whose tokens no index is smaller than the one before of the same codebook."""
        first, last = self._range(number)
        found = set()
        for name in self._named:
            track = next(track for track in self.tracks if track.array == name)
            of_unit, whole = track.planes // self._of_clip, track.whole(arrays)
            part = whole[first * of_unit : last * of_unit]
            if track.level:
                begin = rows.get(name, 0)
                part = whole[begin : begin + int(arrays[counts_name(name)][first:last].sum(dtype=np.int64))]
            if track.rises(part):
                found.add(name)
        return found

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
