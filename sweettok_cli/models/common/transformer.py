"""A stack of layers named by a block string: the body of every encoder and decoder here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat

import einops
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.models.common.attention import (
    CrossAttention,
    FeedForward,
    GammaNorm,
    PositionConvolution,
    SelfAttention,
    SingleTokenAttention,
    TimeAttention,
    WindowAttention,
    rotary_table,
)
from sweettok_cli.models.common.bands import Bands, among_neighbours, recut
from sweettok_cli.models.common.tiles import Layout, TileGrid, TimeColumns, roll, rolled_mask
from sweettok_cli.training.blocks import Block


@dataclass(frozen=True)
class StackConfig:
    """Shape of one stack.

    ``blocks`` has one letter a layer: ``t`` self attention, ``w`` window attention (never with position
    convolution or cross attention), ``c`` no self attention, ``1`` self attention over single tokens (values
    only). Of our own: ``a`` window attention followed by attention over time, ``s`` the same with windows
    shifted by half; both take position convolution, not causal, and cross attention in every
    ``cross_every``-th layer.
    """

    blocks: str
    dim: int = 512
    heads: int = 8
    head_dim: int = 64
    window: int = 8
    ff_multiple: int = 1
    position_convolution: bool = False
    scrambled: bool = False
    causal: bool = False
    rotary: bool = False
    cross: bool = False
    null_keys: int = 0
    cross_every: int = 1
    frames: int = 5  # latent frames that attention over time knows
    norm_out: bool = True


class Layer(Block):
    """Position convolution, self and cross attention, feed-forward, each residual."""

    def __init__(self, kind: str, config: StackConfig, index: int) -> None:
        super().__init__()
        dim, heads, head_dim = config.dim, config.heads, config.head_dim
        self.kind = kind
        self.window = config.window
        self.rotary = head_dim if config.rotary and kind == "t" else 0
        self.shift = config.window // 2 if kind == "s" else 0
        self.peg: PositionConvolution | None = None
        self.attention: nn.Module | None = None
        self.over_time: TimeAttention | None = None
        self.cross: CrossAttention | None = None
        if config.position_convolution and kind in "tas":
            self.peg = PositionConvolution(dim, config.scrambled, causal=kind == "t")
        if kind == "t":
            self.attention = SelfAttention(dim, heads, head_dim, config.causal)
        elif kind == "1":
            self.attention = SingleTokenAttention(dim, heads, head_dim)
        elif kind in "was":
            self.attention = WindowAttention(dim, heads, config.window)
        elif kind != "c":
            raise ValueError(f"unknown block letter {kind!r} in {config.blocks!r}")
        if kind in "as":
            self.over_time = TimeAttention(dim, heads, config.frames)
        if config.cross and kind != "w" and index % config.cross_every == 0:
            self.cross = CrossAttention(dim, heads, head_dim, config.null_keys)
        self.ff = FeedForward(dim, config.ff_multiple)

    def forward(self, x: Tensor, layout: Layout, context: Tensor | None = None) -> Tensor:
        """x [b, t, h, w, d], cut up by ``layout``; context [sequences, keys, d] -> [b, t, h, w, d]."""
        return self.again(self._whole, x, layout, context)

    def _whole(self, x: Tensor, layout: Layout, context: Tensor | None) -> Tensor:
        if self.peg is not None:
            x = x + self.peg(x)
        if self.attention is not None:
            x = x + self._attend(x, layout)
        return self._finish(x, layout, context)

    def by_bands(
        self,
        volumes: Iterable[Tensor],
        bands: Bands,
        layout: Callable[[TileGrid], Layout],
        contexts: Iterable[Tensor] | None = None,
    ) -> Iterator[Tensor]:
        """As :meth:`forward` for a frame that comes in ``bands``, each cut up by ``layout`` of its own grid.

        Windows must fit into tiles, and positions must not be scrambled.
        """

        def positioned(given: tuple[Tensor, int, int]) -> Tensor:
            x, above, below = given
            assert self.peg is not None
            return x[:, :, above : x.shape[2] - below] + self.peg.inside(x, above, below)

        def finished(x: Tensor, grid: TileGrid, context: Tensor | None) -> Tensor:
            cut = layout(grid)
            if self.attention is not None and not self.shift:
                x = x + self._attend(x, cut)
            return self._finish(x, cut, context)

        # Maps, unlike generators, hold nothing of a band while the next layer works on it.
        if self.peg is not None:
            volumes = map(positioned, among_neighbours(volumes, 1))
        if self.shift:
            volumes = recut(self._attend_shifted(volumes, bands), bands.rows)
        none: Iterable[Tensor | None] = repeat(None)
        return map(finished, volumes, bands.grids(), contexts or none)

    def _attend_shifted(self, volumes: Iterable[Tensor], bands: Bands) -> Iterator[Tensor]:
        """Bands cut where shifted windows begin; those at the edges of the frame are filled up with zeros."""
        window, shift, last = self.window, self.shift, len(bands.rows)
        rows = [shift, *bands.rows[:-1], bands.rows[-1] - shift]

        def attended(x: Tensor, index: int) -> Tensor:
            above, below = (window - shift) * (index == 0), shift * (index == last)
            filled = F.pad(x, (0, 0, 0, 0, above, below))
            grid = TileGrid(filled.shape[2], x.shape[3], window, window)
            mask = rolled_mask(grid, shift, x.device, sideways=0 < index < last)
            out = self._windows(filled.roll(-shift, dims=3), mask, grid).roll(shift, dims=3)
            return x + out[:, :, above : above + x.shape[2]]

        return map(attended, recut(volumes, rows), range(len(rows)))

    def _windows(self, x: Tensor, mask: Tensor, grid: TileGrid) -> Tensor:
        """Attention in the windows of ``grid``, each with its ``mask`` [windows, cells, cells]."""
        assert self.attention is not None
        batch, frames = x.shape[:2]
        each = einops.repeat(mask, "tiles q k -> (b tiles t) q k", b=batch, t=frames)
        return grid.unfold(self.attention(grid.fold(x), each), frames)

    def _finish(self, x: Tensor, layout: Layout, context: Tensor | None) -> Tensor:
        """All after attention over space."""
        if self.over_time is not None:
            columns = TimeColumns(x.shape[2], x.shape[3])
            x = x + columns.unfold(self.over_time(columns.fold(x)), x.shape[1])
        if self.cross is not None and context is not None:
            x = x + layout.unfold(self.cross(layout.fold(x), context), x.shape[1])
        return x + self.ff(x)

    def _attend(self, x: Tensor, layout: Layout) -> Tensor:
        assert self.attention is not None
        if self.kind in "was":
            assert isinstance(layout, TileGrid)
            layout = layout.with_tile(self.window, self.window)
        if self.shift:
            assert isinstance(layout, TileGrid)
            mask = rolled_mask(layout, self.shift, x.device)  # [tiles, l, l]
            return roll(self._windows(roll(x, self.shift), mask, layout), -self.shift)
        sequences = layout.fold(x)
        if self.rotary:
            assert isinstance(layout, TileGrid)
            table = rotary_table(layout.tile_height, layout.tile_width, self.rotary, x.device)
            return layout.unfold(self.attention(sequences, table), x.shape[1])
        return layout.unfold(self.attention(sequences), x.shape[1])


class Transformer(nn.Module):
    """Layers in a row and, unless the stack is only read layer by layer, a last norm."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(kind, config, index) for index, kind in enumerate(config.blocks))
        self.norm_out = GammaNorm(config.dim) if config.norm_out else nn.Identity()

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """[b, t, h, w, d] -> [b, t, h, w, d]."""
        for layer in self.layers:
            x = layer(x, layout)
        return self.norm_out(x)

    def states(self, x: Tensor, layout: Layout) -> Sequence[Tensor]:
        """The residual stream after each layer, [b, t, h, w, d] each."""
        return list(accumulate(self.layers, lambda x, layer: layer(x, layout), initial=x))[1:]
