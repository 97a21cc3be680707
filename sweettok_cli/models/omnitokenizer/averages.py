"""How OmniTokenizer's codebook learns: it follows the latents by moving averages, without a gradient."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sweettok_cli.models.omnitokenizer.quantizer import NearestCode
from sweettok_cli.training import collective

_DECAY = 0.99
_EMPTY = 1e-7  # counts that a code without latents still has
_SPREAD = 0.01  # deviation of copies of a latent, where there are more codes than latents


class CodeAverages(nn.Module):
    """Moving counts of a codebook's latents, and moving sums of them; each code is their quotient.

    Kept beside the network, of which they are no part once it is trained. A codebook that was trained before
    begins with a count of 1 a code, as in the published code; there, a process that starts also draws the
    codes anew, from its first batch, whatever it had learned.

    Source: FoundationVision/OmniTokenizer; van den Oord et al., arXiv:1711.00937, appendix A.1.
    """

    counts: Tensor  # [codes]
    sums: Tensor  # [codes, c]

    def __init__(self, codebook: NearestCode) -> None:
        super().__init__()
        codes = codebook.embeddings.detach()
        self.register_buffer("counts", torch.ones(len(codes), device=codes.device))
        self.register_buffer("sums", codes.clone())

    @torch.no_grad()
    def start(self, codebook: NearestCode, latents: Tensor) -> None:
        """Make the codes of a new codebook some of the ``latents`` [..., c], drawn at random."""
        codebook.embeddings.copy_(self._some(latents))
        self.sums.copy_(codebook.embeddings)
        self.counts.fill_(1.0)

    @torch.no_grad()
    def follow(self, codebook: NearestCode, latents: Tensor, indices: Tensor, restart: float = 0.0) -> None:
        """Take in the latents [..., c] of one pass, quantised to ``indices`` [...], of all processes.

        Codes whose moving count is below ``restart`` are drawn anew from the latents, until the next pass.
        What is not finite is not taken in: a step that fails leaves the codebook as it was.
        """
        rows, found = latents.float().flatten(0, -2), indices.flatten()
        counts = collective.total(
            torch.zeros_like(self.counts).index_add_(0, found, torch.ones_like(rows[:, 0]))
        )
        sums = collective.total(torch.zeros_like(self.sums).index_add_(0, found, rows))
        sound = sums.isfinite().all()
        self.counts.copy_(torch.where(sound, self.counts.lerp(counts, 1 - _DECAY), self.counts))
        self.sums.copy_(torch.where(sound, self.sums.lerp(sums, 1 - _DECAY), self.sums))
        total = self.counts.sum()
        weights = (self.counts + _EMPTY) / (total + len(self.counts) * _EMPTY) * total
        codebook.embeddings.copy_(self.sums / weights[:, None])
        if restart:
            idle = (self.counts < restart)[:, None] & sound
            codebook.embeddings.copy_(torch.where(idle, self._some(rows), codebook.embeddings))

    def _some(self, latents: Tensor) -> Tensor:
        """As many latents, of all processes, as there are codes; copies are moved a little."""
        rows = latents.float().flatten(0, -2)
        codes, width = self.sums.shape
        count = len(rows) * collective.processes()
        copies = -(-codes // count)
        places = torch.randperm(count * copies, device=rows.device)[:codes] % count
        some = collective.rows(rows, places)
        if copies > 1:
            some = some + _SPREAD / math.sqrt(width) * torch.randn_like(some)
        return some
