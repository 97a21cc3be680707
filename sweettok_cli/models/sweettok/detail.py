"""Detail: further words for those cells of a clip that need them, on top of what appearance and motion say.

A cell is a patch of one latent frame: 8x8 pixels of the first frame, or of four later ones. Each may have
from none to ``levels`` tokens, a noun each. A token adds a vector of its level to the cell's pixels: that of
the noun which leaves least of what the decoded clip and the levels before it leave over. Since a level only
adds pixels, how much error a token removes is known when it is made: tokens go where they remove most for
their bits, and any choice of them can be decoded, whatever comes later.

This is residual quantisation (Lee et al., CVPR 2022; Chen et al., Sensors 2010) of as many levels as each
cell is worth. Other tokenizers of adaptive length cut a fixed order of tokens short, for a whole clip at once
(ElasticTok, arXiv 2410.08368).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.models.common.patches import cut_first_frame, cut_later_frames, lay_patches
from sweettok_cli.models.sweettok.config import SweetTokConfig
from sweettok_cli.training import collective

#: Dimensions of a cell's pixels that the words of a level reach, at most.
WIDTH = 48
# Cells whose distances to all words are held at once: about what a core's cache holds.
_ROWS = 512
# What a token of a picture's mean cell removes of its error, about.
_SHARE = 1 / 3
# The least price, in that of the first samples: where nothing moves, a token of motion says nothing.
LEAST_PRICE = 1e-3


class DetailLevel(nn.Module):
    """One level of one kind of cell: a vector of pixels for each word, ``codes @ basis.T + mean``."""

    def __init__(self, words: int, pixels: int) -> None:
        super().__init__()
        width = min(WIDTH, pixels)
        self.codes = nn.Parameter(torch.zeros(words, width))
        self.basis = nn.Parameter(torch.zeros(pixels, width))
        self.mean = nn.Parameter(torch.zeros(pixels))

    def forward(self, ids: Tensor) -> Tensor:
        """Words [n] as what they add to cells, float32 [n, pixels]."""
        with torch.autocast(ids.device.type, enabled=False):
            return F.embedding(ids, self.codes.float()) @ self.basis.float().T + self.mean.float()

    @torch.no_grad()
    def choose(self, left: Tensor) -> Tensor:
        """The word [n] of which least stays of cells [n, pixels], by squared error."""
        with torch.autocast(left.device.type, enabled=False):
            basis, codes = self.basis.float(), self.codes.float()
            lengths = ((codes @ (basis.T @ basis)) * codes).sum(-1)
            seen = (left.float() - self.mean.float()) @ basis
            found = [(lengths - 2 * part @ codes.T).argmin(-1) for part in seen.split(_ROWS)]
        return torch.cat(found) if found else left.new_zeros(0, dtype=torch.int64)


@dataclass
class DetailTokens:
    """The tokens of some cells.

    Attributes:
        ids: [..., levels] int64; zero where a cell has no such token.
        removed: [..., levels], squared error that each token takes away from its cell, in squared pixels of a
            range of one; zero where a cell has no such token.
    """

    ids: Tensor
    removed: Tensor


@dataclass
class Refined:
    """What one step of training sees of detail.

    Attributes:
        change: [b, 3, t, h, w], what the tokens add to the decoded clip.
        tokens: [b], how many each clip was given.
    """

    change: Tensor
    tokens: Tensor


class Detail(nn.Module):
    """The vectors of all levels, of first and of later frames; and what a bit costs."""

    price: Tensor

    def __init__(self, config: SweetTokConfig, words: int) -> None:
        """Tokens are so many ``words``."""
        super().__init__()
        self.patch, self.temporal_patch = config.patch, config.temporal_patch
        self.levels, self.words = config.levels, words
        pixels = 3 * config.patch**2
        later = pixels * config.temporal_patch
        self.first = nn.ModuleList(DetailLevel(words, pixels) for _ in range(config.levels))
        self.later = nn.ModuleList(DetailLevel(words, later) for _ in range(config.levels))
        #: What stands in place of a temporal token that a column does not have.
        self.absent = nn.Parameter(torch.zeros(sum(config.temporal_widths)))
        # Squared error that a bit must remove, at which a usual clip has as many of them as without levels.
        self.register_buffer("price", torch.ones(()))

    @property
    def bits(self) -> float:
        """Of a token."""
        return math.log2(self.words)

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

    def draw_factors(self, samples: int, between: Sequence[float], uniform: float) -> Tensor:
        """How dear a bit of each of some samples is, [samples]; infinite: it has the fixed layout.

        A factor ``between`` two of what is usual for the sample, evenly in its logarithm; a share ``uniform``
        is fixed. Drawn for the samples of all processes alike, and each takes its own.
        """
        least, most = (math.log(factor) for factor in between)
        drawn = torch.rand(2, samples * collective.processes(), device=self.price.device)
        factors = (least + (most - least) * drawn[0]).exp()
        return collective.share(torch.where(drawn[1] < uniform, torch.inf, factors))

    def usual_price(self, left: Tensor) -> Tensor:
        """What a bit of a picture must usually remove of what is ``left`` over [b, 3, 1, h, w]: [b].

        What it does in a mean cell: some third of the cells has a token then.
        """
        mean = left.detach().float().square().sum(1).mean(dim=(1, 2, 3)) * self.patch**2
        return (mean * _SHARE / self.bits).clamp(min=LEAST_PRICE * self.price)

    def refine(self, left: Tensor, price: Tensor) -> Refined:
        """Spend tokens on what a decoded clip leaves over, and say what they add.

        Gradients reach the words that were chosen, and not the choice.

        Args:
            left: original less decoded, [b, 3, t, h, w].
            price: [b], what a bit of each clip must remove.
        """
        changes = []
        spent = torch.zeros(len(left), dtype=torch.int64, device=left.device)
        for levels, cells in self.cut(left.detach().float()):
            rows, owner = cells.flatten(0, 3), torch.arange(len(left), device=left.device)
            owner = owner.repeat_interleave(rows.shape[0] // len(left))
            change, dear = torch.zeros_like(rows), self.bits * price[owner]
            alive = (rows.square().sum(-1) > dear).nonzero().squeeze(-1)
            for level in levels:
                if not len(alive):
                    break
                before = rows[alive] - change.detach()[alive]
                added = level(level.choose(before))
                gain = before.square().sum(-1) - (before - added).detach().square().sum(-1)
                kept = gain >= dear[alive]
                alive = alive[kept]
                change = change.index_add(0, alive, added[kept])
                spent += torch.bincount(owner[alive], minlength=len(left))
            # Also a step in which nothing is worth its price asks for a gradient.
            changes.append((change + 0 * self.absent.sum()).view_as(cells))
        return Refined(self.lay(changes), spent)

    @torch.no_grad()
    def tokens(self, left: Tensor, price: float) -> DetailTokens:
        """The tokens of all cells each bit of which removes at least ``price`` of ``left`` [b, 3, t, h, w].

        Those of cells [b, t', h', w', levels], the first frame's before the others'.
        """
        kinds = []
        for levels, cells in self.cut(left.float()):
            rows, least = cells.flatten(0, 3), self.bits * price
            ids = torch.zeros(len(rows), self.levels, dtype=torch.int64, device=rows.device)
            removed = torch.zeros(len(rows), self.levels, device=rows.device)
            alive = (rows.square().sum(-1) >= least).nonzero().squeeze(-1)
            now = rows[alive]
            for index, level in enumerate(levels):
                if not len(alive):
                    break
                words = level.choose(now)
                after = now - level(words)
                gain = now.square().sum(-1) - after.square().sum(-1)
                kept = gain >= least
                alive, now = alive[kept], after[kept]
                ids[alive, index], removed[alive, index] = words[kept], gain[kept]
            shape = (*cells.shape[:4], self.levels)
            kinds.append((ids.view(shape), removed.view(shape)))
        return DetailTokens(torch.cat([k[0] for k in kinds], 1), torch.cat([k[1] for k in kinds], 1))

    def spread(self, ids: Tensor, counts: Tensor) -> Tensor:
        """What tokens add to a decoded clip, [b, 3, t, h, w].

        Args:
            ids: [b, t', h', w', levels].
            counts: [b, t', h', w'], how many of them each cell has.
        """
        kinds = []
        for levels, part in zip(self.kinds, (slice(0, 1), slice(1, None)), strict=True):
            number, words = counts[:, part].flatten(), ids[:, part].flatten(0, 3)
            if not len(number):
                continue
            change = torch.zeros(len(number), len(levels[0].mean), device=ids.device)
            for index, level in enumerate(levels[: ids.shape[-1]]):
                some = (number > index).nonzero().squeeze(-1)
                if not len(some):
                    break
                change.index_add_(0, some, level(words[some, index]))
            kinds.append(change.view(*counts[:, part].shape, -1))
        return self.lay(kinds)
