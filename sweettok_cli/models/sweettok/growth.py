"""Levels of detail on a network that has none: they begin as the centres of what it leaves over.

As in :mod:`~sweettok_cli.models.sweettok.initialise`, training then starts at the quality of a vector
quantiser of adaptive length, and all that the network could do before it still can.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sweettok_cli.models.sweettok.detail import DetailLevel
from sweettok_cli.models.sweettok.initialise import components
from sweettok_cli.models.sweettok.network import SweetTok, TokenPair
from sweettok_cli.runtime import OnProgress, ignore_progress

_CLIPS_AT_ONCE = 8
# Cells that a level is fitted to, of those that there are, and how often its words are moved among them.
_MOST_CELLS = 200_000
_ROUNDS = 8
# Of the error of its clip's mean cell, what a cell must have to be among them.
_RICH = 0.7
# Share of the cells of a level that the next one is fitted to.
_NEXT = 0.7
_ROWS = 2048


@torch.no_grad()
def start_detail(model: SweetTok, video: Tensor, on_progress: OnProgress = ignore_progress) -> None:
    """Start the levels of a trained network from clips ``video`` [n, 3, t, h, w] in [-0.5, 0.5], t above 1.

    Their first frames serve as pictures, too. The price of a bit becomes that at which these clips take as
    many of them as without levels; what stands in place of a temporal token, their mean, if nothing does yet.
    """
    detail = model.detail
    assert detail is not None
    training = model.training
    model.eval()
    parts = video.split(_CLIPS_AT_ONCE)
    steps = 2 * len(parts) + len(detail.first) + len(detail.later)
    quantized = []
    for done, part in enumerate(parts):
        on_progress(done, steps)
        quantized.append(_quantized(model, part))
    if not detail.absent.any():
        detail.absent.copy_(torch.cat([temporal for _, temporal in quantized]).flatten(0, 1).mean(0))
    kinds: list[list[Tensor]] = [[], []]
    energies = []
    for done, (part, vectors) in enumerate(zip(parts, quantized, strict=True), len(parts)):
        on_progress(done, steps)
        left, energy = _left(model, part, vectors)
        energies.append(energy.flatten())
        pictures = part[:, :, :1]
        for some in (left, _left(model, pictures, _quantized(model, pictures))[0]):
            for kind, (_, cells) in zip(kinds, detail.cut(some), strict=False):
                of_cell = cells.square().sum(-1)
                kind.append(cells[of_cell > _RICH * of_cell.mean(dim=(1, 2, 3), keepdim=True)])
    removed = []
    done = 2 * len(parts)
    for levels, kind in zip(detail.kinds, kinds, strict=True):
        rows = torch.cat(kind)
        for index, level in enumerate(levels):
            on_progress(done + index, steps)
            if len(rows) < 2:
                break
            start_level(level, rows)
            after = torch.cat([part - level(level.choose(part)) for part in rows.split(_ROWS)])
            removed.append(rows.square().sum(-1) - after.square().sum(-1))
            # The next level is for those that still have most.
            of_cell = after.square().sum(-1)
            rows = after[of_cell.argsort(descending=True)[: max(2, int(_NEXT * len(after)))]]
        done += len(levels)
    energy = torch.cat(energies)
    worth = torch.cat([energy / model.motion_bits, *(each / detail.bits for each in removed)])
    bits = torch.full_like(worth, detail.bits)
    bits[: len(energy)] = model.motion_bits
    worth, order = worth.sort(descending=True)
    spent = bits[order].cumsum(0)
    enough = int((spent < len(energy) * model.motion_bits).sum().clamp(max=len(worth) - 1))
    detail.price.copy_(worth[enough].clamp(min=1e-12))
    model.train(training)


def _quantized(model: SweetTok, video: Tensor) -> TokenPair:
    """The vectors of all tokens of clips or pictures, [b, S, c] and [b, T, c']."""
    spatial, temporal = model.quantize(video)
    return TokenPair(spatial.vectors, temporal.vectors)


def _left(model: SweetTok, video: Tensor, vectors: TokenPair) -> tuple[Tensor, Tensor]:
    """What is left over of clips or pictures, [b, 3, t, h, w], and the energies of their columns [b, T].

    Columns that do not remove what a clip's tokens usually do are without one.
    """
    (spatial, temporal), energy = vectors, model.motion_energy(vectors.temporal)
    if energy.numel():
        temporal = model.thinned(temporal, energy >= (model.usual_price(energy) * model.motion_bits)[:, None])
    height, width = video.shape[-2:]
    return video - model.decode_quantized(spatial, temporal, height, width, video.shape[2]), energy


def start_level(level: DetailLevel, rows: Tensor) -> None:
    """Let a level's words be the centres of ``rows`` [n, pixels], along their principal components."""
    level.mean.copy_(rows.mean(dim=0))
    level.basis.copy_(components(rows, level.basis.shape[1]))
    points = (rows - level.mean) @ level.basis
    level.codes.copy_(centres(points[torch.randperm(len(points))[:_MOST_CELLS]], len(level.codes)))


def centres(points: Tensor, count: int, rounds: int = _ROUNDS) -> Tensor:
    """So many centres [count, c] of points [n, c], by Lloyd's algorithm; an empty one moves to some point.

    Fewer points than centres are their own, and others near them.
    """
    found = points[torch.randint(len(points), (count,))]
    if len(points) > count:
        found = points[torch.randperm(len(points))[:count]]
    for _ in range(rounds):
        lengths = found.square().sum(-1)
        nearest = torch.cat([(lengths - 2 * part @ found.T).argmin(-1) for part in points.split(_ROWS)])
        members = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(found).index_add_(0, nearest, points)
        empty = members == 0
        found = torch.where(
            empty[:, None], points[torch.randint(len(points), (count,))], sums / members.clamp(min=1)[:, None]
        )
    return found
