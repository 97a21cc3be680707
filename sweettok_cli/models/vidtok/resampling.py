"""Halving and doubling of pictures and of time.

In time, a learned share of a plain average (or repetition) is mixed with a convolution of the same frames.
Both are linear, so their sum is one convolution, and its weights are what is added up here.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.convolutions import FrameConv, time_conv
from sweettok_cli.models.vidtok.memory import FrameMemory


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
        for p in range(2):
            for q in range(2):
                out[:, :, :, p, :, q] = four[:, :, p : p + h, q : q + w, p, q]
        return rearrange(out, "b t h p w q c -> b t (h p) (w q) c")


class MixedConv(nn.Module):
    """A 3x3x3 convolution mixed with a fixed one that treats every channel and position alike."""

    def __init__(self, config: VidTokConfig, width: int, stride: int = 1) -> None:
        super().__init__()
        self.mix_factor = nn.Parameter(torch.zeros(1))
        self.conv = time_conv(config, nn.Conv3d(width, width, 3, (stride, 1, 1)))

    def mixed(self, taps: list[float]) -> tuple[Tensor, Tensor]:
        """Weight [c, c, 3, 3, 3] and bias [c] of the sum; ``taps``: the fixed part's weights in time."""
        assert self.conv.bias is not None
        share = torch.sigmoid(self.mix_factor.float())
        fixed = torch.diag_embed(
            share * torch.tensor(taps, device=share.device)[:, None].expand(3, self.width)
        )
        weight = (1 - share) * self.conv.weight
        weight[..., 1, 1] += rearrange(fixed, "k c d -> c d k")
        return weight.to(self.conv.weight.dtype), ((1 - share) * self.conv.bias).to(self.conv.bias.dtype)

    @property
    def width(self) -> int:
        """Channels, in and out."""
        return self.conv.weight.shape[0]


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
        self.causal = config.causal
        self.interpolated = config.interpolates

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
