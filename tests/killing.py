"""Kill a training again and again, also while it saves, and see whether it ends as one that was left alone.

    python -m tests.killing                          200 steps, ten kills, two of them in writing
    python -m tests.killing --steps 50 --kills 4 --in-writing 1 --seed 3

The run has a discriminator, dropout, pictures, drawn samples and validation. Weights, averages, moments, both
exported models and the log must be the same, bit for bit.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.recipe_file import recipe_from

EVERY = 5  # steps between checkpoints


@dataclass
class Ordeal:
    """A run that is begun, killed and resumed until it is over."""

    out: Path
    new: list[str]  # what begins it
    draw: random.Random
    steps: int
    kills: int = 0
    in_writing: int = 0  # of the kills, those that left half a checkpoint

    def go_on(self, kills: int, in_writing: int) -> bool:
        """Run to the end, through so many kills, of which so many at least leave half a checkpoint.

        Returns whether there were: where the machine is busy, a run can be over before it is killed.
        """
        while self.kills < kills or self.in_writing < in_writing:
            left = max(1, kills - self.kills)
            if not self._run(writing=self.in_writing < in_writing and self.draw.random() < 2 / left):
                break
        assert self._run(kill=False) is False
        return self.kills >= kills and self.in_writing >= in_writing

    def _run(self, writing: bool = False, kill: bool = True) -> bool:
        """One process; returns whether it was killed before it came to its end."""
        begun = bool(saved(self.out))
        arguments = ["--out", str(self.out), *(["--resume"] if begun else self.new)]
        command = [sys.executable, "-m", "sweettok_cli", "train", *arguments]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            if kill:
                self._wait(process, writing)
                process.send_signal(signal.SIGKILL)
            said = process.stderr.read()
            code = process.wait()
        assert code in (0, -signal.SIGKILL), said
        if code == 0:
            return False
        self.kills += 1
        self.in_writing += any((self.out / "checkpoints").glob(".*.partial"))
        return True

    def _wait(self, process: subprocess.Popen[str], writing: bool) -> None:
        """Until it shall be killed: at any moment from its start on, or in the middle of a checkpoint."""
        assert process.stderr is not None
        if not writing and self.draw.random() < 0.15:
            time.sleep(self.draw.uniform(0.1, 5))  # perhaps before its first step
            return
        last = max([*saved(self.out), 0])
        share = max(2, (self.steps - last) // 3)
        target = last + self.draw.randint(1, share)
        for line in process.stderr:
            if line.startswith("step ") and int(line.split()[1]) >= target:
                break
        if not writing:
            time.sleep(self.draw.uniform(0, 0.3))
            return
        while process.poll() is None:
            # Looked at again while it stands still: what is being written may have been ready meanwhile.
            if self._half_written() and stopped(process):
                if self._half_written():
                    return
                process.send_signal(signal.SIGCONT)

    def _half_written(self) -> bool:
        return any((self.out / "checkpoints").glob(".*.partial/state.pt"))


def stopped(process: subprocess.Popen[str]) -> bool:
    """Let a process stand still; whether it does, and has not ended."""
    process.send_signal(signal.SIGSTOP)
    what = os.WSTOPPED | os.WEXITED | os.WNOWAIT  # it is for Popen to find out that it has ended
    found = os.waitid(os.P_PID, process.pid, what)
    return found is not None and found.si_code == os.CLD_STOPPED


def saved(out: Path) -> list[int]:
    """Steps of the checkpoints in a run's folder."""
    folder = out / "checkpoints"
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()] if folder.is_dir() else []


def ordeal_recipe(tiny: Recipe, steps: int) -> Recipe:
    """Everything that has a state, and everything that is drawn at random, in a tiny network."""
    return dataclasses.replace(
        tiny, stage=2, steps=steps, crop=[[64.0, 2.0, 1.0]], log_every=1, checkpoint_every=EVERY,
        keep_checkpoints=2, validate_every=EVERY, validate_clips=1, pictures=0.2, synthetic=0.2, accumulate=2,
        model={**tiny.model, "code_dropout": 0.5}, discriminator_start=2, discriminator_width=4,
        adversarial=0.1, feature_matching=0.4, lecam=0.1,
    )  # fmt: skip


def outcome(out: Path, step: int) -> dict[str, Any]:
    """All that a run leaves, but for times."""
    state = torch.load(out / "checkpoints" / f"{step:08d}" / "state.pt", weights_only=True)
    assert state.pop("seconds") > 0
    models = {
        f"{name}/{file}": (out / name / file).read_bytes()
        for name in ("model", "best")
        for file in ("config.json", "model.safetensors", "words.json")
    }
    timed = {"seconds_per_step", "data_wait", "clips_per_second", "minutes", "event"}
    log = [
        {key: value for key, value in json.loads(line).items() if key not in timed}
        for line in (out / "log.jsonl").read_text().splitlines()
    ]
    return {"state": state, "models": models, "log": [line for line in log if line["kind"] != "event"]}


def same(a: Any, b: Any) -> bool:
    """Whether two outcomes are equal, bit for bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, Tensor) else a == b


def _apart(a: Any, b: Any) -> str:
    """Where two outcomes differ first."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return next(f"{key}: {_apart(a[key], b[key])}" for key in a if not same(a[key], b[key]))
    if isinstance(a, list) and len(a) == len(b):
        return next(
            f"{at}: {_apart(x, y)}" for at, (x, y) in enumerate(zip(a, b, strict=True)) if not same(x, y)
        )
    return f"{str(a)[:500]} and {str(b)[:500]}"


def suffer(
    folder: Path, clips: Path, prior: Path, recipe: Recipe, kills: int, in_writing: int, seed: int = 0
) -> Ordeal:
    """Train in ``folder`` once undisturbed and once through kills, and compare.

    Raises:
        AssertionError: they differ.
    """
    (folder / "recipe.toml").write_text(recipe.as_toml())
    given = ["--config", str(folder / "recipe.toml"), "--prior", str(prior)]
    new = [*given, "--data", str(clips), "--val", str(min(clips.rglob("*.mp4")))]
    straight = Ordeal(folder / "straight" / "run", new, random.Random(seed), recipe.steps)
    straight.go_on(0, 0)
    for attempt in range(5):
        out = folder / f"killed-{attempt}" / "run"
        killed = Ordeal(out, new, random.Random(seed + attempt), recipe.steps)
        if killed.go_on(kills, in_writing):
            break
    else:
        raise AssertionError("every run was over before it was killed often enough")
    one, two = (outcome(run.out, recipe.steps) for run in (straight, killed))
    assert set(one["state"]["critics"]["discriminator"]) >= {"lecam.real", "lecam.fake"}
    for part in one:
        assert same(one[part], two[part]), f"{part} differs: {_apart(one[part], two[part])}"
    return killed


def main() -> None:
    """As a command."""
    from small_network import word_prior
    from small_run import tiny_values, write_clip

    from sweettok_cli.codebook.prior import save_prior

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--in-writing", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "clips").mkdir()
        for number in range(6):
            write_clip(folder / "clips" / f"{number}.mp4", number)
        save_prior(word_prior(), folder / "prior")
        recipe = ordeal_recipe(recipe_from(tiny_values(), "ordeal"), options.steps)
        begun = time.perf_counter()
        run = suffer(
            folder,
            folder / "clips",
            folder / "prior",
            recipe,
            options.kills,
            options.in_writing,
            options.seed,
        )
        minutes = (time.perf_counter() - begun) / 60
    print(
        f"{options.steps} steps through {run.kills} kills, {run.in_writing} of them while a checkpoint was "
        f"written: the same, bit for bit, as without; {minutes:.1f} minutes"
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    main()
