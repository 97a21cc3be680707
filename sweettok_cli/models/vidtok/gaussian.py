"""The latents of a KL network: a normal distribution for every number."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class GaussianLatents:
    """Independent normal distributions [b, c, t', h', w'], as the encoder of a KL network describes them.

    The published code draws from them also outside of training; here the mean is what gets stored unless
    :meth:`sample` is asked for.

    Attributes:
        mean: of each.
        logvar: natural logarithm of the variance, kept within -30 .. 20.
    """

    mean: Tensor
    logvar: Tensor

    @classmethod
    def from_moments(cls, moments: Tensor) -> GaussianLatents:
        """``moments`` [b, 2c, t', h', w']: means, then logarithms of variances."""
        mean, logvar = moments.chunk(2, 1)
        return cls(mean, logvar.clamp(-30.0, 20.0))

    @property
    def std(self) -> Tensor:
        """Standard deviation."""
        return torch.exp(0.5 * self.logvar)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw, from ``generator`` (on the latents' device) if given."""
        noise = torch.randn(
            self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype
        )
        return self.mean + self.std * noise
