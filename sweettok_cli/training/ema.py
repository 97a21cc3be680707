"""The exponential moving average of weights: what validation looks at and what is exported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class EMA(AveragedModel):
    """Exponential moving average of weights, with the published decay min(decay, (1 + s) / (10 + s))."""

    def __init__(self, model: nn.Module, decay: float):
        self._weight = 0.0
        super().__init__(model, multi_avg_fn=self._average)
        self.decay = decay
        self.requires_grad_(False)
        self.eval()

    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after step number ``step`` (0, 1, ...); the first call copies them."""
        self._weight = 1 - min(self.decay, (1 + step) / (10 + step))
        self.update_parameters(model)

    def _average(
        self, averaged: Sequence[Tensor | None], current: Sequence[Tensor | None], _: Tensor | int
    ) -> None:
        torch._foreach_lerp_(cast(list[Tensor], averaged), cast(list[Tensor], current), self._weight)
