"""The published flat index layout, [b, 3S + 3T], to and from our ids [b, S, 3] and [b, T, 3].

Layout of each half: the modifier ids of all tokens, token by token as (nearest, second), then the head ids;
the spatial half first. At 256x256 that is 512 + 256 + 2048 + 1024 = 3840 ids.

The published ``decode_tokens`` reads the modifier ids in another order than its quantiser writes them: as all
nearest ids, then all second ids, so that it averages modifiers of different tokens. Ids written by the
published code are sound; videos it decoded from ids are not. Only the order that its quantiser writes is used
here.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor


def to_flat(spatial: Tensor, temporal: Tensor) -> Tensor:
    """Ids [b, S, 3] and [b, T, 3] (nearest modifier, second, head) -> [b, 3S + 3T]."""
    parts = []
    for ids in (spatial, temporal):
        parts += [rearrange(ids[..., :2], "b n two -> b (n two)"), ids[..., 2]]
    return torch.cat(parts, dim=1)


def from_flat(flat: Tensor, spatial_tokens: int) -> tuple[Tensor, Tensor]:
    """Undo :func:`to_flat`. Raises ValueError if the length does not fit ``spatial_tokens``."""
    rest = flat.shape[1] - 3 * spatial_tokens
    if rest < 0 or rest % 3:
        raise ValueError(f"{flat.shape[1]} ids do not hold {spatial_tokens} spatial tokens of three ids each")
    halves = flat.split([3 * spatial_tokens, rest], dim=1)
    spatial, temporal = (_half_from_flat(half) for half in halves)
    return spatial, temporal


def _half_from_flat(half: Tensor) -> Tensor:
    tokens = half.shape[1] // 3
    modifiers = rearrange(half[:, : 2 * tokens], "b (n two) -> b n two", two=2)
    return torch.cat([modifiers, half[:, 2 * tokens :, None]], dim=-1)
