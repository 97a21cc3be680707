"""What every level is built of: norm over channels, residual block, attention within a frame."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.convolutions import FrameConv, TimeConv, time_conv
from sweettok_cli.models.vidtok.memory import FrameMemory


class ChannelNorm(nn.Module):
    """Layer norm over the channels of every position, so that neither space nor time mix."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """[..., c] -> [..., c]."""
        return self.norm(x)


class ResidualBlock(nn.Module):
    """Twice norm, SiLU and a convolution, beside a shortcut (a 1x1 convolution where the width changes)."""

    def __init__(self, conv1: FrameConv | TimeConv, conv2: FrameConv | TimeConv) -> None:
        super().__init__()
        wide, width = conv1.weight.shape[1], conv1.weight.shape[0]
        self.norm1 = ChannelNorm(wide)
        self.conv1 = conv1
        self.norm2 = ChannelNorm(width)
        self.conv2 = conv2
        if wide != width:
            self.nin_shortcut = FrameConv(wide, width, 1)
        self.widens = wide != width

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

    def forward(self, x: Tensor, memory: FrameMemory) -> Tensor:
        """[b, t, h, w, c] -> [b, t, h, w, c']."""
        h = self.conv1(F.silu(self.norm1(x), inplace=True), memory)
        h = self.conv2(F.silu(self.norm2(h), inplace=True), memory)
        return h.add_(self.nin_shortcut(x) if self.widens else x)


class FrameAttention(nn.Module):
    """One head of attention among the positions of each frame."""

    def __init__(self, config: VidTokConfig, width: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.q, self.k, self.v, self.proj_out = (
            time_conv(config, nn.Conv3d(width, width, 1)) for _ in range(4)
        )

    def forward(self, x: Tensor, memory: FrameMemory) -> Tensor:
        """[b, t, h, w, c] -> [b, t, h, w, c]."""
        normed = self.norm(x)
        q, k, v = (
            rearrange(layer(normed, memory), "b t h w c -> (b t) 1 (h w) c")
            for layer in (self.q, self.k, self.v)
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
