"""Tokens of networks with levels as they are sent: rows of those that there are, and counts of positions.

What :mod:`sweettok_cli.tokens.ragged` says of arrays, for what the network makes and takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sweettok_cli.models.sweettok.config import SweetTokConfig
from sweettok_cli.models.sweettok.network import Choice, TokenPair
from sweettok_cli.tokens.ragged import places


def sent(tokens: Sequence[TokenPair], choices: Sequence[Choice]) -> dict[str, Tensor]:
    """The tokens of clips, ids [1, S, 3] and [1, T, 3] each, of which the ``choices`` are sent.

    ``spatial`` [b, S, 3], ``temporal`` [rows, 3], ``temporal_counts`` [b, T], ``detail`` [rows, 1],
    ``detail_counts`` [b, t, h, w]; int64.
    """
    spatial, temporal = (torch.cat(parts) for parts in zip(*tokens, strict=True))
    present = torch.cat([choice.present for choice in choices]).long()
    detail = torch.cat([choice.detail for choice in choices if choice.detail is not None]).flatten(1, 3)
    counts = torch.cat([choice.counts for choice in choices if choice.counts is not None])
    clip, _, position = _places(present)
    rows = temporal[clip, position]
    clip, level, position = _places(counts)
    return {
        "spatial": spatial,
        "temporal": rows,
        "temporal_counts": present,
        "detail": detail[clip, position, level].unsqueeze(-1),
        "detail_counts": counts,
    }


def received(tokens: Mapping[str, Tensor], config: SweetTokConfig) -> tuple[TokenPair, Choice | None]:
    """What :func:`sent` gave as ids of all positions, [b, S, 3] and [b, T, 3], and which of them there are.

    Of dense tokens, which have no counts, no choice is to be made.
    """
    spatial, temporal = tokens["spatial"], tokens["temporal"]
    if "temporal_counts" not in tokens:
        return TokenPair(spatial, temporal), None
    present, counts = tokens["temporal_counts"], tokens["detail_counts"]
    ids = temporal.new_zeros(*present.shape, 3)
    clip, _, position = _places(present)
    ids[clip, position] = temporal
    cells = counts.flatten(1).shape
    detail = temporal.new_zeros(*cells, config.levels)
    clip, level, position = _places(counts)
    detail[clip, position, level] = tokens["detail"].squeeze(-1)
    return TokenPair(spatial, ids), Choice(present > 0, detail.unflatten(1, counts.shape[1:]), counts)


def _places(counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Clip, level and position of every row."""
    found = places(counts.cpu().numpy())
    return tuple(torch.from_numpy(each).to(counts.device) for each in found)  # type: ignore[return-value]
