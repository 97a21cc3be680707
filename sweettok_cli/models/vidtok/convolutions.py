"""Convolutions over frames kept as [b, t, h, w, c]: in space, in time, in both; causal or not.

Channels lie innermost in memory, as the fast kernels and the norms over channels want them, so that no layer
has to move data; what torch calls channels_last is then a mere view.
"""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.memory import FrameMemory


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
        self.conv = conv
        self.stride = conv.stride[0]
        self.replicate = replicate

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
        behind = F.pad(x, (0, 0, 0, 0, 0, 0, 0, 1))
        return _convolve(behind, weight, bias, self.stride)

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
    x = x.contiguous()
    strides, size = [1], 1
    for length in reversed(x.shape[1:]):
        size *= length
        strides.insert(0, size)
    n, *inner, c = x.shape
    first, *middle, last = strides
    return x.as_strided((n, c, *inner), (first, last, *middle))
