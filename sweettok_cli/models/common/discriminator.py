"""Patch discriminators: convolutions that say of every patch of pictures or clips whether it is real.

    stage 0: convolution, leaky ReLU        stages 1..: convolution, batch norm, leaky ReLU
    last:    convolution to one logit a patch (SweetTok and OmniTokenizer's video: normalised as the others)

One class for all that were published; they differ in kernels, strides and biases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.models.common.published_names import NameTable
from sweettok_cli.training import collective, draws

_SLOPE = 0.2  # of the leaky ReLU

NAMES = NameTable(
    "discriminator",
    renamed=(
        # SweetTok, OmniTokenizer: a module a stage; the middle ones begin with a blur that does nothing.
        (r"^model([12])\.1\.", r"stages.\1.conv."),
        (r"^model([12])\.2\.", r"stages.\1.norm."),
        (r"^model([034])\.0\.", r"stages.\1.conv."),
        (r"^model([34])\.1\.", r"stages.\1.norm."),
        # VidTok: layers numbered through.
        (r"^main\.0\.", "stages.0.conv."),
        *((rf"^main\.{3 * stage - 1}\.", f"stages.{stage}.conv.") for stage in range(1, 5)),
        *((rf"^main\.{3 * stage}\.", f"stages.{stage}.norm.") for stage in range(1, 4)),
    ),
    dropped=(),
)
_COUNTER = ".num_batches_tracked"  # of batch norms; nothing here depends on it


@dataclass(frozen=True)
class DiscriminatorConfig:
    """One network: a stride for each stage, sides of kernels and padding in pixels (and frames)."""

    axes: int  # 2 for pictures, 3 for clips
    strides: tuple[int | tuple[int, int, int], ...]
    kernel: int
    padding: int
    width: int = 64  # of the first stage; each one doubles it, up to eight times it
    bias: bool = True  # of convolutions whose output is normalised
    normal_logits: bool = False  # the last stage has a batch norm and a leaky ReLU, too
    noise: bool = False  # noise of learned strength is laid over what is seen

    def __post_init__(self) -> None:
        if self.axes not in (2, 3) or len(self.strides) < 2:
            raise ValueError("a discriminator has two or three axes, and two stages or more")


#: SweetTok's of clips; OmniTokenizer's is the same but for its noise.
CLIPS = DiscriminatorConfig(3, (2, 2, 2, 1, 1), kernel=4, padding=2, normal_logits=True)
#: OmniTokenizer's of pictures.
PICTURES = DiscriminatorConfig(2, (2, 2, 2, 1, 1), kernel=4, padding=2)
#: VidTok's, of single frames and of clips.
VIDTOK_FRAMES = DiscriminatorConfig(2, (2, 2, 2, 1, 1), kernel=4, padding=1, bias=False)
VIDTOK_CLIPS = DiscriminatorConfig(3, (2, 2, (1, 2, 2), 1, 1), kernel=3, padding=1, bias=False)


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the batches of all processes, on any device; names and values of torch's."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 4:
            raise ValueError(f"maps of {input.ndim} axes are neither pictures nor clips")

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, ...] to the same."""
        if not self.training or collective.processes() == 1:
            return super().forward(x)
        axes, shape = [0, *range(2, x.ndim)], (1, -1, *[1] * (x.ndim - 2))
        number = collective.total(x.new_full((1,), x.numel() // x.shape[1]))
        mean = collective.total(x.sum(axes)) / number
        apart = x - mean.view(shape)
        variance = collective.total(apart.square().sum(axes)) / number
        self._follow(mean, variance * number / (number - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return apart * scale.view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.momentum is not None and self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


class Noise(nn.Module):
    """Adds noise, the same for every channel, in a strength that each channel learns."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, ...] to the same."""
        return x + self.weight.view(1, -1, *[1] * (x.ndim - 2)) * draws.normal_like(x[:, :1])


class Stage(nn.Module):
    """Convolution, batch norm and leaky ReLU; the last two where there are any."""

    def __init__(self, conv: nn.Module, norm: nn.Module | None, leaky: bool) -> None:
        super().__init__()
        self.conv, self.norm, self.leaky = conv, norm, leaky

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, ...] to [b, c', ...]."""
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        return F.leaky_relu(x, _SLOPE) if self.leaky else x


class PatchDiscriminator(nn.Module):
    """Pictures [b, 3, h, w] or clips [b, 3, t, h, w] to the output of every stage; the last are logits."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        convolution: Any = nn.Conv2d if config.axes == 2 else nn.Conv3d
        self.noise = Noise(3) if config.noise else None
        self.stages = nn.ModuleList()
        width, last = 3, len(config.strides) - 1
        for index, stride in enumerate(config.strides):
            into = 1 if index == last else config.width << min(index, 3)
            normal = 0 < index < last or (index == last and config.normal_logits)
            conv = convolution(
                width, into, config.kernel, stride, config.padding, bias=config.bias or not normal
            )
            norm = SharedBatchNorm(into) if normal else None
            self.stages.append(Stage(conv, norm, leaky=normal or index < last))
            width = into

    def forward(self, x: Tensor) -> list[Tensor]:
        """The features of each stage [b, c, ...], and the logits [b, 1, ...]."""
        found = []
        x = x if self.noise is None else self.noise(x)
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def start_small(self) -> PatchDiscriminator:
        """Draw the weights anew as VidTok does: convolutions of deviation 0.02, norms around 1."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif isinstance(module, SharedBatchNorm):
                nn.init.normal_(module.weight, 1.0, 0.02)
        return self


def load_published_discriminator(model: PatchDiscriminator, state: Mapping[str, Tensor], prefix: str) -> None:
    """Copy a published discriminator into ``model``: the tensors whose names begin with ``prefix``.

    Raises ValueError that names what is missing, unknown or of another shape.
    """
    own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    NAMES.load(model, NAMES.convert(own, model), elsewhere=(_COUNTER,))
