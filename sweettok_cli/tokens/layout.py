"""How the tokens of a clip lie in its arrays, and what they cost: tokens, indices, bits."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sweettok_cli.tokens.meta import ARRAYS, TokenMeta

#: Bits that a number of a continuous latent takes in a token file.
LATENT_BITS = 16


def tokens_in(array: str, shape: Sequence[int]) -> int:
    """Tokens of one clip's array, what papers count: rows of SweetTok's arrays, cells of a grid."""
    return shape[0] if ARRAYS[array].columns else math.prod(shape[-3:])


def bits_in(array: str, shape: Sequence[int], sizes: Sequence[int] | None) -> float:
    """True bits of one clip's array: log2 of its codebook's size for every index, 16 for every latent number.

    Args:
        array: its name, a key of :data:`~sweettok_cli.tokens.meta.ARRAYS`.
        shape: of one clip.
        sizes: of the codebook behind each index of a token; None for continuous latents.
    """
    if sizes is None:
        return LATENT_BITS * math.prod(shape)
    return tokens_in(array, shape) * math.fsum(map(math.log2, sizes))


class TokenLayout(ABC):
    """How the tokens of a clip lie in its arrays."""

    @abstractmethod
    def shapes(self, frames: int, height: int, width: int) -> dict[str, tuple[int, ...]]:
        """Shape of each array of one clip of ``frames`` frames of ``height`` x ``width`` padded pixels."""

    def time_axis(self, array: str) -> int:
        """Axis of one clip's ``array`` along which time runs."""
        raise ValueError(f"{array} has no time axis")


@dataclass(frozen=True)
class TiledTokens(TokenLayout):
    """SweetTok: a list of spatial and one of temporal tokens, so many for each tile of a clip.

    The default is 256 spatial and 1024 temporal tokens at 256x256 (SweetTok, section 3).
    """

    tile: int = 64  # pixels of a side
    per_tile: Mapping[str, int] = field(default_factory=lambda: {"spatial": 16, "temporal": 64})
    columns: int = 3  # indices a token holds: modifier, modifier, head

    def shapes(self, frames: int, height: int, width: int) -> dict[str, tuple[int, ...]]:
        """``{"spatial": (256, 3), "temporal": (1024, 3)}``; a single frame has no motion, so (0, 3)."""
        tiles = (height // self.tile) * (width // self.tile)
        counts = {name: count * tiles for name, count in self.per_tile.items()}
        if frames == 1:
            counts["temporal"] = 0
        return {name: (count, self.columns) for name, count in counts.items()}


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
        grid = self.latent_frames(frames), height // self.space, width // self.space
        return {"indices": grid} if self.channels is None else {"latents": (self.channels, *grid)}

    def time_axis(self, array: str) -> int:
        """0 for indices, 1 for latents."""
        return 1 if array == "latents" else 0

    def latent_frames(self, frames: int) -> int:
        """Cells along time for a clip of ``frames`` frames; one that is not full counts."""
        first = int(self.first_alone)
        return first + -(-(frames - first) // self.time)


@dataclass(frozen=True)
class TokenizerSpec:
    """The facts about a loaded tokenizer.

    Attributes:
        name: the model's name, as written into token files and given to ``--model``.
        family: of the model, as written into token files.
        clip_frames: frames in one clip.
        multiple: frame width and height must be multiples of this many pixels.
        codebooks: sizes of the codebook behind each index column, e.g. ``{"spatial": [n_adjectives,
            n_adjectives, n_nouns], "temporal": [...]}`` or ``{"indices": [8192]}``; empty for continuous
            latents.
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

        An ``image`` is a clip of one frame; ``frames`` is given for a stream.
        """
        if height % self.multiple or width % self.multiple:
            raise ValueError(f"{width}x{height} is not a multiple of {self.multiple} pixels")
        return self.layout.shapes(1 if image else frames or self.clip_frames, height, width)

    def tokens_per_clip(self, height: int, width: int, image: bool = False) -> dict[str, int]:
        """Tokens in each array of one clip of ``height`` x ``width`` (padded) pixels."""
        shapes = self.clip_shapes(height, width, image)
        return {name: tokens_in(name, shape) for name, shape in shapes.items()}

    def indices_per_clip(self, height: int, width: int, image: bool = False) -> int:
        """Codebook indices of one clip: three a token for SweetTok; none for continuous latents."""
        counts = self.tokens_per_clip(height, width, image)
        return sum(count * len(self.codebooks.get(name, ())) for name, count in counts.items())

    def bits_per_clip(self, height: int, width: int, image: bool = False) -> float:
        """True bits of one clip (:func:`bits_in`)."""
        shapes = self.clip_shapes(height, width, image)
        return math.fsum(bits_in(name, shape, self.codebooks.get(name)) for name, shape in shapes.items())

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
        indices: codebook indices behind them; three a token for SweetTok. 0 for continuous latents.
        bits: sum over all indices of log2(codebook size); 16 for each value of continuous latents.
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
    counts = {name: tokens_in(name, shape) for name, shape in meta.shapes.items()}
    indices = sum(count * len(meta.codebooks.get(name, ())) for name, count in counts.items())
    per_clip = math.fsum(
        bits_in(name, shape, meta.codebooks.get(name)) for name, shape in meta.shapes.items()
    )
    bits = per_clip * meta.clips
    return TokenCost(
        tokens=sum(counts.values()) * meta.clips,
        indices=indices * meta.clips,
        bits=bits,
        bits_per_clip=per_clip,
        bits_per_pixel=bits / (meta.width * meta.height * meta.frames),
        kbit_per_second=None if meta.duration is None else bits / 1000 / float(meta.duration),
    )


@dataclass
class CostCounter:
    """Tokens, indices and true bits of all arrays added so far, in the units of :class:`TokenCost`.

    Attributes:
        spec: of the tokenizer that made them.
        clips: the model's clips; a stream is one, however many pieces it comes in.
    """

    spec: TokenizerSpec
    clips: int = 0
    tokens: int = 0
    indices: int = 0
    bits: float = 0.0

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Count one batch of clips, ``[clips, ...]`` an array, or one piece of a stream."""
        count = len(next(iter(arrays.values())))
        self.clips = 1 if self.spec.stream_frames is not None else self.clips + count
        for name, array in arrays.items():
            sizes = self.spec.codebooks.get(name)
            self.tokens += count * tokens_in(name, array.shape[1:])
            self.indices += 0 if sizes is None else array.size
            self.bits += count * bits_in(name, array.shape[1:], sizes)
