"""What a SweetTok network looks like: one frozen dataclass for the published network and for smaller ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sweettok_cli.models.tiles import TileGrid
from sweettok_cli.models.transformer import StackConfig


@dataclass(frozen=True)
class SweetTokConfig:
    """Shape of the network; the defaults are the published one ("compact").

    Sizes of tiles and queries are sides of squares: a tile of ``tile x tile`` patches owns
    ``spatial_queries x spatial_queries`` spatial queries and one temporal query for each patch column.
    """

    dim: int = 512
    heads: int = 8
    head_dim: int = 64
    ff_multiple: int = 1  # round the inner width of feed-forward layers up to this multiple
    patch: int = 8  # pixels
    temporal_patch: int = 4  # frames after the first one that share a latent frame
    frames: int = 17  # clip length that decoding assumes unless told otherwise
    tile: int = 32  # patches
    spatial_queries: int = 16
    window: int = 8  # cells of the ``w`` layers
    encoder_spatial: str = "ttwwtttt"
    encoder_temporal: str = "tttt"
    decoder_spatial: str = "tttttttt"
    temporal_every: int = 2  # the decoder reads motion after every so many spatial layers
    null_keys: int = 2
    scrambled: bool = True  # temporal position convolutions on the published, unpermuted view
    code_dim: int = 256  # width of a modifier or head vector; a token has both
    code_dropout: float = 0.5
    encoder_weight: float = 1.0  # weight of the loss that draws the encoder to the codes
    codebook_weight: float = 0.25  # weight of the loss that draws the codes to the encoder
    proxy_codes: int = 8192  # 0: no proxy head, the decoder's features become pixels directly
    proxy_hidden: int = 1024
    proxy_dim: int = 8
    pixels: bool = True  # False: proxy logits are the last output (the published first stage)
    pixel_spatial: str = "tttt"  # OmniTokenizer's decoder behind the proxy head
    pixel_temporal: str = "tttt"

    def __post_init__(self) -> None:
        if len(self.decoder_spatial) % self.temporal_every:
            raise ValueError("temporal_every must divide the number of decoder layers")
        if not self.proxy_codes and not self.pixels:
            raise ValueError("a network without a proxy head must end in pixels")

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
            **changes,
        )

    def patch_grid(self, height: int, width: int) -> TileGrid:
        """The patches of a frame of ``height x width`` pixels, in tiles.

        Raises ValueError if the frame is not a whole number of tiles; pad it first.
        """
        side = self.tile * self.patch
        if height % side or width % side or not height or not width:
            raise ValueError(f"frames of {width}x{height} are not a multiple of {side} pixels")
        return TileGrid(height // self.patch, width // self.patch, self.tile, self.tile)

    def query_grid(self, patches: TileGrid) -> TileGrid:
        """The spatial queries that belong to a grid of patches."""
        return patches.with_cells(self.spatial_queries, self.spatial_queries)

    def latent_frames(self, frames: int) -> int:
        """Latent frames of a clip; raises ValueError unless ``frames`` is 1 + k * temporal_patch."""
        groups, rest = divmod(frames - 1, self.temporal_patch)
        if rest or frames < 1:
            raise ValueError(f"{frames} frames are not 1 + k * {self.temporal_patch}")
        return 1 + groups

    def token_counts(self, height: int, width: int, frames: int | None = None) -> tuple[int, int]:
        """Spatial and temporal tokens of one clip of that size in pixels."""
        grid = self.patch_grid(height, width)
        queries = self.query_grid(grid)
        moving = self.latent_frames(self.frames if frames is None else frames) > 1
        return queries.height * queries.width, grid.height * grid.width if moving else 0
