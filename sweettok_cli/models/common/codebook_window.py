"""How much of each codebook is in use, over a sliding window of steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import torch
from torch import Tensor

from sweettok_cli.metrics.codebook_use import list_use
from sweettok_cli.training import collective


class CodebookWindow:
    """Counts of every code of codebooks of these ``sizes`` over the last ``window`` steps, on the device."""

    def __init__(self, sizes: Mapping[str, int], window: int, device: torch.device):
        self.sizes = dict(sizes)
        self.starts: dict[str, int] = {}
        for name in self.sizes:
            self.starts[name] = sum(self.sizes[before] for before in self.starts)
        self.window = window
        self.steps: deque[Tensor] = deque()
        self.total = torch.zeros(sum(self.sizes.values()), dtype=torch.int64, device=device)

    @torch.no_grad()
    def add(self, ids: dict[str, Tensor]) -> None:
        """Count one step of all processes: integers of any shape, by the name of their codebook."""
        places = [(found + self.starts[name]).flatten() for name, found in ids.items()]
        codes = torch.cat(places).long()
        # scatter_add, unlike bincount, does not wait for the device.
        step = torch.zeros_like(self.total, dtype=torch.int32)
        step.scatter_add_(0, codes, torch.ones_like(codes, dtype=torch.int32))
        self._push(collective.add_up(step))

    def _push(self, step: Tensor) -> None:
        self.steps.append(step)
        self.total += step
        if len(self.steps) > self.window:
            self.total -= self.steps.popleft()

    def figures(self) -> dict[str, dict[str, float]]:
        """Per codebook ``use`` (share of codes that occurred) and ``perplexity`` (exp of the entropy)."""
        result: dict[str, dict[str, float]] = {}
        for name, count in zip(self.sizes, self.total.cpu().split(list(self.sizes.values())), strict=True):
            if not count.any():
                continue
            use = list_use(count.numpy())
            result[name] = {"use": round(use.use, 4), "perplexity": round(use.perplexity, 1)}
        return result

    def state_dict(self) -> dict[str, Tensor]:
        """The window as one tensor int32 [steps, codes]."""
        empty = self.total.new_zeros((0, len(self.total)), dtype=torch.int32)
        return {"steps": torch.stack(list(self.steps)) if self.steps else empty}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue with a saved window."""
        self.steps.clear()
        self.total.zero_()
        for step in state["steps"].to(self.total.device):
            self._push(step)
