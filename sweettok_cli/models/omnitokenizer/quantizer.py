"""OmniTokenizer's quantiser: each latent becomes the nearest row of one table of codes."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_COMMITMENT = 0.25  # fixed in the published code, whatever its command line says
# Rows whose distances to all codes are held at once: 8 MB for 8192 codes, about what a core's cache holds.
_ROWS = 256


class Coded(NamedTuple):
    """What quantising [..., c] latents gives.

    ``indices`` [...] int64; ``vectors`` [..., c] the code rows, with the gradient passed straight to the
    latents; ``loss`` draws the latents to their codes, already weighted.
    """

    indices: Tensor
    vectors: Tensor
    loss: Tensor


class NearestCode(nn.Module):
    """Quantises to the nearest of ``codes`` rows of ``width`` numbers.

    The rows are a buffer, as in the published network, which follows the latents with moving averages instead
    of a gradient; they are compared as they are, not normalised.
    """

    embeddings: Tensor

    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        self.register_buffer("embeddings", F.normalize(torch.randn(codes, width), dim=-1))

    def forward(self, z: Tensor) -> Coded:
        """Latents [..., c] -> :class:`Coded`, in float32 whatever the input is."""
        z = z.float()
        indices = self.nearest(z)
        found = self.codes(indices)
        # The forward value is exactly the code: z - z is 0, while z + (code - z) would round.
        return Coded(indices, found + (z - z.detach()), _COMMITMENT * F.mse_loss(z, found))

    @torch.no_grad()
    def nearest(self, z: Tensor) -> Tensor:
        """Index [...] of the nearest code of z [..., c]; of equally near ones the first.

        Squared distances are summed in the published order, |z|^2 - 2 z e + |e|^2, in float32 even under
        autocast.
        """
        with torch.autocast(z.device.type, enabled=False):
            codes = self.embeddings.float()
            norms = codes.square().sum(-1)
            rows = z.float().reshape(-1, codes.shape[1])
            indices = torch.empty(rows.shape[0], dtype=torch.int64, device=z.device)
            for part, found in zip(rows.split(_ROWS), indices.split(_ROWS), strict=True):
                distances = torch.addmm(part.square().sum(-1, keepdim=True), part, codes.T, alpha=-2)
                torch.argmin(distances.add_(norms), dim=-1, out=found)
        return indices.view(z.shape[:-1])

    def codes(self, indices: Tensor) -> Tensor:
        """Indices [...] -> code rows [..., c]."""
        return F.embedding(indices.long(), self.embeddings)
