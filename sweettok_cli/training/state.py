"""What changes while a run goes on, and what a checkpoint keeps of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from sweettok_cli.training.codebook_use import CodebookUse
from sweettok_cli.training.optimizer import AveragedWeights


@dataclass
class State:
    """All that changes while a run goes on, besides the generators of random numbers."""

    model: nn.Module
    """The network itself; ``trained`` is the same one as Accelerate wraps it."""
    trained: nn.Module
    optimizer: Any
    averaged: AveragedWeights
    use: CodebookUse
    step: int = 0
    seconds: float = 0.0
    sums: dict[str, Tensor] = field(default_factory=dict)
    """Of the losses since the last line of the log."""
    counted: int = 0

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "averaged": self.averaged.state_dict(),
            "use": self.use.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "sums": self.sums,
            "counted": self.counted,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.averaged.load_state_dict(state["averaged"])
        self.use.load_state_dict(state["use"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.sums, self.counted = state["sums"], state["counted"]
