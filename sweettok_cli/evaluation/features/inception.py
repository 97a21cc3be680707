"""Inception-2015, the network of FID, with the names of ``pt_inception-2015-12-05-6726825d.pth``.

Its weights are those of TensorFlow's ``inception-2015-12-05`` graph, which the FID paper (Heusel et al. 2017)
used. That graph is not torchvision's Inception-v3: its averages leave out the padding, and its last block
takes the maximum where the paper takes the mean. The classifier is left out.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.evaluation.features.inception_blocks import (
    BlockA,
    BlockB,
    BlockC,
    BlockD,
    BlockE,
    ConvUnit,
    greatest_neighbour,
    mean_of_neighbours,
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
