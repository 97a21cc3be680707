"""Levels of detail on a network that has none: they begin as principal components of what it leaves over.

As in :mod:`~sweettok_cli.models.sweettok.initialise`, training then starts at the quality of a linear
transform of adaptive length, and all that the network could do before it still can.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from sweettok_cli.models.sweettok.detail import DetailLevel
from sweettok_cli.models.sweettok.initialise import PAIR_SPREAD, components
from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.models.sweettok.quantizer import Codebook, LanguageQuantizer, best_pair, nearest
from sweettok_cli.runtime import OnProgress, ignore_progress

_CLIPS_AT_ONCE = 8
# Strengths tried for the latents of a level, in those of the codes.
_STRENGTHS = (0.5, 0.63, 0.8, 1.0, 1.25, 1.6, 2.0)
_ROWS = 2048
_TRIES = 3


@torch.no_grad()
def start_detail(model: SweetTok, video: Tensor, on_progress: OnProgress = ignore_progress) -> None:
    """Start the levels of a trained network from clips ``video`` [n, 3, t, h, w] in [-0.5, 0.5], t above 1.

    The price of a token becomes that at which these clips take as many tokens as without levels.
    """
    detail = model.detail
    assert detail is not None and model.to_pixels is not None
    training = model.training
    model.eval()
    height, width = video.shape[-2:]
    parts, energies, left = video.split(_CLIPS_AT_ONCE), [], []
    steps = len(parts) + len(detail.first) + len(detail.later)
    pairs = [model.quantize(part) for part in parts]
    detail.absent.copy_(torch.cat([temporal.vectors for _, temporal in pairs]).flatten(0, 1).mean(0))
    for done, (part, (spatial, temporal)) in enumerate(zip(parts, pairs, strict=True)):
        on_progress(done, steps)
        energies.append(model.motion_energy(temporal.vectors))
        decoded = model.decode_quantized(spatial.vectors, temporal.vectors, height, width, part.shape[2])
        left.append(part - decoded)
    energy, rest = torch.cat(energies).flatten(), torch.cat(left)
    # Cells that could not even pay for a tenth of what most temporal tokens do are not worth describing.
    least = energy.quantile(0.25).item() / 10
    removed = []
    done = len(parts)
    for levels, cells in detail.cut(rest):
        rows = cells.flatten(0, 3)
        for level in levels:
            on_progress(done, steps)
            done += 1
            rows = rows[rows.square().sum(-1) >= least]
            if len(rows) > 1:
                start_level(level, rows, model.quantize_spatial)
                rows, gains = _refined(level, rows, model.quantize_spatial)
                removed.append(gains)
    worth = torch.cat([energy, *removed])
    detail.price.copy_(worth.topk(min(len(energy), len(worth))).values[-1].clamp(min=least))
    model.train(training)


def _refined(level: DetailLevel, rows: Tensor, quantizer: LanguageQuantizer) -> tuple[Tensor, Tensor]:
    """What a level leaves of rows [n, pixels], and how much error of each it removes [n]."""
    after = torch.cat([part - level(part, quantizer)[0] for part in rows.split(_ROWS)])
    return after, rows.square().sum(-1) - after.square().sum(-1)


def start_level(level: DetailLevel, rows: Tensor, quantizer: LanguageQuantizer) -> None:
    """Let a level's maps be the principal components of ``rows`` [n, pixels], laid along those of the codes.

    The strongest components are dealt out between the two parts of a token by the bits that each has.
    """
    codes, widths = quantizer.codebook(), quantizer.widths
    basis, centre = components(rows, sum(widths)), rows.mean(dim=0)
    dealt = _deal(quantizer)
    shapes = [(codes.modifiers, PAIR_SPREAD), (codes.heads, 1.0)]
    into, out_of, means = [], [], []
    for (words, spread), chosen in zip(shapes, dealt, strict=True):
        part = basis[:, chosen]
        strength = ((rows - centre) @ part).var(dim=0).sum().sqrt()
        axes, length = components(words, words.shape[1]), words.var(dim=0).sum().sqrt() / spread
        factor = length / strength.clamp(min=1e-12)
        into.append(factor * axes @ part.T)
        out_of.append(part @ axes.T / factor)
        means.append(words.mean(dim=0))
    some = rows[torch.randperm(len(rows), device=rows.device)[:_ROWS]]

    def lay(strengths: Iterable[float]) -> None:
        pull = torch.cat([k * weight for k, weight in zip(strengths, into, strict=True)])
        push = torch.cat([weight / k for k, weight in zip(strengths, out_of, strict=True)], dim=1)
        middle = torch.cat(means)
        level.read.straight.weight.copy_(pull)
        level.read.straight.bias.copy_(middle - pull @ centre)
        level.write.straight.weight.copy_(push)
        level.write.straight.bias.copy_(centre - push @ middle)

    def error(strengths: tuple[float, float]) -> float:
        lay(strengths)
        vectors = _quantised(level.read(some), codes, widths)
        return (some - level.write(vectors)).square().sum().item()

    first = min(_STRENGTHS, key=lambda k: error((k, 1.0)))
    lay((first, min(_STRENGTHS, key=lambda k: error((first, k)))))


def _quantised(z: Tensor, codes: Codebook, widths: tuple[int, int]) -> Tensor:
    first, second = z.unsqueeze(0).split(list(widths), dim=-1)
    ids = torch.cat([best_pair(first, codes.modifiers, _TRIES), nearest(second, codes.heads, 1)], dim=-1)
    return torch.cat(codes.look_up(ids), dim=-1).squeeze(0)


def _deal(quantizer: LanguageQuantizer) -> tuple[list[int], list[int]]:
    """Which components, strongest first, each part of a token takes: the one with more bits to spare."""
    modifiers, _, heads = quantizer.sizes
    bits = torch.tensor([float(modifiers), float(heads)]).log2() * torch.tensor([2.0, 1.0])
    dealt: tuple[list[int], list[int]] = ([], [])
    for component in range(sum(quantizer.widths)):
        open_parts = [n for n in (0, 1) if len(dealt[n]) < quantizer.widths[n]]
        part = max(open_parts, key=lambda n: bits[n].item() / (len(dealt[n]) + 1))
        dealt[part].append(component)
    return dealt
