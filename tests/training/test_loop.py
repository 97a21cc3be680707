"""The loop on a tiny network: it learns, resumes exactly, stops cleanly, and leaves a model behind."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from sweettok_cli.training import loop
from sweettok_cli.training.loop import RunOptions, train
from sweettok_cli.training.recipe import Recipe

SILENT = [].append


def run(recipe: Recipe, clips: Path, out: Path, prior: Path | None, **options: Any) -> dict[str, Any]:
    return train(RunOptions(recipe, [clips], out, prior=prior, **options), SILENT)


def final_state(out: Path) -> dict[str, Any]:
    newest = max((out / "checkpoints").iterdir())
    return torch.load(newest / "state.pt", weights_only=True)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def records(out: Path, kind: str) -> list[dict[str, Any]]:
    lines = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]


class StopAfter:
    """Sends a signal to this process once ``step`` steps are done."""

    def __init__(self, step: int, number: signal.Signals):
        self.step, self.number = step, number

    def __call__(self, original: Any) -> Any:
        def step(run: Any, *args: Any) -> Any:
            result = original(run, *args)
            if run.state.step == self.step:
                os.kill(os.getpid(), self.number)
            return result

        return step


@pytest.mark.parametrize("accumulate", [1, 2])
def test_interrupted_and_resumed_run_equals_a_straight_one(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulate: int
) -> None:
    tiny = dataclasses.replace(tiny, accumulate=accumulate)
    straight = run(tiny, clips, tmp_path / "straight", prior)
    with monkeypatch.context() as patch:
        patch.setattr(loop.Run, "_step", StopAfter(3, signal.SIGTERM)(loop.Run._step))
        halted = run(tiny, clips, tmp_path / "halves", prior)
    assert halted["interrupted"] and halted["step"] == 3
    torch.manual_seed(99)
    resumed = run(tiny, clips, tmp_path / "halves", None, resume=True)
    assert (straight["step"], resumed["step"], resumed["interrupted"]) == (6, 6, False)
    one, two = final_state(tmp_path / "straight"), final_state(tmp_path / "halves")
    del one["seconds"], two["seconds"]
    assert same(one, two)
    for name in ("straight", "halves"):
        assert [r["step"] for r in records(tmp_path / name, "train")] == [2, 4, 6]
    figures = [
        [(r["loss"], r["codebooks"]) for r in records(tmp_path / n, "train")] for n in ("straight", "halves")
    ]
    assert figures[0] == figures[1]
    weights = [
        (tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("straight", "halves")
    ]
    assert weights[0] == weights[1]
