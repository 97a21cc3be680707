"""From the encoder's channels to tokens: finite scalar quantisation, and Gaussian latents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from operator import mul

import torch
from torch import Tensor


class FiniteScalarQuantizer:
    """Latents to indices and back; it has no weights.

    Source: Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple", arXiv:2309.15505, section 3.1,
    with the slightly widened range (a factor 1.001 on both sides) of microsoft/VidTok.
    """

    def __init__(self, levels: tuple[int, ...]) -> None:
        """``levels``: values that each channel can take."""
        self.levels = levels

    def digits(self, latents: Tensor) -> Tensor:
        """The level of every channel: [..., c] of any floating type -> int64 [..., c] in 0 .. levels - 1.

        Always computed in float32: half the range of bfloat16 steps lies beyond where levels change.
        """
        return self.round_bounded(self.bound(latents))

    def bound(self, latents: Tensor) -> Tensor:
        """Squeezed into the range of the levels, counted from the middle one: float32 [..., c]."""
        with torch.autocast(latents.device.type, enabled=False):
            levels = torch.tensor(self.levels, dtype=torch.float64, device="cpu")
            half = (levels - 1) * 1.001 / 2
            offset = torch.where(levels % 2 == 0, 0.5, 0.0).double()
            shift = torch.atanh(offset / half)
            half, offset, shift = (v.to(latents.device, torch.float32) for v in (half, offset, shift))
            return torch.tanh(latents.float() + shift) * half - offset

    def round_bounded(self, bounded: Tensor) -> Tensor:
        """Digits of values counted from the middle level; halves go to the even neighbour."""
        return torch.round(bounded).long() + self._middle(bounded)

    def digits_to_codes(self, digits: Tensor) -> Tensor:
        """Levels as numbers between -1 and 1: int64 [..., c] -> float32 [..., c]."""
        middle = self._middle(digits)
        return (digits - middle).float() / middle

    def digits_to_indices(self, digits: Tensor) -> Tensor:
        """int64 [..., c] -> int64 [...]; the first channel counts least."""
        return (digits * self._basis(digits)).sum(-1)

    def indices_to_codes(self, indices: Tensor) -> Tensor:
        """Int64 [...] in 0 .. prod(levels) - 1 -> float32 [..., c].

        Raises:
            ValueError: an index is out of range.
        """
        size = math.prod(self.levels)
        if indices.numel() and (int(indices.min()) < 0 or int(indices.max()) >= size):
            raise ValueError(f"an index is not in 0..{size - 1}")
        digits = indices[..., None].long().div(self._basis(indices), rounding_mode="floor")
        return self.digits_to_codes(digits % torch.tensor(self.levels, device=indices.device))

    def _middle(self, like: Tensor) -> Tensor:
        return torch.tensor([n // 2 for n in self.levels], device=like.device)

    def _basis(self, like: Tensor) -> Tensor:
        return torch.tensor(list(accumulate(self.levels[:-1], mul, initial=1)), device=like.device)


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

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw, from ``generator`` (on the latents' device) if given."""
        mean = self.mean
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return mean + self.std * noise
