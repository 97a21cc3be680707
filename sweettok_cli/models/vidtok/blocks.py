"""What every level is built of: convolutions over frames, halving and doubling, residual block, attention."""

from __future__ import annotations

import math
from collections import OrderedDict
from itertools import product

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.memory import FrameMemory
from sweettok_cli.training.blocks import Block

_MIXED = 2.0  # of the fixed part, before the sigmoid: VidTok's start


class FrameConv(nn.Conv2d):
    """A 2-D convolution of every frame."""

    def forward(self, x: Tensor, memory: FrameMemory | None = None) -> Tensor:
        """[b, t, h, w, c] -> [b, t, h', w', c']; ``memory`` is not needed."""
        return self.convolve(x, self.weight, self.bias)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """As ``forward``, with other weights."""
        frames = _channels_last(rearrange(x, "b t h w c -> (b t) h w c"))
        out = F.conv2d(frames, weight, bias, self.stride, self.padding)
        return rearrange(out, "(b t) c h w -> b t h w c", b=x.shape[0])


class CausalConv(nn.Module):
    """A convolution in time that sees frames up to the current one; what came before is in the memory."""

    def __init__(self, conv: nn.Conv1d | nn.Conv3d, replicate: bool) -> None:
        super().__init__()
        self.conv, self.stride, self.replicate = conv, conv.stride[0], replicate

    @property
    def weight(self) -> Tensor:
        """[c', c, k] or [c', c, k, k', k']."""
        return self.conv.weight

    @property
    def bias(self) -> Tensor | None:
        """[c']."""
        return self.conv.bias

    def convolve(self, x: Tensor, memory: FrameMemory, weight: Tensor, bias: Tensor | None) -> Tensor:
        """As ``forward``, with other weights."""
        x = memory.precede(self, x, weight.shape[2] - self.stride, self.replicate)
        return _convolve(x, weight, bias, self.stride)

    def forward(self, x: Tensor, memory: FrameMemory) -> Tensor:
        """[b, t, h, w, c] -> [b, t / stride, h, w, c']."""
        return self.convolve(x, memory, self.weight, self.bias)


class CenteredConv(nn.Module):
    """A convolution in time that looks both ways; beyond both ends are zeros."""

    def __init__(self, conv: nn.Conv1d | nn.Conv3d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias  # the published names have no ``conv.`` here
        self.stride = conv.stride[0]

    def convolve(self, x: Tensor, memory: FrameMemory, weight: Tensor, bias: Tensor | None) -> Tensor:
        """As ``forward``, with other weights; two taps give one frame more."""
        if self.stride == 1:
            return _convolve(x, weight, bias, padding=weight.shape[2] // 2)
        return _convolve(F.pad(x, (0, 0, 0, 0, 0, 0, 0, 1)), weight, bias, self.stride)

    def forward(self, x: Tensor, memory: FrameMemory) -> Tensor:
        """[b, t, h, w, c] -> [b, t / stride, h, w, c']; ``memory`` is not needed."""
        return self.convolve(x, memory, self.weight, self.bias)


TimeConv = CausalConv | CenteredConv


def time_conv(config: VidTokConfig, conv: nn.Conv1d | nn.Conv3d) -> TimeConv:
    """A convolution with the shape and first weights of ``conv``, of the kind that the network is made of."""
    return CausalConv(conv, config.replicates) if config.causal else CenteredConv(conv)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1, padding: int = 0) -> Tensor:
    """``stride`` and ``padding`` (zero frames on both sides) are those of time; pictures keep their size."""
    if weight.dim() == 3:  # one position of the picture at a time; kernels in 2-D are faster than in 1-D
        sequences = _channels_last(rearrange(x, "b t h w c -> b t (h w) c"))
        out = F.conv2d(sequences, weight[..., None], bias, (stride, 1), (padding, 0))
        return rearrange(out, "b c t (h w) -> b t h w c", h=x.shape[2])
    around = weight.shape[-1] // 2
    out = F.conv3d(_channels_last(x), weight, bias, (stride, 1, 1), (padding, around, around))
    return rearrange(out, "b c t h w -> b t h w c")


def _channels_last(x: Tensor) -> Tensor:
    """[n, ..., c] as [n, c, ...], with the strides by which torch tells that channels lie innermost.

    It looks at the strides of axes of length 1, too, which views leave at odd values; not recognised, a
    tensor would be copied into the other layout, and results would come in that.
    """
    n, *inner, c = x.shape
    first, *middle = (math.prod(x.shape[axis:]) for axis in range(1, x.dim()))
    return x.contiguous().as_strided((n, c, *inner), (first, 1, *middle))


class SpatialDownsample(nn.Module):
    """A 3x3 convolution of every other position, of frames with zeros below and to the right."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = FrameConv(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """[b, t, h, w, c] -> [b, t, h / 2, w / 2, c]."""
        return self.conv(F.pad(x, (0, 0, 0, 1, 0, 1)))


class SpatialUpsample(nn.Module):
    """Every position four times, then a 3x3 convolution.

    Of three repeated rows two are the same, and so with columns. A 2x2 convolution of the small picture does,
    another one for each of the four positions that one becomes, at less than half the cost.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = FrameConv(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[b, t, h, w, c] -> [b, t, 2h, 2w, c]."""
        h, w, bias = x.shape[2], x.shape[3], self.conv.bias
        assert bias is not None
        taps = self.conv.weight.new_tensor([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])
        weight = torch.einsum("p a i, q b j, o c i j -> p q o c a b", taps, taps, self.conv.weight)
        four = self.conv.convolve(x, weight.flatten(0, 2), bias.repeat(4))  # [b, t, h + 1, w + 1, 4c]
        four = four.unflatten(-1, (2, 2, -1))
        out = x.new_empty(*x.shape[:2], h, 2, w, 2, x.shape[-1], dtype=four.dtype)
        for p, q in product(range(2), repeat=2):
            out[:, :, :, p, :, q] = four[:, :, p : p + h, q : q + w, p, q]
        return rearrange(out, "b t h p w q c -> b t (h p) (w q) c")


class MixedConv(nn.Module):
    """A 3x3x3 convolution of ``width`` channels mixed with a fixed one that treats all of them alike."""

    def __init__(self, config: VidTokConfig, width: int, stride: int = 1) -> None:
        super().__init__()
        self.mix_factor = nn.Parameter(torch.full((1,), _MIXED), requires_grad=config.mixing == "learned")
        self.conv = time_conv(config, nn.Conv3d(width, width, 3, (stride, 1, 1)))

    def mixed(self, taps: list[float]) -> tuple[Tensor, Tensor]:
        """Weight [c, c, 3, 3, 3] and bias [c] of the sum; ``taps``: the fixed part's weights in time."""
        assert self.conv.bias is not None
        share = torch.sigmoid(self.mix_factor.float())
        weight = (1 - share) * self.conv.weight
        kept = share * torch.tensor(taps, device=share.device)[:, None].expand(3, len(weight))
        weight[..., 1, 1] += rearrange(torch.diag_embed(kept), "k c d -> c d k")
        return weight.to(self.conv.weight.dtype), ((1 - share) * self.conv.bias).to(self.conv.bias.dtype)


class TemporalDownsample(MixedConv):
    """Three frames, of which it keeps every other one, averaged and convolved."""

    def __init__(self, config: VidTokConfig, width: int) -> None:
        super().__init__(config, width, stride=2)

    def forward(self, x: Tensor, memory: FrameMemory) -> Tensor:
        """[b, t, h, w, c] -> [b, t / 2, h, w, c]; ``t`` even."""
        return self.conv.convolve(x, memory, *self.mixed([1 / 3, 1 / 3, 1 / 3]))


class TemporalUpsample(MixedConv):
    """Twice as many frames: repeated, or already interpolated, then mixed with their convolution."""

    def __init__(self, config: VidTokConfig, width: int) -> None:
        super().__init__(config, width)
        self.causal, self.interpolated = config.causal, config.interpolates

    def forward(self, x: Tensor, memory: FrameMemory) -> Tensor:
        """[b, t, h, w, c] -> [b, 2t, h, w, c]; where frames are interpolated first, t -> t."""
        weight, bias = self.mixed([0.0, 0.0, 1.0] if self.causal else [0.0, 1.0, 0.0])
        if self.interpolated:
            return self.conv.convolve(x, memory, weight, bias)
        # Of three repeated frames in a row two are the same: two taps in time do, other ones for the first
        # and the second frame of a pair, at two thirds of the cost.
        w0, w1, w2 = weight.unbind(2)
        first = torch.stack([w0 + w1, w2] if self.causal else [w0, w1 + w2], 2)
        second = torch.stack([w0, w1 + w2] if self.causal else [w0 + w1, w2], 2)
        both = self.conv.convolve(x, memory, torch.cat([first, second]), torch.cat([bias, bias]))
        pairs = both.unflatten(-1, (2, -1))  # [b, t, h, w, 2, c], and non-causal one more frame
        if not self.causal:
            return torch.stack([pairs[:, :-1, :, :, 0], pairs[:, 1:, :, :, 1]], 2).flatten(1, 2)
        return rearrange(pairs, "b t h w p c -> b (t p) h w c")


class ChannelNorm(nn.Sequential):
    """Layer norm over the channels of every position, [..., c], so that neither space nor time mix."""

    norm: nn.LayerNorm

    def __init__(self, width: int) -> None:
        super().__init__(OrderedDict(norm=nn.LayerNorm(width, eps=1e-6)))


class RememberingBlock(Block):
    """A block whose layers see the frames before."""

    def forward(self, x: Tensor, memory: FrameMemory) -> Tensor:
        """[b, t, h, w, c] -> [b, t, h, w, c']."""
        if not self.recomputed:
            return self.made(x, memory)
        before = memory.of(self)

        def run(x: Tensor) -> tuple[Tensor, FrameMemory]:  # computed again, it must find the frames of then
            own = FrameMemory(before)
            return self.made(x, own), own

        out, after = self.again(run, x)
        memory.take(after)
        return out

    def made(self, x: Tensor, memory: FrameMemory) -> Tensor:
        """As :meth:`forward`."""
        raise NotImplementedError


class ResidualBlock(RememberingBlock):
    """Twice norm, SiLU and a convolution, beside a shortcut (a 1x1 convolution where the width changes)."""

    def __init__(self, conv1: FrameConv | TimeConv, conv2: FrameConv | TimeConv) -> None:
        super().__init__()
        wide, width = conv1.weight.shape[1], conv1.weight.shape[0]
        self.norm1 = ChannelNorm(wide)
        self.conv1 = conv1
        self.norm2 = ChannelNorm(width)
        self.conv2 = conv2
        self.nin_shortcut = FrameConv(wide, width, 1) if wide != width else None

    @classmethod
    def spatial(cls, wide: int, width: int) -> ResidualBlock:
        """3x3 convolutions of every frame."""
        return cls(FrameConv(wide, width, 3, padding=1), FrameConv(width, width, 3, padding=1))

    @classmethod
    def temporal(cls, config: VidTokConfig, width: int) -> ResidualBlock:
        """Convolutions over three frames; does nothing when new."""
        last = nn.Conv1d(width, width, 3)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        return cls(time_conv(config, nn.Conv1d(width, width, 3)), time_conv(config, last))

    @classmethod
    def volume(cls, config: VidTokConfig, width: int) -> ResidualBlock:
        """3x3x3 convolutions."""
        return cls(*(time_conv(config, nn.Conv3d(width, width, 3)) for _ in range(2)))

    def made(self, x: Tensor, memory: FrameMemory) -> Tensor:
        """As :meth:`forward`."""
        h = self.conv1(F.silu(self.norm1(x), inplace=True), memory)
        h = self.conv2(F.silu(self.norm2(h), inplace=True), memory)
        return h.add_(x if self.nin_shortcut is None else self.nin_shortcut(x))


class FrameAttention(RememberingBlock):
    """One head of attention among the positions of each frame."""

    def __init__(self, config: VidTokConfig, width: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.q, self.k, self.v, self.proj_out = (
            time_conv(config, nn.Conv3d(width, width, 1)) for _ in range(4)
        )

    def made(self, x: Tensor, memory: FrameMemory) -> Tensor:
        """As :meth:`forward`."""
        normed = self.norm(x)
        q, k, v = (
            rearrange(of(normed, memory), "b t h w c -> (b t) 1 (h w) c") for of in (self.q, self.k, self.v)
        )
        read = F.scaled_dot_product_attention(q, k, v)
        read = rearrange(read, "(b t) 1 (h w) c -> b t h w c", b=x.shape[0], h=x.shape[2])
        return x + self.proj_out(read, memory)


class Middle(nn.Module):
    """Between encoder levels and latents, and back: block, attention, block."""

    def __init__(self, config: VidTokConfig, width: int) -> None:
        super().__init__()
        self.block_1 = ResidualBlock.volume(config, width)
        self.attn_1 = FrameAttention(config, width)
        self.block_2 = ResidualBlock.volume(config, width)

    def forward(self, x: Tensor, memory: FrameMemory) -> Tensor:
        """[b, t, h, w, c] -> [b, t, h, w, c]."""
        return self.block_2(self.attn_1(self.block_1(x, memory), memory), memory)
