"""Detail: further tokens for those cells of a clip that need them, on top of what appearance and motion say.

A cell is a patch of one latent frame: 8x8 pixels of the first frame, or of four later ones. Each may have
from none to ``levels`` tokens. A token quantises what the decoded clip and the levels before it leave over
of the cell's pixels, with the words of appearance and maps of its level's own. Since a level only adds
pixels, how much error a token removes is known when it is made: tokens go where they remove most, and any
choice of them can be decoded, whatever comes later.

This is residual quantisation (Lee et al., CVPR 2022) of as many levels as each cell is worth. Other
tokenizers of adaptive length cut a fixed order of tokens short, for a whole clip at once (ElasticTok, arXiv
2410.08368).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.models.common.linear import Linear
from sweettok_cli.models.common.patches import cut_first_frame, cut_later_frames, lay_patches
from sweettok_cli.models.sweettok.config import SweetTokConfig
from sweettok_cli.models.sweettok.quantizer import Quantized
from sweettok_cli.training import collective

_HIDDEN = 256
# What is left over is a few hundredths of the pixels' range: brought near one for the curved part of a map.
_SCALE = 16.0

#: Vectors [1, n, c] to their nearest words.
Quantize = Callable[[Tensor], Quantized]


class Bent(nn.Module):
    """A linear map and a small curved one beside it, which starts at zero."""

    def __init__(self, width_in: int, width_out: int, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.straight = Linear(width_in, width_out)
        self.widen = Linear(width_in, _HIDDEN)
        self.narrow = Linear(_HIDDEN, width_out, bias=False)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width_in] -> [..., width_out]."""
        return self.straight(x) + self.narrow(F.gelu(self.widen(self.scale * x)))


class DetailLevel(nn.Module):
    """One level of one kind of cell: pixels to the vector of a token, and back."""

    def __init__(self, pixels: int, code: int) -> None:
        super().__init__()
        self.pixels = pixels
        self.read = Bent(pixels, code, _SCALE)
        self.write = Bent(code, pixels)

    def forward(self, left: Tensor, quantize: Quantize) -> tuple[Tensor, Quantized]:
        """Of cells [n, pixels] that are ``left`` over: what tokens add to them, and the tokens."""
        words = quantize(self.read(left).unsqueeze(0))
        return self.write(words.vectors.squeeze(0)).float(), words


@dataclass
class DetailTokens:
    """The tokens of some cells.

    Attributes:
        ids: [n, levels, 3] int64; zero where a cell has no such token.
        removed: [n, levels], squared error that each token takes away from its cell, in squared pixels of a
            range of one; zero where a cell has no such token.
    """

    ids: Tensor
    removed: Tensor

    def counts(self, price: float) -> Tensor:
        """Tokens [n] that each cell is worth: the leading ones that all remove at least ``price``."""
        return (self.removed >= price).cumprod(dim=-1).sum(-1)


@dataclass
class Refined:
    """What one step of training sees of detail.

    Attributes:
        change: [b, 3, t, h, w], what the tokens add to the decoded clip.
        losses: of the quantizer, one of every level that some cell reached: commitment, codebook.
        tokens: [b], how many each clip was given.
    """

    change: Tensor
    losses: list[tuple[Tensor, Tensor]]
    tokens: Tensor


class Detail(nn.Module):
    """The maps of all levels, of first and of later frames; and what a token costs."""

    price: Tensor

    def __init__(self, config: SweetTokConfig) -> None:
        super().__init__()
        self.patch, self.temporal_patch = config.patch, config.temporal_patch
        self.levels = config.levels
        code, pixels = sum(config.spatial_widths), 3 * config.patch**2
        self.first = nn.ModuleList(DetailLevel(pixels, code) for _ in range(config.levels))
        later = pixels * config.temporal_patch
        self.later = nn.ModuleList(DetailLevel(later, code) for _ in range(config.levels))
        #: What stands in place of a temporal token that a column does not have.
        self.absent = nn.Parameter(torch.zeros(sum(config.temporal_widths)))
        # Squared error that a token must remove, at which a usual clip has as many tokens as one without.
        self.register_buffer("price", torch.ones(()))

    @property
    def kinds(self) -> tuple[list[DetailLevel], list[DetailLevel]]:
        """The levels of cells of the first frame, and of the others."""
        return cast(list[DetailLevel], list(self.first)), cast(list[DetailLevel], list(self.later))

    def cut(self, video: Tensor) -> Iterator[tuple[list[DetailLevel], Tensor]]:
        """Pixels [b, 3, t, h, w] as cells [b, k, h', w', pixels] of each kind, with that kind's levels."""
        first, later = self.kinds
        yield first, cut_first_frame(video, self.patch)
        if video.shape[2] > 1:
            yield later, cut_later_frames(video, self.patch, self.temporal_patch)

    def lay(self, cells: list[Tensor]) -> Tensor:
        """Undo :meth:`cut`: [b, 3, t, h, w]."""
        frames = (1, self.temporal_patch)
        return torch.cat([lay_patches(c, n, self.patch) for c, n in zip(cells, frames, strict=False)], dim=2)

    def draw_prices(self, samples: int, between: Sequence[float], uniform: float) -> Tensor:
        """What a token of each of some samples must remove, [samples]; infinite: it has the fixed layout.

        The usual price times a factor ``between`` two, evenly in its logarithm; a share ``uniform`` is fixed.
        Drawn for the samples of all processes alike, and each takes its own.
        """
        least, most = (math.log(factor) for factor in between)
        drawn = torch.rand(2, samples * collective.processes(), device=self.price.device)
        price = self.price * (least + (most - least) * drawn[0]).exp()
        return collective.share(torch.where(drawn[1] < uniform, torch.inf, price))

    def refine(self, left: Tensor, price: Tensor, quantize: Quantize) -> Refined:
        """Spend tokens on what a decoded clip leaves over, and say what they add, with gradients.

        Args:
            left: original less decoded, [b, 3, t, h, w].
            price: [b], what a token of each clip must remove.
            quantize: to the words.
        """
        changes, losses = [], list[tuple[Tensor, Tensor]]()
        spent = torch.zeros(len(left), dtype=torch.int64, device=left.device)
        for levels, cells in self.cut(left.float()):
            rows, owner = cells.flatten(0, 3), torch.arange(len(left), device=left.device)
            owner = owner.repeat_interleave(rows.shape[0] // len(left))
            change, dear = torch.zeros_like(rows), price[owner]
            alive = (rows.detach().square().sum(-1) > dear).nonzero().squeeze(-1)
            for level in levels:
                if not len(alive):
                    break
                before = rows[alive] - change[alive]
                added, words = level(before, quantize)
                gain = before.detach().square().sum(-1) - (before - added).detach().square().sum(-1)
                kept = gain >= dear[alive]
                losses.append((words.commitment_loss, words.codebook_loss))
                alive = alive[kept]
                change = change.index_add(0, alive, added[kept])
                spent += torch.bincount(owner[alive], minlength=len(left))
            # Also a step in which nothing is worth its price asks for a gradient.
            changes.append((change + 0 * self.absent.sum()).view_as(cells))
        return Refined(self.lay(changes), losses, spent)

    def tokens(self, left: Tensor, price: float, quantize: Quantize) -> DetailTokens:
        """The tokens of all cells that remove at least ``price`` each of ``left`` [b, 3, t, h, w].

        Those of cells [b, t', h', w', levels], the first frame's before the others'.
        """
        kinds = []
        for levels, cells in self.cut(left.float()):
            rows = cells.flatten(0, 3)
            ids = torch.zeros(len(rows), self.levels, 3, dtype=torch.int64, device=rows.device)
            removed = torch.zeros(len(rows), self.levels, device=rows.device)
            alive = (rows.square().sum(-1) >= price).nonzero().squeeze(-1)
            now = rows[alive]
            for index, level in enumerate(levels):
                if not len(alive):
                    break
                added, words = level(now, quantize)
                after = now - added
                gain = now.square().sum(-1) - after.square().sum(-1)
                kept = gain >= price
                alive, now = alive[kept], after[kept]
                ids[alive, index], removed[alive, index] = words.ids.squeeze(0)[kept], gain[kept]
            shape = cells.shape[:4]
            kinds.append((ids.view(*shape, self.levels, 3), removed.view(*shape, self.levels)))
        return DetailTokens(torch.cat([k[0] for k in kinds], 1), torch.cat([k[1] for k in kinds], 1))

    def spread(self, ids: Tensor, counts: Tensor, codes: Callable[[Tensor], Tensor]) -> Tensor:
        """What tokens add to a decoded clip, [b, 3, t, h, w].

        Args:
            ids: [b, t', h', w', levels, 3].
            counts: [b, t', h', w'], how many of them each cell has.
            codes: ids [1, n, 3] to vectors [1, n, c].
        """
        kinds = []
        for levels, part in zip(self.kinds, (slice(0, 1), slice(1, None)), strict=True):
            number = counts[:, part].flatten()
            rows = ids[:, part].reshape(-1, ids.shape[-2], 3)
            if not len(number):
                continue
            pixels = levels[0].pixels
            change = torch.zeros(len(number), pixels, device=ids.device)
            for index, level in enumerate(levels[: ids.shape[-2]]):
                some = (number > index).nonzero().squeeze(-1)
                if not len(some):
                    break
                added = level.write(codes(rows[some, index].unsqueeze(0)).squeeze(0))
                change.index_add_(0, some, added.float())
            kinds.append(change.view(*counts[:, part].shape, pixels))
        return self.lay(kinds)
