"""Continuous latents: what the encoder of a variational autoencoder says of each number."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sweettok_cli.training import draws


@dataclass(frozen=True)
class GaussianLatents:
    """Independent normal distributions [b, c, t', h', w'], as the encoder of a KL network describes them.

    The published code always draws from them; here the mean is stored unless :meth:`sample` is asked for.
    """

    mean: Tensor
    logvar: Tensor  # natural logarithm of the variance, kept within -30 .. 20

    @classmethod
    def from_moments(cls, moments: Tensor) -> GaussianLatents:
        """``moments`` [b, 2c, t', h', w']: means, then logarithms of variances."""
        mean, logvar = moments.chunk(2, 1)
        return cls(mean, logvar.clamp(-30.0, 20.0))

    @property
    def std(self) -> Tensor:
        """Standard deviation."""
        return torch.exp(0.5 * self.logvar)

    @property
    def divergence(self) -> Tensor:
        """From the normal distribution, in natural units: the sum over a clip, the mean over clips."""
        apart = self.mean.square() + self.logvar.exp() - 1 - self.logvar
        return 0.5 * apart.sum() / len(self.mean)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw, from ``generator`` (on the latents' device) if given."""
        mean = self.mean
        if generator is None:
            noise = draws.normal_like(mean)
        else:
            noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return mean + self.std * noise
