"""Layers shared by SweetTok and OmniTokenizer: norms, feed-forward, position encodings, attention.

Attention works on sequences [n, tokens, d] and knows nothing of frames or tiles (see ``tiles``). Numerically
the layers follow the published SweetTok and OmniTokenizer code; parity is tested against golden tensors.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from sweettok_cli.models.common.linear import Linear, by_parts, by_rows, only_evaluates

# The published networks scale the cosine of query and key by this constant instead of head_dim ** -0.5.
COSINE_SCALE = 8.0


class GammaNorm(nn.Module):
    """Layer normalisation with a gain but no learned offset."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """[..., d] -> [..., d]."""
        return F.layer_norm(x, self.gamma.shape, self.gamma)


class FeedForward(nn.Module):
    """Gated feed-forward, without the residual: ``contract(value * gelu(gate))``.

    The published inner width is ``int(4 * 2/3 * dim)``; ``multiple`` rounds it up to what hardware likes.
    """

    def __init__(self, dim: int, multiple: int = 1) -> None:
        super().__init__()
        inner = math.ceil(int(4 * (2 / 3) * dim) / multiple) * multiple
        self.norm = nn.LayerNorm(dim)
        self.expand = Linear(dim, 2 * inner, bias=False)
        self.contract = Linear(inner, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., d] -> [..., d]."""
        return by_rows(self._transform, x, self.expand.out_features)

    def _transform(self, x: Tensor) -> Tensor:
        value, gate = self.expand(self.norm(x)).chunk(2, dim=-1)
        return self.contract(F.gelu(gate) * value)


class PositionConvolution(nn.Module):
    """Position encoding by a depth-wise 3x3x3 convolution, by default causal in time, without the residual.

    ``scrambled`` reproduces the published temporal transformers: there the rows are ordered (h w t) but are
    viewed as (t h w) without a permutation, so the convolution mixes neighbours in memory, not in the
    picture. Trained weights depend on it.
    """

    def __init__(self, dim: int, scrambled: bool = False, causal: bool = True) -> None:
        super().__init__()
        self.dsconv = nn.Conv3d(dim, dim, 3, padding=(0, 1, 1), groups=dim)
        self.scrambled = scrambled
        self.frames_around = (2, 0) if causal else (1, 1)

    def forward(self, volume: Tensor) -> Tensor:
        """[b, t, h, w, d] -> [b, t, h, w, d]."""
        if not self.scrambled:
            return self._convolve(volume)
        _, t, h, w, _ = volume.shape
        rows = rearrange(volume, "b t h w d -> b (h w t) d")
        rows = rearrange(rows, "b (t h w) d -> b t h w d", t=t, h=h, w=w)
        rows = rearrange(self._convolve(rows), "b t h w d -> b (t h w) d")
        return rearrange(rows, "b (h w t) d -> b t h w d", t=t, h=h, w=w)

    def inside(self, volume: Tensor, above: int, below: int) -> Tensor:
        """As :meth:`forward`, not scrambled, for the rows between the first ``above`` and last ``below``.

        Either is 1, the neighbouring row, or 0, where there is none.
        """
        channels_first = rearrange(volume, "b t h w d -> b d t h w")
        padded = F.pad(channels_first, (0, 0, 1 - above, 1 - below, *self.frames_around))
        conv = self.dsconv
        out = F.conv3d(padded, conv.weight, conv.bias, padding=(0, 0, 1), groups=conv.groups)
        return rearrange(out, "b d t h w -> b t h w d")

    def _convolve(self, volume: Tensor) -> Tensor:
        channels_first = rearrange(volume, "b t h w d -> b d t h w")
        padded = F.pad(channels_first, (0, 0, 0, 0, *self.frames_around))
        return rearrange(self.dsconv(padded), "b d t h w -> b t h w d")


@lru_cache(maxsize=32)
def rotary_table(height: int, width: int, head_dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the two-dimensional rotary encoding, each [height*width, head_dim/2].

    Channel pairs alternate between x and y; pair 2j (2j+1) turns by x (y) times ``10000 ** (-4j /
    head_dim)``.
    """
    # A table made during inference must still be usable by a later training step.
    with torch.inference_mode(False), torch.no_grad():
        steps = torch.arange(head_dim // 4, dtype=torch.float32, device=device)
        frequencies = 10000.0 ** (-4 * steps / head_dim)
        sides = (torch.arange(side, dtype=torch.float32, device=device) for side in (height, width))
        y, x = (place.reshape(-1, 1) * frequencies for place in torch.meshgrid(*sides, indexing="ij"))
        angles = torch.stack([x, y], dim=-1).flatten(1)
        return angles.cos(), angles.sin()


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Turn neighbouring channel pairs of x [n, heads, tokens, c] by the angles of ``table``."""
    cos, sin = table
    if only_evaluates(x):  # one pass over memory instead of seven, but complex numbers are not compiled
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * torch.complex(cos, sin)).flatten(-2)
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)


class CosineAttention(nn.Module):
    """What self and cross attention share: l2-normalised queries and keys with learned gains."""

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads = heads
        self.norm = GammaNorm(dim)
        self.to_q = Linear(dim, inner, bias=False)
        self.to_kv = Linear(dim, 2 * inner, bias=False)
        self.to_out = Linear(inner, dim, bias=False)
        self.q_scale = nn.Parameter(torch.ones(head_dim))
        self.k_scale = nn.Parameter(torch.ones(head_dim))

    def _split(self, x: Tensor) -> Tensor:
        return rearrange(x, "n l (heads c) -> n heads l c", heads=self.heads)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, causal: bool = False) -> Tensor:
        q = F.normalize(q, dim=-1).to(v.dtype)
        # Both gains go to the keys: a product does not mind, and there are seldom more keys than queries.
        k = (F.normalize(k, dim=-1) * (self.q_scale * self.k_scale)).to(v.dtype)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=COSINE_SCALE)
        return self.to_out(rearrange(out, "n heads l c -> n l (heads c)"))


class SelfAttention(CosineAttention):
    """Self attention, without the residual; only queries see the norm, keys and values the raw stream."""

    def __init__(self, dim: int, heads: int, head_dim: int, causal: bool = False) -> None:
        super().__init__(dim, heads, head_dim)
        self.causal = causal

    def forward(self, x: Tensor, table: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """[n, tokens, d] -> [n, tokens, d]; ``table`` of :func:`rotary_table` adds positions."""
        q = self._split(self.to_q(self.norm(x)))
        k, v = (self._split(part) for part in self.to_kv(x).chunk(2, dim=-1))
        if table is not None:
            q, k = rotate(q, table), rotate(k, table)
        return self._attend(q, k, v, self.causal)


class SingleTokenAttention(nn.Module):
    """Self attention over sequences of one token, without the residual.

    The softmax over a single key is 1, so all that remains of attention is the value projection. The
    published code carries inert query and key weights here; they are dropped when its weights are read.
    """

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.to_v = Linear(dim, heads * head_dim, bias=False)
        self.to_out = Linear(heads * head_dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 1, d] -> [n, 1, d]."""
        return self.to_out(self.to_v(x))


class CrossAttention(CosineAttention):
    """Attention to a context, without the residual; learned null keys let a query attend to nothing."""

    def __init__(self, dim: int, heads: int, head_dim: int, null_keys: int = 0) -> None:
        super().__init__(dim, heads, head_dim)
        self.context_norm = GammaNorm(dim)
        # [heads, (key, value) pairs, c]: even rows are keys, odd rows their values.
        self.null_kv = nn.Parameter(torch.randn(heads, 2 * null_keys, head_dim)) if null_keys else None

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x [n*k, tokens, d], context [n, keys, d] -> [n*k, tokens, d].

        Each context serves k neighbouring sequences of x (e.g. the frames of one clip) without being copied.
        """
        joined = x.reshape(context.shape[0], -1, x.shape[-1])  # [n, k*tokens, d]
        q = self._split(self.to_q(self.norm(joined)))
        k, v = (self._split(part) for part in self.to_kv(self.context_norm(context)).chunk(2, dim=-1))
        if self.null_kv is not None:
            null = self.null_kv.to(v.dtype).expand(context.shape[0], -1, -1, -1)
            k = torch.cat([null[:, :, 0::2], k], dim=2)
            v = torch.cat([null[:, :, 1::2], v], dim=2)
        return self._attend(q, k, v).reshape(x.shape)


def _biased(layer: WindowAttention | TimeAttention, x: Tensor, bias: Tensor) -> Tensor:
    """Plain attention: [n, tokens, d], already normed, and a bias of the scores -> [n, tokens, d]."""

    def attend(x: Tensor, bias: Tensor) -> Tensor:
        qkv = rearrange(layer.qkv(x), "n l (three heads c) -> three n heads l c", three=3, heads=layer.heads)
        q, k, v = qkv.unbind(0)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(v.dtype))
        return layer.proj(rearrange(out, "n heads l c -> n l (heads c)"))

    return by_parts(attend, x.shape[1] * layer.qkv.out_features, x, bias)


@lru_cache(maxsize=4)
def _relative_positions(window: int) -> Tensor:
    """Which row of the bias belongs to each pair of cells, int64 [query, key]; layers share it."""
    side = torch.arange(window, device="cpu")  # real even while a network is laid out on "meta"
    cells = torch.stack(torch.meshgrid(side, side, indexing="ij")).flatten(1)
    offset = cells[:, :, None] - cells[:, None, :] + window - 1  # [2, query, key]
    return offset[0] * (2 * window - 1) + offset[1]


class WindowAttention(nn.Module):
    """Plain attention inside one square window with a learned relative position bias, without the residual.

    Cutting the frame into windows is left to the caller, who also says with a mask where a shifted window
    holds cells that are no neighbours. Follows Swin.
    """

    relative_position_index: Tensor

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = GammaNorm(dim)
        self.qkv = Linear(dim, 3 * dim, bias=False)
        self.proj = Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(0.02 * torch.randn((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", _relative_positions(window), persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """[n, cells, d] -> [n, cells, d]; ``mask`` [n, cells, cells] is added to the scores."""
        bias = self.relative_position_bias_table[self.relative_position_index]  # [query, key, heads]
        bias = rearrange(bias, "q k heads -> 1 heads q k")
        if mask is not None:
            bias = bias + mask.unsqueeze(1)
        return _biased(self, self.norm(x), bias)


class TimeAttention(nn.Module):
    """Plain attention over the latent frames of one patch column, without the residual.

    Positions are learned, one a latent frame, and a bias for each pair of frames.
    """

    def __init__(self, dim: int, heads: int, frames: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = GammaNorm(dim)
        self.position = nn.Parameter(0.02 * torch.randn(frames, dim))
        self.qkv = Linear(dim, 3 * dim, bias=False)
        self.proj = Linear(dim, dim)
        self.frame_bias = nn.Parameter(torch.zeros(heads, frames, frames))

    def forward(self, x: Tensor) -> Tensor:
        """[n, t, d] -> [n, t, d] for t up to ``frames``."""
        t = x.shape[1]
        return _biased(self, self.norm(x) + self.position[:t], self.frame_bias[None, :, :t, :t])
