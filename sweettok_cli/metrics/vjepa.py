"""V-JEPA's video transformer and the attentive pooler over it, with the names of Meta's files.

Bardes et al., "Revisiting Feature Prediction for Learning Visual Representations from Video", 2024. JEDi
takes the ViT-H/16 (``target_encoder`` of ``vith16.pth.tar``) and the pooler that was trained on its output
for Something-Something v2 (``ssv2-probe.pth.tar``). ``transformers`` has V-JEPA 2 alone, which is another
network: its positions are rotary, here they are a table that is added and that the file holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


@dataclass(frozen=True)
class VJepaConfig:
    """Sizes; by default those of the published ViT-H/16."""

    width: int = 1280
    depth: int = 32
    heads: int = 16
    frames: int = 16
    side: int = 224  # pixels of a square frame
    tube: int = 2  # frames of a patch
    patch: int = 16  # pixels of its sides

    @property
    def patches(self) -> int:
        """Of a clip."""
        return self.frames // self.tube * (self.side // self.patch) ** 2


class VJepa(nn.Module):
    """A clip's patches: ``[b, 3, t, h, w]``, normalised as ImageNet's pictures are, to ``[b, n, width]``."""

    def __init__(self, config: VJepaConfig) -> None:
        super().__init__()
        self.patch_embed = Patches(config)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.patches, config.width))
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)

    def forward(self, video: Tensor) -> Tensor:
        """Of exactly the frames and the size that the positions are for."""
        x = self.patch_embed(video) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Patches(nn.Module):
    """Tubes of pixels as vectors, in the order of time, rows, columns."""

    def __init__(self, config: VJepaConfig) -> None:
        super().__init__()
        shape = (config.tube, config.patch, config.patch)
        self.proj = nn.Conv3d(3, config.width, shape, shape)

    def forward(self, video: Tensor) -> Tensor:
        """``[b, 3, t, h, w] -> [b, n, width]``."""
        return rearrange(self.proj(video), "b d t h w -> b (t h w) d")


class Block(nn.Module):
    """Attention and a network of two layers, each after a norm and added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.attn = Attention(width, heads)
        self.mlp = Layers(width)

    def forward(self, x: Tensor) -> Tensor:
        """``[b, n, width]``."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Attention(nn.Module):
    """Of all patches to all; queries, keys and values from one matrix."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``[b, n, width]``."""
        query, key, value = rearrange(self.qkv(x), "b n (k h d) -> k b h n d", k=3, h=self.heads)
        return self.proj(_attended(query, key, value))


class Layers(nn.Module):
    """Four times as wide between, exact GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``[b, n, width]``."""
        return self.fc2(F.gelu(self.fc1(x)))


class AttentivePooler(nn.Module):
    """One learned query that reads all patches: ``[b, n, width] -> [b, width]``."""

    def __init__(self, config: VJepaConfig) -> None:
        super().__init__()
        self.query_tokens = nn.Parameter(torch.zeros(1, 1, config.width))
        self.cross_attention_block = CrossBlock(config.width, config.heads)

    def forward(self, x: Tensor) -> Tensor:
        """Patches of :class:`VJepa`."""
        query = self.query_tokens.expand(len(x), -1, -1)
        return self.cross_attention_block(query, x)[:, 0]


class CrossBlock(nn.Module):
    """As :class:`Block`, but queries come from elsewhere and only what they read is normed before."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width) for _ in range(2))
        self.xattn = CrossAttention(width, heads)
        self.mlp = Layers(width)

    def forward(self, query: Tensor, x: Tensor) -> Tensor:
        """``[b, q, width]`` and ``[b, n, width]`` to ``[b, q, width]``."""
        query = query + self.xattn(query, self.norm1(x))
        return query + self.mlp(self.norm2(query))


class CrossAttention(nn.Module):
    """Of queries to patches."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.kv = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, query: Tensor, x: Tensor) -> Tensor:
        """As :class:`CrossBlock`."""
        asked = rearrange(self.q(query), "b n (h d) -> b h n d", h=self.heads)
        key, value = rearrange(self.kv(x), "b n (k h d) -> k b h n d", k=2, h=self.heads)
        return self.proj(_attended(asked, key, value))


def _attended(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return rearrange(F.scaled_dot_product_attention(query, key, value), "b h n d -> b n (h d)")
