"""Inception-I3D with the names of ``i3d_pretrained_400.pt``, the network of most papers' FVD.

Carreira and Zisserman, "Quo Vadis, Action Recognition?", 2017: Inception-v1 with every filter inflated into
time, trained on Kinetics-400. The file is VideoGPT's conversion of the network that the FVD paper used;
tensors are named as in piergiaj/pytorch-i3d. Two things differ from that repository, both as in the FVD code
that OmniTokenizer and SweetTok publish: batch normalisation adds 1e-5 to the variance, and the logits are
averaged over time.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 400
SIDE = 224
"""Pixels of a side of the frames that the network is made for."""

LEAST_FRAMES = 9
"""Below this less than the two steps in time remain that the last pooling spans."""

Shape = tuple[int, int, int]

#: Channels of a mixed block: 1x1; 1x1 before 3x3, 3x3; 1x1 before the second 3x3, second 3x3; after pooling.
MIXED: dict[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


class I3D(nn.Module):
    """Video ``[b, 3, t, 224, 224]`` in ``[-1, 1]``, t >= 9, to logits ``[b, 400]``."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit(3, 64, (7, 7, 7), (2, 2, 2))
        self.MaxPool3d_2a_3x3 = Pool((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = Unit(64, 64)
        self.Conv3d_2c_3x3 = Unit(64, 192, (3, 3, 3))
        self.MaxPool3d_3a_3x3 = Pool((1, 3, 3), (1, 2, 2))
        channels = 192
        for name, widths in MIXED.items():
            if name == "Mixed_4b":
                self.MaxPool3d_4a_3x3 = Pool((3, 3, 3), (2, 2, 2))
            if name == "Mixed_5b":
                self.MaxPool3d_5a_2x2 = Pool((2, 2, 2), (2, 2, 2))
            self.add_module(name, Mixed(channels, widths))
            channels = widths[0] + widths[2] + widths[4] + widths[5]
        self.logits = Unit(channels, CLASSES, normalised=False)

    def forward(self, video: Tensor) -> Tensor:
        """Logits before the softmax."""
        x = video
        for name, layer in self.named_children():
            if name != "logits":
                x = layer(x)
        x = F.avg_pool3d(x, (2, 7, 7), stride=1)  # [b, 1024, t / 8 - 1, 1, 1]
        return self.logits(x).mean(dim=(2, 3, 4))


class Mixed(nn.Module):
    """Four branches side by side: ``[b, c, t, h, w] -> [b, c', t, h, w]``."""

    def __init__(self, channels: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        self.b0 = Unit(channels, widths[0])
        self.b1a = Unit(channels, widths[1])
        self.b1b = Unit(widths[1], widths[2], (3, 3, 3))
        self.b2a = Unit(channels, widths[3])
        self.b2b = Unit(widths[3], widths[4], (3, 3, 3))
        self.b3a = Pool((3, 3, 3), (1, 1, 1))
        self.b3b = Unit(channels, widths[5])

    def forward(self, x: Tensor) -> Tensor:
        """Branches in the order of their names."""
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))]
        return torch.cat(branches, dim=1)


class Unit(nn.Module):
    """Convolution with TensorFlow's padding, batch normalisation and ReLU; or with a bias and neither."""

    def __init__(
        self,
        channels: int,
        width: int,
        kernel: Shape = (1, 1, 1),
        stride: Shape = (1, 1, 1),
        normalised: bool = True,
    ) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(channels, width, kernel, stride, bias=not normalised)
        self.bn = nn.BatchNorm3d(width, eps=1e-5) if normalised else None
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """``[b, c, t, h, w]`` to the width, each side divided by its stride and rounded up."""
        x = self.conv3d(same_padding(x, self.kernel, self.stride))
        return x if self.bn is None else F.relu(self.bn(x))


class Pool(nn.Module):
    """Maximum with TensorFlow's padding; zeros do no harm after a ReLU."""

    def __init__(self, kernel: Shape, stride: Shape) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """``[b, c, t, h, w]``, each side divided by its stride and rounded up."""
        return F.max_pool3d(same_padding(x, self.kernel, self.stride), self.kernel, self.stride)


def same_padding(x: Tensor, kernel: Shape, stride: Shape) -> Tensor:
    """Zeros as TensorFlow's "SAME" adds them: so many that every input counts, the odd one at the end."""
    pads: list[int] = []
    for side, reach, step in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max(reach - (side % step or step), 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads) if any(pads) else x
