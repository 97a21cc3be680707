"""Inception-2015, the network of FID, with the names of ``pt_inception-2015-12-05-6726825d.pth``.

Its weights are those of TensorFlow's ``inception-2015-12-05`` graph, which the FID paper (Heusel et al. 2017)
used. That graph is not torchvision's Inception-v3: its averages leave out the padding, and its last block
takes the maximum where the paper takes the mean. The classifier is left out.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Pair = tuple[int, int]


class ConvUnit(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(
        self, channels: int, width: int, kernel: int | Pair = 1, stride: int = 1, padding: int | Pair = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """``[b, c, h, w]`` to the width."""
        return F.relu(self.bn(self.conv(x)))


def mean_of_neighbours(x: Tensor) -> Tensor:
    """Mean of 3x3; at the border only what lies inside the picture counts, as in TensorFlow."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def greatest_neighbour(x: Tensor) -> Tensor:
    """Maximum of 3x3, size kept."""
    return F.max_pool2d(x, 3, stride=1, padding=1)


class BlockA(nn.Module):
    """Mixed_5b to Mixed_5d: ``[b, c, h, w] -> [b, 224 + pooled, h, w]``."""

    def __init__(self, channels: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = ConvUnit(channels, 64)
        self.branch5x5_1 = ConvUnit(channels, 48)
        self.branch5x5_2 = ConvUnit(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = ConvUnit(channels, 64)
        self.branch3x3dbl_2 = ConvUnit(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvUnit(96, 96, 3, padding=1)
        self.branch_pool = ConvUnit(channels, pooled)

    def forward(self, x: Tensor) -> Tensor:
        """The four branches, joined."""
        return torch.cat(
            [
                self.branch1x1(x),
                self.branch5x5_2(self.branch5x5_1(x)),
                self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
                self.branch_pool(mean_of_neighbours(x)),
            ],
            dim=1,
        )


class BlockB(nn.Module):
    """Mixed_6a: ``[b, 288, h, w] -> [b, 768, (h - 1) / 2, (w - 1) / 2]``."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3 = ConvUnit(288, 384, 3, stride=2)
        self.branch3x3dbl_1 = ConvUnit(288, 64)
        self.branch3x3dbl_2 = ConvUnit(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvUnit(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Two branches and the maximum, joined."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], dim=1)


class BlockC(nn.Module):
    """Mixed_6b to Mixed_6e: ``[b, 768, h, w]`` kept; 7x7 as rows (1x7) and columns (7x1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        row: tuple[Pair, int, Pair] = ((1, 7), 1, (0, 3))
        column: tuple[Pair, int, Pair] = ((7, 1), 1, (3, 0))
        self.branch1x1 = ConvUnit(768, 192)
        self.branch7x7_1 = ConvUnit(768, width)
        self.branch7x7_2 = ConvUnit(width, width, *row)
        self.branch7x7_3 = ConvUnit(width, 192, *column)
        self.branch7x7dbl_1 = ConvUnit(768, width)
        self.branch7x7dbl_2 = ConvUnit(width, width, *column)
        self.branch7x7dbl_3 = ConvUnit(width, width, *row)
        self.branch7x7dbl_4 = ConvUnit(width, width, *column)
        self.branch7x7dbl_5 = ConvUnit(width, 192, *row)
        self.branch_pool = ConvUnit(768, 192)

    def forward(self, x: Tensor) -> Tensor:
        """The four branches, joined."""
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        return torch.cat(
            [
                self.branch1x1(x),
                self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x))),
                self.branch7x7dbl_5(self.branch7x7dbl_4(double)),
                self.branch_pool(mean_of_neighbours(x)),
            ],
            dim=1,
        )


class BlockD(nn.Module):
    """Mixed_7a: ``[b, 768, h, w] -> [b, 1280, (h - 1) / 2, (w - 1) / 2]``."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = ConvUnit(768, 192)
        self.branch3x3_2 = ConvUnit(192, 320, 3, stride=2)
        self.branch7x7x3_1 = ConvUnit(768, 192)
        self.branch7x7x3_2 = ConvUnit(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = ConvUnit(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = ConvUnit(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Two branches and the maximum, joined."""
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return torch.cat(
            [self.branch3x3_2(self.branch3x3_1(x)), self.branch7x7x3_4(seven), F.max_pool2d(x, 3, stride=2)],
            dim=1,
        )


class BlockE(nn.Module):
    """Mixed_7b and Mixed_7c: ``[b, c, h, w] -> [b, 2048, h, w]``; the last branch begins with ``pool``."""

    def __init__(self, channels: int, pool: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.branch1x1 = ConvUnit(channels, 320)
        self.branch3x3_1 = ConvUnit(channels, 384)
        self.branch3x3_2a = ConvUnit(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = ConvUnit(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = ConvUnit(channels, 448)
        self.branch3x3dbl_2 = ConvUnit(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = ConvUnit(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = ConvUnit(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = ConvUnit(channels, 192)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """The six ends of four branches, joined."""
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return torch.cat(
            [
                self.branch1x1(x),
                self.branch3x3_2a(single),
                self.branch3x3_2b(single),
                self.branch3x3dbl_3a(double),
                self.branch3x3dbl_3b(double),
                self.branch_pool(self.pool(x)),
            ],
            dim=1,
        )


FEATURES = 2048
SIDE = 299
"""Pixels of a side of the pictures that the network is made for."""

UNUSED = ("fc.",)
"""What the published file holds beside: the classifier for 1008 classes."""


class Inception2015(nn.Module):
    """Pictures ``[b, 3, 299, 299]`` in ``[-1, 1]`` to the features before the classifier, ``[b, 2048]``."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvUnit(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = ConvUnit(32, 32, 3)
        self.Conv2d_2b_3x3 = ConvUnit(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = ConvUnit(64, 80)
        self.Conv2d_4a_3x3 = ConvUnit(80, 192, 3)
        self.Mixed_5b = BlockA(192, 32)
        self.Mixed_5c = BlockA(256, 64)
        self.Mixed_5d = BlockA(288, 64)
        self.Mixed_6a = BlockB()
        self.Mixed_6b = BlockC(128)
        self.Mixed_6c = BlockC(160)
        self.Mixed_6d = BlockC(160)
        self.Mixed_6e = BlockC(192)
        self.Mixed_7a = BlockD()
        self.Mixed_7b = BlockE(1280, mean_of_neighbours)
        self.Mixed_7c = BlockE(2048, greatest_neighbour)

    def forward(self, pictures: Tensor) -> Tensor:
        """The mean over the picture of the last block's channels."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(pictures)))  # [b, 64, 147, 147]
        x = F.max_pool2d(x, 3, stride=2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))  # [b, 192, 71, 71]
        x = F.max_pool2d(x, 3, stride=2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))  # [b, 288, 35, 35]
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))  # [b, 768, 17, 17]
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))  # [b, 2048, 8, 8]
        return x.mean(dim=(2, 3))
