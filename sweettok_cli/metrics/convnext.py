"""ConvNeXt-S, whose answers on ImageNet's classes the published SweetTok compares in training.

Liu et al., "A ConvNet for the 2020s", 2022; tensors have the names of torchvision's file.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.metrics.network_files import load_state, read_state

SIDE = 224  # pixels
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, per channel, for values in [0, 1]."""

_WIDTHS, _DEPTHS = (96, 192, 384, 768), (3, 3, 27, 3)
_CLASSES = 1000


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of maps [b, c, h, w]."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Block(nn.Module):
    """A wide depth-wise convolution and a feed-forward layer, scaled, beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer_scale = nn.Parameter(torch.full((width, 1, 1), 1e-6))
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width),
            nn.Identity(),  # to channels last
            nn.LayerNorm(width, eps=1e-6),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] to the same."""
        return x + self.layer_scale * self.block[2:](self.block[0](x).movedim(1, -1)).movedim(-1, 1)


class ConvNeXt(nn.Module):
    """Pictures ``[b, 3, 224, 224]``, ImageNet's mean and deviation taken out, to logits ``[b, 1000]``."""

    def __init__(self, widths: tuple[int, ...] = _WIDTHS, depths: tuple[int, ...] = _DEPTHS) -> None:
        super().__init__()
        stages: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(3, widths[0], 4, stride=4), ChannelNorm(widths[0], eps=1e-6))
        ]
        for index, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            stages.append(nn.Sequential(*(Block(width) for _ in range(depth))))
            if index + 1 < len(widths):
                halve = nn.Conv2d(width, widths[index + 1], 2, stride=2)
                stages.append(nn.Sequential(ChannelNorm(width, eps=1e-6), halve))
        self.features = nn.Sequential(*stages)
        self.classifier = nn.Sequential(
            ChannelNorm(widths[-1], eps=1e-6), nn.Flatten(1), nn.Linear(widths[-1], _CLASSES)
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits."""
        return self.classifier(self.features(pictures).mean(dim=(2, 3), keepdim=True))


class LogitDistance(nn.Module):
    """Two batches of pictures ``[b, 3, h, w]`` in ``[0, 1]`` to the mean squared difference of their logits.

    Pictures are scaled to 224x224, bilinear with antialiasing, whatever their shape.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """A scalar."""
        scaled = F.interpolate(torch.cat([first, second]), (SIDE, SIDE), mode="bilinear", antialias=True)
        one, two = self.network((scaled - self.mean) / self.deviation).chunk(2)
        return F.mse_loss(one, two)


def load_convnext(path: Path) -> ConvNeXt:
    """ConvNeXt-S from torchvision's file.

    Raises:
        NotMeasured: the file is not what it should be.
    """
    return load_state(ConvNeXt(), read_state(path), path)
