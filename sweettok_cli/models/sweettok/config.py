"""What a SweetTok network looks like: one frozen dataclass for the published network and for smaller ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.models.common.settings import (
    Absent,
    Blocks,
    OneOf,
    Real,
    Several,
    Truth,
    Whole,
    check_settings,
    describe_settings,
    override_settings,
)
from sweettok_cli.models.common.tiles import TileGrid
from sweettok_cli.models.common.transformer import StackConfig

Side: TypeAlias = Annotated[int, Whole(1, 64)]
Width: TypeAlias = Annotated[int, Whole(1, 16_384)]
Widths: TypeAlias = Annotated[tuple[int, int] | None, Absent(Several(Whole(1, 16_384), 2, 2))]
Weight: TypeAlias = Annotated[float, Real(0, 1e6)]
Flag: TypeAlias = Annotated[bool, Truth()]


@dataclass(frozen=True)
class SweetTokConfig:
    """Shape of the network; the defaults are the published one ("compact").

    Sizes of tiles and queries are sides of squares: a tile of ``tile x tile`` patches owns
    ``spatial_queries x spatial_queries`` spatial queries and one temporal query for each patch column.
    """

    dim: Width = 512
    heads: Annotated[int, Whole(1, 256)] = 8
    head_dim: Annotated[int, Whole(4, 1024)] = 64
    # Round the inner width of feed-forward layers up to this multiple.
    ff_multiple: Annotated[int, Whole(1, 4096)] = 1
    patch: Side = 8  # pixels
    temporal_patch: Side = 4  # frames after the first one that share a latent frame
    frames: Annotated[int, Whole(1, 1025)] = 17  # clip length that decoding assumes unless told otherwise
    tile: Side = 32  # patches
    spatial_queries: Side = 16
    window: Annotated[int, Whole(1, 32)] = 8  # cells of the ``w`` layers
    encoder_spatial: Annotated[str, Blocks("twas")] = "ttwwtttt"
    encoder_temporal: Annotated[str, Blocks("twas")] = "tttt"
    decoder_spatial: Annotated[str, Blocks("twas")] = "tttttttt"
    temporal_every: Side = 2  # the decoder reads motion after every so many spatial layers
    null_keys: Annotated[int, Whole(0, 64)] = 2
    scrambled: Flag = True  # temporal position convolutions on the published, unpermuted view
    decoder_reads: Side = 1  # the decoder reads appearance in every so many spatial layers
    # Share of each of the prior's lists that a new network takes, the first words; a model says what it took.
    words: Annotated[float, Real(0, 1)] = 1.0
    code_dim: Width = 256  # width of a projected word, and of a modifier or head vector unless given below
    spatial_code: Widths = None  # widths (modifier, head) that words are mapped to
    temporal_code: Widths = None
    # What codes are made of: the words' vectors, random vectors in their place, or nothing: all are learned.
    codebook: Annotated[str, OneOf(("language", "random", "learned"))] = "language"
    graph: Flag = True  # whether words are averaged with those that they are joined to
    word_offsets: Flag = False  # whether each word learns an offset beside the code that its vector gives
    # First modifiers tried a token when looking for its best pair; 0: the two nearest words.
    search: Annotated[int, Whole(0, 1024)] = 0
    straight: Weight = 0.0  # share of the decoder's gradient that the codes see, beside their own loss
    coverage_weight: Weight = 0.0  # weight of the loss that draws idle words to where the latents are
    anchored: Flag = False  # linear paths around the stacks: patches to tokens, tokens to patches
    # Spatial queries read appearance, temporal ones motion; or "flattened": all read all of the clip.
    queries: Annotated[str, OneOf(("decoupled", "flattened"))] = "decoupled"
    # What decoupled temporal queries read; or "residual": what appearance leaves over.
    motion: Annotated[str, OneOf(("differences", "residual"))] = "differences"
    # Most tokens of detail of a patch of one latent frame, beside those of appearance and motion; a column
    # then need not have one of motion. 0: every clip of a size has as many tokens.
    levels: Annotated[int, Whole(0, 16)] = 0
    code_dropout: Annotated[float, Real(0, 1)] = 0.5
    encoder_weight: Weight = 1.0  # weight of the loss that draws the encoder to the codes
    codebook_weight: Weight = 0.25  # weight of the loss that draws the codes to the encoder
    # Width of the convolutional correction of decoded frames; 0: none.
    filter_channels: Annotated[int, Whole(0, 4096)] = 0
    # 0: no proxy head, the decoder's features become pixels directly.
    proxy_codes: Annotated[int, Whole(0, 1 << 20)] = 8192
    proxy_hidden: Width = 1024
    proxy_dim: Width = 8
    pixels: Flag = True  # False: proxy logits are the last output (the published first stage)
    pixel_spatial: Annotated[str, Blocks("tw")] = "tttt"  # OmniTokenizer's decoder behind the proxy head
    pixel_temporal: Annotated[str, Blocks("t")] = "tttt"

    def __post_init__(self) -> None:
        check_settings(self)
        if self.motion == "residual" and not self.anchored:
            raise ValueError("motion = 'residual' needs anchored = true")
        if self.motion == "differences" and self.windowed_motion and "t" in self.encoder_temporal:
            both = f"encoder_temporal = {self.encoder_temporal!r} mixes t, attention over time, with windows"
            raise ValueError(f"{both}, which motion = 'differences' cannot have at once")
        if len(self.decoder_spatial) % self.temporal_every:
            raise ValueError("temporal_every must divide the number of decoder layers")
        if self.levels and (self.proxy_codes or not self.anchored or self.flattened):
            raise ValueError(
                "levels of detail need proxy_codes = 0, anchored = true and queries = 'decoupled'"
            )
        if not self.proxy_codes and not self.pixels:
            raise ValueError("a network without a proxy head must end in pixels")
        if (self.anchored or self.flattened) and self.frames == 1:
            kind = "anchored tokens" if self.anchored else "flattened queries"
            raise ValueError(f"{kind} need clips of more than one frame")
        self.latent_frames(self.frames)
        stacks = self.encoder_spatial + self.encoder_temporal + self.decoder_spatial
        if self.proxy_codes and self.pixels:
            stacks += self.pixel_spatial
        windows = set(stacks) & set("was")
        queries_too = "w" in self.encoder_spatial + self.decoder_spatial  # others see whole tiles
        for name, unit, needed in (
            ("head_dim", 4, True),  # rotary positions
            ("dim", "heads", windows),
            ("tile", "window", windows),
            ("spatial_queries", "window", queries_too),
            ("tile", "spatial_queries", self.anchored),
            ("patch", 2, self.filter_channels and not self.proxy_codes),
        ):
            number, divisor = getattr(self, name), getattr(self, unit) if isinstance(unit, str) else unit
            if needed and number % divisor:
                said = f"{divisor}"
                if isinstance(unit, str):
                    said = f"{unit} = {divisor}, but would be of {unit} = {math.gcd(number, divisor)}"
                raise ValueError(f"{name} = {number} is not a multiple of {said}")

    @property
    def spatial_widths(self) -> tuple[int, int]:
        """Widths of the modifier and the head part of a spatial token's vector."""
        return self.spatial_code or (self.code_dim, self.code_dim)

    @property
    def temporal_widths(self) -> tuple[int, int]:
        """Widths of the modifier and the head part of a temporal token's vector."""
        return self.temporal_code or (self.code_dim, self.code_dim)

    @property
    def decoder_temporal_layers(self) -> int:
        """Layers of the decoder's temporal latents, one for each time that motion is read."""
        return len(self.decoder_spatial) // self.temporal_every

    def stack(self, blocks: str, **changes: Any) -> StackConfig:
        """A stack of this network's width."""
        return StackConfig(
            blocks,
            dim=self.dim,
            heads=self.heads,
            head_dim=self.head_dim,
            window=self.window,
            ff_multiple=self.ff_multiple,
            frames=self.latent_frames(self.frames),
            **changes,
        )

    @property
    def flattened(self) -> bool:
        """Whether one set of queries reads space and time together."""
        return self.queries == "flattened"

    @property
    def windowed_motion(self) -> bool:
        """Whether the temporal stack has windows of patches, besides or instead of attention over time."""
        return not set(self.encoder_temporal).isdisjoint("was")

    @property
    def bandable(self) -> bool:
        """Whether frames can go through in bands of tiles; what scrambles positions needs them whole."""
        return not (self.scrambled or self.proxy_codes or self.flattened)

    @property
    def multiple(self) -> int:
        """Frames must be a whole number of tiles: sides are multiples of this many pixels."""
        return self.tile * self.patch

    def patch_grid(self, height: int, width: int) -> TileGrid:
        """The patches of a frame of ``height x width`` pixels, in tiles.

        Raises ValueError if the frame is not a whole number of tiles; pad it first.
        """
        if height % self.multiple or width % self.multiple or not height or not width:
            raise ValueError(f"frames of {width}x{height} are not a multiple of {self.multiple} pixels")
        return TileGrid(height // self.patch, width // self.patch, self.tile, self.tile)

    def query_grid(self, patches: TileGrid) -> TileGrid:
        """The spatial queries that belong to a grid of patches."""
        return patches.with_cells(self.spatial_queries, self.spatial_queries)

    def latent_frames(self, frames: int) -> int:
        """Latent frames of a clip; raises ValueError unless ``frames`` is 1 + k * temporal_patch."""
        groups, rest = divmod(frames - 1, self.temporal_patch)
        if rest or frames < 1:
            raise ValueError(f"{frames} frames are not 1 + k * {self.temporal_patch}")
        if (self.anchored or self.flattened) and frames not in (1, self.frames):
            raise ValueError(f"{frames} frames are neither 1 nor {self.frames}, the lengths of this network")
        return 1 + groups

    def token_counts(self, height: int, width: int, frames: int | None = None) -> tuple[int, int]:
        """Spatial and temporal tokens of one clip of that size in pixels."""
        grid = self.patch_grid(height, width)
        queries = self.query_grid(grid)
        moving = self.latent_frames(self.frames if frames is None else frames) > 1
        return queries.height * queries.width, grid.height * grid.width if moving else 0


# The shipped default: tiles of 64x64 pixels, so that tokens scale with the picture and any size works.
SMALL = SweetTokConfig(
    dim=256,
    heads=4,
    ff_multiple=16,
    tile=8,
    spatial_queries=4,
    encoder_spatial="as",
    encoder_temporal="a",
    decoder_spatial="asasas",
    temporal_every=6,
    decoder_reads=3,
    scrambled=False,
    code_dim=128,
    spatial_code=(10, 6),
    temporal_code=(10, 8),
    word_offsets=True,
    code_dropout=0.0,
    search=3,
    straight=1.0,
    encoder_weight=1.0,
    codebook_weight=1.0,
    coverage_weight=0.1,
    filter_channels=48,
    proxy_codes=0,
    anchored=True,
    motion="residual",
)

#: The networks that go by a name.
PRESETS: dict[str, SweetTokConfig] = {"compact": SweetTokConfig(), "sweettok-small": SMALL}


def describe_config(config: SweetTokConfig) -> dict[str, Any]:
    """A table that :func:`make_config` reads back: the nearest preset and what differs from it."""
    return describe_settings(config, PRESETS)


def make_config(table: dict[str, Any]) -> SweetTokConfig:
    """The configuration named by ``preset`` with the other keys put in its place.

    Raises:
        SweettokError: unknown preset or key, or values that do not fit together.
    """
    overrides = dict(table)
    preset = overrides.pop("preset", "compact")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise SweettokError(
            f"There is no network {brief(preset)}; set model.preset to one of {', '.join(PRESETS)}."
        )
    return override_settings(PRESETS[preset], overrides)
