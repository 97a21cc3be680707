"""The feature stacks of VGG16 and AlexNet that LPIPS looks into, with torchvision's names.

VGG16: Simonyan and Zisserman 2014. AlexNet: Krizhevsky's "One weird trick" version of 2014.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

Net = Literal["vgg", "alex"]

UNUSED = ("classifier.",)
"""What the published files hold beside: the classifier."""

#: Number in the stack after which LPIPS takes the features: the last ReLU of each stage.
TAPS: dict[Net, tuple[int, ...]] = {"vgg": (3, 8, 15, 22, 29), "alex": (1, 4, 7, 9, 11)}

#: Channels of the features taken.
WIDTHS: dict[Net, tuple[int, ...]] = {"vgg": (64, 128, 256, 512, 512), "alex": (64, 192, 384, 256, 256)}

#: Pixels of the shortest side of which something is left at the last tap.
SMALLEST: dict[Net, int] = {"vgg": 16, "alex": 31}


class Backbone(nn.Module):
    """Pictures ``[b, 3, h, w]`` to five maps of features ``[b, c, h', w']``, after a ReLU each."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.features = _vgg16() if net == "vgg" else _alexnet()
        self.taps = TAPS[net]

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The maps from fine to coarse."""
        found, x = [], pictures
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in self.taps:
                found.append(x)
        return found


def _vgg16() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        if layers:
            layers.append(nn.MaxPool2d(2))
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers)


def _alexnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    )
