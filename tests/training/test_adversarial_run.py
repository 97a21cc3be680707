"""Stage 3 with a discriminator: who learns what and when, and runs that are killed and go on."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import Heard
from torch import Tensor, nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.folder import read_model
from sweettok_cli.models.sweettok.task import SweetTokTask
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.training.loop import RunOptions, train
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.record import RunRecord

pytestmark = pytest.mark.usefixtures("one_run_a_process")


@pytest.fixture
def recipe(tiny: Recipe) -> Recipe:
    terms = {"l2": 4.0, "adversarial": 0.1, "feature_matching": 0.4, "lecam": 0.1}
    return dataclasses.replace(
        tiny, stage=3, crop=[[64.0, 2.0, 1.0]], log_every=1, checkpoint_every=1, keep_checkpoints=9,
        discriminator_start=2, discriminator_width=4, **terms,
    )  # fmt: skip


def run(recipe: Recipe, clips: Path, out: Path, prior: Path | None, **options: Any) -> Heard:
    heard = Heard()
    task = options.pop("task", None) or SweetTokTask(recipe, None, prior)
    train(RunOptions(task, recipe, RunRecord.of([clips], None, None, prior), out, **options), heard)
    return heard


def state(out: Path, step: int) -> dict[str, Any]:
    return torch.load(out / "checkpoints" / f"{step:08d}" / "state.pt", weights_only=True)


def lines(out: Path) -> list[dict[str, Any]]:
    found = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [line for line in found if line["kind"] == "train"]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, Tensor) else a == b


def test_a_discriminator_joins_late_and_stays_out_of_the_model(
    recipe: Recipe, clips: Path, prior: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run(dataclasses.replace(recipe, steps=4), clips, out, prior)
    critics = [state(out, step)["critics"]["discriminator"] for step in range(1, 5)]
    first = "discriminator.stages.0.conv.weight"
    assert torch.equal(critics[0][first], critics[1][first]), "it rests until it joins"
    assert not torch.equal(critics[1][first], critics[2][first])
    assert critics[1]["lecam.real"] == 0 != critics[2]["lecam.real"]
    names = [set(line["losses"]) for line in lines(out)]
    own = {"discriminator/hinge", "discriminator/lecam", "model/adversarial", "model/features"}
    assert names == [{"model/l2"}] * 2 + [{"model/l2"} | own] * 2
    rate = state(out, 3)["optimizers"]["discriminator"]["param_groups"][0]["lr"]
    assert rate == recipe.lr / recipe.warmup, "its warm-up begins when it joins"
    exported = read_model(ModelFolder(out / "model")).network
    assert not any("discriminator" in name for name in exported.state_dict())
    assert not any("discriminator" in name for name in state(out, 4)["averaged"])


def test_each_side_learns_from_its_own_terms(
    recipe: Recipe, clips: Path, prior: Path, tmp_path: Path
) -> None:
    """Decoder and discriminator move as they do when gradients are taken apart by hand."""

    class Watched(SweetTokTask):
        def losses(self, model: nn.Module, batch: Any, step: int) -> Any:
            found = super().losses(model, batch, step)
            if step == 2:
                decoder = [p for p in self.model.parameters() if p.requires_grad]
                judge = list(self.critics["discriminator"].parameters())
                for name, learned in (("model", decoder), ("discriminator", judge)):
                    total = torch.stack(list(found.losses[name].values())).sum()
                    grads = torch.autograd.grad(total, learned, retain_graph=True, allow_unused=True)
                    self.wanted[name] = [None if g is None else g.clone() for g in grads]
            return found

    plain = dataclasses.replace(recipe, steps=3, clip_norm=0.0)
    task = Watched(plain, None, prior)
    task.wanted = {}  # type: ignore[attr-defined]
    seen: dict[str, list[Tensor | None]] = {}
    step = torch.optim.AdamW.step

    def watch(optimizer: torch.optim.AdamW, *args: Any, **options: Any) -> Any:
        learned = [p for group in optimizer.param_groups for p in group["params"]]
        seen[str(len(learned))] = [p.grad for p in learned]
        return step(optimizer, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", watch)
        run(plain, clips, tmp_path / "run", prior, task=task)
    for wanted in task.wanted.values():  # type: ignore[attr-defined]
        found = seen[str(len(wanted))]
        norms = [sum(float(g.norm()) ** 2 for g in side if g is not None) for side in (wanted, found)]
        assert norms[0] == pytest.approx(norms[1], rel=1e-5) and norms[0] > 0


def test_factors_on_rates_reach_the_discriminator(
    recipe: Recipe, clips: Path, prior: Path, tmp_path: Path
) -> None:
    slow = dataclasses.replace(recipe, steps=1, lr_factors={"discriminator": 0.5})
    run(slow, clips, tmp_path / "run", prior)
    with pytest.raises(SweettokError, match=r"begins with 'discriminator'; they begin with .*decoder"):
        run(dataclasses.replace(slow, adversarial=0.0), clips, tmp_path / "other", prior)


def test_a_run_that_had_no_discriminator_cannot_go_on_with_one(
    recipe: Recipe, clips: Path, prior: Path, tmp_path: Path
) -> None:
    run(dataclasses.replace(recipe, steps=1, adversarial=0.0), clips, tmp_path / "run", prior)
    with pytest.raises(SweettokError, match="by a recipe with other optimizers; start a new run with --init"):
        run(recipe, clips, tmp_path / "run", None, resume=True)


def test_what_a_recipe_trains_without_is_said_once(
    recipe: Recipe, clips: Path, prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    felt = dataclasses.replace(recipe, steps=1, perceptual=0.1)
    with pytest.raises(SweettokError, match=r"convnext_small.* is not on this machine"):
        run(felt, clips, tmp_path / "run", prior)
    assert not (tmp_path / "run").exists()
    felt = dataclasses.replace(felt, without_features="train")
    heard = run(felt, clips, tmp_path / "run", prior)
    assert ["training without the perceptual term" in text for text in heard.warned].count(True) == 1
    heard = run(dataclasses.replace(felt, steps=2), clips, tmp_path / "run", None, resume=True)
    assert heard.warned == []


def test_the_perceptual_term_is_learned_from(
    recipe: Recipe, clips: Path, prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sweettok_cli.models.sweettok.task.perceptual_distance", lambda *_: nn.L1Loss()
    )  # of one frame
    run(dataclasses.replace(recipe, steps=1, perceptual=0.5), clips, tmp_path / "run", prior)
    assert 0 < lines(tmp_path / "run")[0]["losses"]["model/perceptual"] < 0.5


TOGETHER = """
import sys
from pathlib import Path
import torch
from small_run import Heard
from sweettok_cli.models.sweettok.task import SweetTokTask
from sweettok_cli.training.folder import RunFolder
from sweettok_cli.training.loop import Run, RunOptions
from sweettok_cli.training.recipe_file import load_recipe
from sweettok_cli.training.record import RunRecord

clips, prior, out = map(Path, sys.argv[1:])
recipe = load_recipe(None, str(out / "recipe.toml"))
record = RunRecord.of([clips], None, None, prior)
run = Run(RunOptions(SweetTokTask(recipe, None, prior), recipe, record, out / "run"),
          RunFolder(out / "run", False, 1), Heard())
run.train()
kept = {**run.task.model.state_dict(), **run.task.critics["discriminator"].state_dict()}
torch.save(kept, out / f"{run.accelerator.process_index}.pt")
"""


def test_two_processes_keep_one_decoder_and_one_discriminator(
    recipe: Recipe, clips: Path, prior: Path, tmp_path: Path
) -> None:
    together = dataclasses.replace(recipe, steps=4, discriminator_start=1, checkpoint_every=0)
    (tmp_path / "recipe.toml").write_text(together.as_toml())
    (tmp_path / "together.py").write_text(TOGETHER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    path = f"{Path(__file__).parent.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [*command, str(tmp_path / "together.py"), str(clips), str(prior), str(tmp_path)],
        capture_output=True, text=True, timeout=300,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, two = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert same(one, two)
    assert one["lecam.real"] != 0
