"""LPIPS, learned perceptual image patch similarity, with VGG16 or AlexNet.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018, version 0.1 of
the weights: features at five depths, each pixel's vector scaled to length one, squared differences weighted
channel by channel, averaged over the picture and added up over the depths.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from sweettok_cli.metrics.metric import Metric, NotMeasured, check_clips, too_small
from sweettok_cli.metrics.network_files import (
    ALEXNET,
    LPIPS_ALEX,
    LPIPS_VGG,
    VGG16,
    SearchPath,
    find,
    load_state,
    read_state,
)

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


SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
"""ImageNet's mean and deviation per channel, for values in [-1, 1], as published."""

EPSILON = 1e-10
"""Added to the length of a feature vector before dividing by it."""

_FRAMES = 4  # pairs that go through the network at once

#: Backbone and heads of each network.
FILES = {"vgg": (VGG16, LPIPS_VGG), "alex": (ALEXNET, LPIPS_ALEX)}
_NETWORKS = {"vgg": "VGG16", "alex": "AlexNet"}


class LpipsNetwork(nn.Module):
    """Two batches of pictures ``[b, 3, h, w]`` in ``[-1, 1]`` to their distances ``[b]``, at least 0."""

    shift: Tensor
    scale: Tensor

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.backbone = Backbone(net)
        self.weights = nn.ParameterList(torch.zeros(1, width, 1, 1) for width in WIDTHS[net])
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None], persistent=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """The distances."""
        pictures = (torch.cat([first, second]) - self.shift) / self.scale
        total = torch.zeros(len(first), device=first.device)
        for maps, weight in zip(self.backbone(pictures), self.weights, strict=True):
            directions = maps / (maps.square().sum(dim=1, keepdim=True).sqrt() + EPSILON)
            one, two = directions.chunk(2)
            total = total + ((one - two).square() * weight).sum(dim=1).mean(dim=(1, 2))
        return total


class Lpips(Metric):
    """LPIPS of clips, the mean over their frames.

    Args:
        net: ``vgg`` or ``alex``.
        search: where to look for the weights.
        device: to compute on.

    Raises:
        NotMeasured: the weights cannot be had.
    """

    unit = ""
    higher_is_better = False

    def __init__(self, net: Net, search: SearchPath, device: torch.device | str = "cpu") -> None:
        backbone, heads = (find(file, search) for file in FILES[net])
        self._network = load_lpips(net, backbone, heads).to(device)
        self._net: Net = net
        self._device = device
        self.name = f"lpips_{net}"
        self.names: tuple[str, ...] = (self.name,)
        self.definitions = {
            self.name: f"Mean over the frames of LPIPS 0.1 with {_NETWORKS[net]} on 8-bit RGB scaled to "
            "[-1, 1], at the frames' own size, maps averaged over space."
        }

    def unsuited(self, shape: tuple[int, ...]) -> dict[str, str]:
        """The name with the reason, where frames are smaller than the network can take."""
        return too_small(shape, {self.name: SMALLEST[self._net]})

    @torch.inference_mode()
    def measure(self, source: np.ndarray, reconstruction: np.ndarray) -> dict[str, float]:
        """As :meth:`Metric.measure`."""
        check_clips(source, reconstruction)
        if self.unsuited(source.shape):
            return {}
        distances = [
            self._network(self._pictures(source, start), self._pictures(reconstruction, start)).cpu()
            for start in range(0, len(source), _FRAMES)
        ]
        return {self.name: float(torch.cat(distances).double().mean())}

    def _pictures(self, clip: np.ndarray, start: int) -> Tensor:
        """Float32 ``[n, 3, h, w]`` in [-1, 1]."""
        part = torch.from_numpy(np.ascontiguousarray(clip[start : start + _FRAMES])).to(self._device)
        return part.permute(0, 3, 1, 2).float() / 127.5 - 1


def load_lpips(net: Net, backbone: Path, heads: Path) -> LpipsNetwork:
    """The network from torchvision's file of the backbone and the published file of the channels' weights.

    Raises:
        NotMeasured: a file is not what it should be.
    """
    network = LpipsNetwork(net)
    load_state(network.backbone, read_state(backbone), backbone, UNUSED)
    weights = read_state(heads)
    names = {f"lin{depth}.model.1.weight": f"weights.{depth}" for depth in range(len(WIDTHS[net]))}
    if set(weights) != set(names):
        raise NotMeasured(f"{heads} does not hold LPIPS's five layers of weights; fetch the published file.")
    inner = {f"backbone.{name}": tensor for name, tensor in network.backbone.state_dict().items()}
    return load_state(network, inner | {names[name]: weights[name] for name in names}, heads)
