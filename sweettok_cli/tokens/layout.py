"""How the tokens of a clip lie in its arrays, and what they cost: tokens, indices, bits."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from sweettok_cli.tokens.arrays import ARRAYS
from sweettok_cli.tokens.meta import TokenMeta
from sweettok_cli.tokens.ragged import COUNTED, clips_in, counts_name, rows_by_level

#: Bits that a number of a continuous latent takes in a token file.
LATENT_BITS = 16


def tokens_in(array: str, shape: Sequence[int]) -> int:
    """Tokens of one clip's array, what papers count: words of SweetTok's arrays, cells of a grid."""
    return math.prod(shape[:-1] if ARRAYS[array].columns else shape[-3:])


def bits_in(array: str, shape: Sequence[int], sizes: Sequence[int] | None) -> float:
    """True bits of one clip's array: log2 of its codebook's size for every index, 16 for every latent number.

    Args:
        array: its name, a key of :data:`~sweettok_cli.tokens.meta.ARRAYS`.
        shape: of one clip; of rows of a ragged array, that of the rows.
        sizes: of the codebook behind each index of a token; None for continuous latents.
    """
    if sizes is None:
        return LATENT_BITS * math.prod(shape)
    return tokens_in(array, shape) * math.fsum(map(math.log2, sizes))


def count_bits(array: str, positions: int, rows: Sequence[int]) -> float:
    """True bits of how many tokens each position of a ragged array has.

    Level by level, it is said how many of the positions that have all tokens before have one more, and which
    of them: log2(n + 1) + log2(n over k), where k of n have one. A code reaches that (enumerative coding,
    Cover, IEEE Transactions on Information Theory, 1973).

    Args:
        array: its name, a key of :data:`~sweettok_cli.tokens.arrays.ARRAYS`.
        positions: of all clips together.
        rows: how many first tokens they have, how many second ones, and so on.
    """
    optional = [positions, *rows[ARRAYS[array].least or 0 :]]
    return math.fsum(math.log2(before + 1) + _log2_ways(before, here) for before, here in pairwise(optional))


def _log2_ways(total: int, chosen: int) -> float:
    """Log2 of how many sets of ``chosen`` there are of ``total``."""
    if chosen in (0, total):
        return 0.0
    ways = math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
    return ways / math.log(2)


class TokenLayout(ABC):
    """How the tokens of a clip lie in its arrays.

    Attributes:
        levels: tokens that a position has at most, of the arrays where that varies; empty where none does.
    """

    levels: Mapping[str, int] = MappingProxyType({})

    @property
    def fixed(self) -> TokenLayout:
        """The layout without levels: of what a model with levels gives if every position has one token."""
        return self

    @abstractmethod
    def shapes(self, frames: int, height: int, width: int) -> dict[str, tuple[int, ...]]:
        """Shape of each array of one clip of ``frames`` frames of ``height`` x ``width`` padded pixels."""

    def time_axis(self, array: str) -> int:
        """Axis of one clip's ``array`` along which time runs."""
        raise ValueError(f"{array} has no time axis")


@dataclass(frozen=True)
class GridTokens(TokenLayout):
    """One token for each cell of a grid over time, height and width.

    Attributes:
        time: frames a cell spans; the first frame of a clip has cells of its own where ``first_alone``.
        space: side of a cell in pixels.
        first_alone: whether clips are 1 + ``time`` * k frames long, or ``time`` * k.
        channels: numbers that a cell holds, for continuous latents; None for one codebook index.
    """

    time: int
    space: int
    first_alone: bool = True
    channels: int | None = None

    def shapes(self, frames: int, height: int, width: int) -> dict[str, tuple[int, ...]]:
        """``{"indices": (t, h, w)}`` or ``{"latents": (channels, t, h, w)}``."""
        grid = self.grid(frames, height, width)
        return {"indices": grid} if self.channels is None else {"latents": (self.channels, *grid)}

    def grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Cells along time, height and width."""
        return self.latent_frames(frames), height // self.space, width // self.space

    def time_axis(self, array: str) -> int:
        """0 for indices, 1 for latents."""
        return 1 if array == "latents" else 0

    def latent_frames(self, frames: int) -> int:
        """Cells along time for a clip of ``frames`` frames; one that is not full counts."""
        first = int(self.first_alone)
        return first + -(-(frames - first) // self.time)


@dataclass(frozen=True)
class TiledTokens(TokenLayout):
    """SweetTok: a list of spatial and one of temporal tokens, so many for each tile of a clip.

    The default is 256 spatial and 1024 temporal tokens at 256x256 (SweetTok, section 3). With ``levels`` the
    temporal ones are positions that may have none, and cells of latent frames and patches may have tokens of
    ``detail`` (:mod:`sweettok_cli.tokens.ragged`).
    """

    tile: int = 64  # pixels of a side
    per_tile: Mapping[str, int] = field(default_factory=lambda: {"spatial": 16, "temporal": 64})
    columns: int = 3  # indices a spatial or temporal token holds: modifier, modifier, head
    levels: Mapping[str, int] = field(default_factory=dict)
    cells: GridTokens = GridTokens(time=4, space=8)  # of detail, where there are levels

    @property
    def fixed(self) -> TiledTokens:
        """As :attr:`TokenLayout.fixed`: neither levels nor detail."""
        return replace(self, levels={})

    def shapes(self, frames: int, height: int, width: int) -> dict[str, tuple[int, ...]]:
        """``{"spatial": (256, 3), "temporal": (1024, 3)}``; a single frame has no motion, so (0, 3).

        With levels of it also ``{"detail": (5, 32, 32, 1)}``: a noun each.
        """
        tiles = (height // self.tile) * (width // self.tile)
        counts = {name: count * tiles for name, count in self.per_tile.items()}
        if frames == 1:
            counts["temporal"] = 0
        shapes: dict[str, tuple[int, ...]] = {name: (count, self.columns) for name, count in counts.items()}
        if "detail" in self.levels:
            shapes["detail"] = (*self.cells.grid(frames, height, width), 1)
        return shapes


@dataclass(frozen=True)
class TokenizerSpec:
    """The facts about a loaded tokenizer.

    Attributes:
        name: the model's name, as written into token files and given to ``--model``.
        family: of the model, as written into token files.
        clip_frames: frames in one clip.
        multiple: frame width and height must be multiples of this many pixels.
        codebooks: sizes of the codebook behind each index column, e.g. ``{"spatial": [n_adjectives,
            n_adjectives, n_nouns], "temporal": [...]}``, with levels ``"detail": [n_nouns]``; or
            ``{"indices": [8192]}``; empty for continuous latents.
        weights_sha256: of the weights file, lower-case hex; token files decode only with the same weights.
        images: whether a single image can be encoded (a clip of one frame).
        layout: how a clip's tokens lie in its arrays.
        value_range: of the pixels inside the network; outside they are always 8-bit.
        stream_frames: for tokenizers that carry their state from one piece of a video to the next: frames in
            a piece after the first, which is one frame. The whole video is one clip then. None for all
            others.
        soft_seams: whether decoding evens out the jump between clips (see :mod:`sweettok_cli.video.clips`).
    """

    name: str
    family: str = "sweettok"
    clip_frames: int = 17
    multiple: int = 64
    codebooks: Mapping[str, list[int]] = field(default_factory=dict)
    weights_sha256: str = ""
    images: bool = True
    layout: TokenLayout = field(default_factory=TiledTokens)
    value_range: tuple[float, float] = (-0.5, 0.5)
    stream_frames: int | None = None
    soft_seams: bool = False

    def clip_shapes(
        self, height: int, width: int, image: bool = False, frames: int | None = None
    ) -> dict[str, tuple[int, ...]]:
        """Shape of each array of one clip of ``height`` x ``width`` (padded) pixels, without the clip axis.

        An ``image`` is a clip of one frame; ``frames`` is given for a stream. With levels, it is the shape of
        one token at every position.
        """
        if height % self.multiple or width % self.multiple:
            raise ValueError(f"{width}x{height} is not a multiple of {self.multiple} pixels")
        return self.layout.shapes(1 if image else frames or self.clip_frames, height, width)

    @property
    def levels(self) -> Mapping[str, int]:
        """Tokens that a position has at most, of the arrays where that varies; empty where none does."""
        return self.layout.levels

    @property
    def fixed(self) -> TokenizerSpec:
        """Of the same model without levels, whose tokens a model with levels may give, too."""
        books = {name: sizes for name, sizes in self.codebooks.items() if ARRAYS[name].version == 1}
        return replace(self, layout=self.layout.fixed, codebooks=books)

    def tokens_per_clip(
        self, height: int, width: int, image: bool = False, least: bool = False
    ) -> dict[str, int]:
        """Tokens in each array of one clip of ``height`` x ``width`` (padded) pixels.

        With levels, clips differ: it is the most that one may have, or the ``least``.
        """
        shapes = self.clip_shapes(height, width, image)
        return {name: tokens_in(name, shape) * self._tokens_at(name, least) for name, shape in shapes.items()}

    def indices_per_clip(self, height: int, width: int, image: bool = False, least: bool = False) -> int:
        """Codebook indices behind :meth:`tokens_per_clip`; none for continuous latents."""
        counts = self.tokens_per_clip(height, width, image, least)
        return sum(count * len(self.codebooks.get(name, ())) for name, count in counts.items())

    def bits_per_clip(self, height: int, width: int, image: bool = False, least: bool = False) -> float:
        """True bits of :meth:`tokens_per_clip`, and with levels of how many each position has."""
        shapes = self.clip_shapes(height, width, image)
        bits = [
            self._tokens_at(name, least) * bits_in(name, shape, self.codebooks.get(name))
            for name, shape in shapes.items()
        ]
        for name, most in self.levels.items():
            positions, each = tokens_in(name, shapes[name]), self._tokens_at(name, least)
            bits.append(count_bits(name, positions, [positions * (level < each) for level in range(most)]))
        return math.fsum(bits)

    def _tokens_at(self, array: str, least: bool) -> int:
        """How many tokens a position has at most, or at ``least``."""
        if array not in self.levels:
            return 1
        return ARRAYS[array].least or 0 if least else self.levels[array]

    def cell_of(self, frame: int, overlap: int = 0) -> tuple[int, int]:
        """Which clip adds ``frame`` (from 0) to those before, and in which of its latent frames it lies."""
        assert isinstance(self.layout, TiledTokens)
        later, place = divmod(frame - self.clip_frames, self.clip_frames - overlap)
        clip, place = (0, frame) if later < 0 else (1 + later, overlap + place)
        return clip, self.layout.cells.latent_frames(place + 1) - 1

    def begins_clip(self, frame: int, overlap: int = 0) -> bool:
        """Whether ``frame`` (from 0) is the first that a clip or a piece of a stream adds to those before."""
        if self.stream_frames is not None:
            return frame == 0 or (frame - 1) % self.stream_frames == 0
        if frame < self.clip_frames:
            return frame == 0
        return (frame - self.clip_frames) % (self.clip_frames - overlap) == 0

    def stream_length(self, frames: int) -> int:
        """Frames of the one clip that a streamed video of ``frames`` frames becomes; the last is repeated."""
        assert isinstance(self.layout, GridTokens)
        return 1 + self.layout.time * -(-(frames - 1) // self.layout.time)


@dataclass(frozen=True)
class TokenCost:
    """The price of one token file.

    Attributes:
        tokens: of all clips; what papers count, e.g. 1280 for 17x256x256.
        indices: codebook indices behind them; three a token for SweetTok, one a token of detail. 0 for
            continuous latents.
        bits: sum over all indices of log2(codebook size), and with levels how many each position has
            (:func:`count_bits`); 16 for each value of continuous latents.
        bits_per_clip: ``bits`` shared among the clips.
        bits_per_pixel: ``bits`` over the source's width, height and frames; padding earns nothing.
        kbit_per_second: thousand bits a second of the source, or None for an image.
    """

    tokens: int
    indices: int
    bits: float
    bits_per_clip: float
    bits_per_pixel: float
    kbit_per_second: float | None


def token_cost(meta: TokenMeta) -> TokenCost:
    """The price of the tokens that ``meta`` describes."""
    tokens = indices = 0
    each = []  # true bits of a clip, of ragged arrays on average
    for name, shape in meta.shapes.items():
        sizes = meta.codebooks.get(name)
        if name in meta.levels:
            count = sum(meta.rows[name])
            whole = bits_in(name, meta.array_shape(name), sizes)
            whole += count_bits(name, meta.clips * meta.positions(name), meta.rows[name])
            each.append(whole / meta.clips)
        else:
            count = meta.clips * tokens_in(name, shape)
            each.append(bits_in(name, shape, sizes))
        tokens += count
        indices += count * len(sizes or ())
    per_clip = math.fsum(each)
    bits = per_clip * meta.clips
    return TokenCost(
        tokens=tokens,
        indices=indices,
        bits=bits,
        bits_per_clip=per_clip,
        bits_per_pixel=bits / (meta.width * meta.height * meta.frames),
        kbit_per_second=None if meta.duration is None else bits / 1000 / float(meta.duration),
    )


@dataclass
class CostCounter:
    """Tokens, indices and true bits of all arrays added so far, those of one video, as its file states them.

    Attributes:
        spec: of the tokenizer that made them.
        clips: the model's clips; a stream is one, however many pieces it comes in.
    """

    spec: TokenizerSpec
    clips: int = 0
    tokens: int = 0
    indices: int = 0
    _index_bits: float = 0.0
    _positions: dict[str, int] = field(default_factory=dict)  # of ragged arrays
    _rows: dict[str, tuple[int, ...]] = field(default_factory=dict)  # of ragged arrays, by level

    @property
    def bits(self) -> float:
        """True bits, as :attr:`TokenCost.bits`."""
        counts = [count_bits(name, self._positions[name], rows) for name, rows in self._rows.items()]
        return math.fsum([self._index_bits, *counts])

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Count one batch of clips, arrays ``[clips, ...]`` or ``[rows, ...]``, or one piece of a stream."""
        count = clips_in(arrays)
        self.clips = 1 if self.spec.stream_frames is not None else self.clips + count
        for name, array in arrays.items():
            if name in COUNTED:
                self._count(COUNTED[name], array)
                continue
            sizes = self.spec.codebooks.get(name)
            times, shape = (1, array.shape) if counts_name(name) in arrays else (count, array.shape[1:])
            self.tokens += times * tokens_in(name, shape)
            self.indices += 0 if sizes is None else array.size
            self._index_bits += times * bits_in(name, shape, sizes)

    def _count(self, name: str, counts: np.ndarray) -> None:
        levels = self.spec.levels[name]
        before = self._rows.get(name, (0,) * levels)
        self._rows[name] = tuple(map(sum, zip(before, rows_by_level(counts, levels), strict=True)))
        self._positions[name] = self._positions.get(name, 0) + counts.size
