"""Runs of tasks on clips, and what is left of them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.state import AcceleratorState
from small_run import Heard
from torch import Tensor, nn

from sweettok_cli.models.registry import task_of
from sweettok_cli.training.loop import RunOptions, train
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.record import RunRecord
from sweettok_cli.training.task import Task
from sweettok_cli.zoo.load import load


def run(recipe: Recipe, clips: Path, out: Path, init: Path | None = None, **options: Any) -> dict[str, Any]:
    AcceleratorState._reset_state(reset_partial_state=True)
    task = options.pop("task", None) or task_of(recipe, init, None)
    record, voice = RunRecord.of([clips], None, init, None), options.pop("voice", None) or Heard()
    summary = train(RunOptions(task, recipe, record, out, **options), voice)
    assert summary is not None
    return summary


def lines(out: Path) -> list[dict[str, Any]]:
    found = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [line for line in found if line["kind"] == "train"]


def state(out: Path) -> dict[str, Any]:
    return torch.load(max((out / "checkpoints").iterdir()) / "state.pt", weights_only=True)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, Tensor) else a == b


def error_of(model: Path, clip: np.ndarray) -> float:
    """The mean squared error of a clip that the model in a folder encodes and decodes."""
    tokenizer = load(str(model), device="cpu")
    made = np.stack(list(tokenizer.decode(tokenizer.encode(clip))))
    return float(np.square(made.astype(float) - clip).mean())


def interrupted(task: Task, at: int) -> Task:
    """A task that is asked to stop in a step."""
    losses = task.losses

    def signalled(model: nn.Module, batch: Any, step: int) -> Any:
        if step == at:
            task.losses = losses  # type: ignore[method-assign]  # a second signal ends it at once
            os.kill(os.getpid(), signal.SIGTERM)
        return losses(model, batch, step)

    task.losses = signalled  # type: ignore[method-assign]
    return task


class Felt(nn.Module):
    """A perceptual distance that is not that of pixels."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return (first.square() - second.square()).abs().flatten(1).mean(1).mean()
