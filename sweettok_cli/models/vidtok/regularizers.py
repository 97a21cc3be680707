"""From the encoder's channels to tokens: finite scalar or vector quantisation."""

from __future__ import annotations

import math
from itertools import accumulate
from operator import mul

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sweettok_cli.training import collective

# Softmax over all codes at this inverse temperature, of twice the inner product: VidTok's.
_SHARPNESS = 200.0
_LEAST_PROBABILITY = 1e-5  # in logarithms
_COMMITMENT = 0.25
# The entropy's weight falls from the first to the second in so many steps.
_ENTROPY_WEIGHTS, _ENTROPY_STEPS = (0.3, 0.1), 2000
# Probabilities that are held at once: rows times codes.
_PROBABILITIES = 1 << 24


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

    def indices(self, latents: Tensor) -> Tensor:
        """Of latents [..., c] of any floating type: int64 [...]."""
        return self.digits_to_indices(self.digits(latents))

    def quantize(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """The codes [..., c] of latents, with the gradient of what was rounded, and their indices [...]."""
        bounded = self.bound(latents)
        digits, soft = self.round_bounded(bounded), bounded / self._middle(bounded)
        # The forward value is exactly the code: the difference is 0.
        return self.digits_to_codes(digits) + (soft - soft.detach()), self.digits_to_indices(digits)

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

    def loss(self, latents: Tensor, step: int) -> Tensor:
        """What training adds for latents [..., c] after ``step`` steps: their entropies and commitment.

        Each token's choice should be clear and all together should use every code: the mean entropy of single
        choices less that of their mean. Codes are not moved; latents are drawn to theirs.
        """
        with torch.autocast(latents.device.type, enabled=False):
            latents = latents.float()
            single, together = self.entropies(latents)
            codes = self.digits_to_codes(self.digits(latents.detach()))
            commitment = F.mse_loss(latents, codes)
        return entropy_weight(step) * (single - together) + _COMMITMENT * commitment

    def entropies(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Of latents [..., c]: the mean entropy of a token's soft choice of code, and that of the mean.

        In natural units; the second is of the tokens of all processes.
        """
        rows = latents.flatten(0, -2)
        codes = self.indices_to_codes(torch.arange(math.prod(self.levels), device=rows.device))

        def choose(part: Tensor) -> tuple[Tensor, Tensor]:
            chances = (_SHARPNESS * part @ codes.T).softmax(dim=-1)
            return _entropy(chances).sum(), chances.sum(dim=0)

        singles, chances = [], []
        for part in rows.split(max(1, _PROBABILITIES // len(codes))):
            single, summed = checkpoint(choose, part, use_reentrant=False)
            singles.append(single)
            chances.append(summed)
        mean = collective.mean(torch.stack(chances).sum(dim=0) / len(rows))
        return torch.stack(singles).sum() / len(rows), _entropy(mean)

    def _middle(self, like: Tensor) -> Tensor:
        return torch.tensor([n // 2 for n in self.levels], device=like.device)

    def _basis(self, like: Tensor) -> Tensor:
        return torch.tensor(list(accumulate(self.levels[:-1], mul, initial=1)), device=like.device)


def entropy_weight(step: int) -> float:
    """Weight of the entropies after ``step`` steps."""
    first, last = _ENTROPY_WEIGHTS
    return first + (last - first) * min(1.0, step / _ENTROPY_STEPS)


def _entropy(chances: Tensor) -> Tensor:
    return -(chances * chances.clamp(min=_LEAST_PROBABILITY).log()).sum(dim=-1)


class VectorQuantizer(nn.Module):
    """Latents to the nearest of learned vectors: what VidTok's paper compares FSQ with.

    Source: van den Oord et al., "Neural Discrete Representation Learning", arXiv:1711.00937, equation 3.
    """

    def __init__(self, codes: int, channels: int) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.randn(codes, channels))

    def indices(self, latents: Tensor) -> Tensor:
        """Of latents [..., c]: int64 [...]; of equally near vectors the first."""
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            codes, rows = self.codes.float(), latents.float().flatten(0, -2)
            apart = 0.5 * codes.square().sum(-1)
            parts = rows.split(max(1, _PROBABILITIES // len(codes)))
            found = [torch.addmm(apart, part, codes.T, alpha=-1).argmin(-1) for part in parts]
            return torch.cat(found).view(latents.shape[:-1])

    def quantize(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest vectors [..., c], whose gradient goes straight to the latents, and indices [...]."""
        indices, latents = self.indices(latents), latents.float()
        return F.embedding(indices, self.codes).detach() + (latents - latents.detach()), indices

    def indices_to_codes(self, indices: Tensor) -> Tensor:
        """Int64 [...] -> float32 [..., c].

        Raises:
            ValueError: an index is out of range.
        """
        size = len(self.codes)
        if indices.numel() and (int(indices.min()) < 0 or int(indices.max()) >= size):
            raise ValueError(f"an index is not in 0..{size - 1}")
        return F.embedding(indices.long(), self.codes).float()

    def loss(self, latents: Tensor, step: int) -> Tensor:
        """What training adds for latents [..., c]: vectors are drawn to them, and they to theirs."""
        latents = latents.float()
        codes = F.embedding(self.indices(latents), self.codes)
        return F.mse_loss(codes, latents.detach()) + _COMMITMENT * F.mse_loss(latents, codes.detach())
