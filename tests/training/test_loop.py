"""The loop on a tiny network: it learns, resumes exactly, stops cleanly, and leaves a model behind."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import signal
import tomllib
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tomli_w
import torch
from filelock import FileLock
from PIL import Image
from small_run import Heard

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.config import SMALL, describe_config, make_config
from sweettok_cli.models.sweettok.folder import read_model, read_words
from sweettok_cli.models.sweettok.task import SweetTokTask
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.training.loop import RunOptions, train
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.recipe_file import load_recipe
from sweettok_cli.training.record import RunRecord
from sweettok_cli.training.task import Step

pytestmark = pytest.mark.usefixtures("one_run_a_process")


def run(
    recipe: Recipe, clips: Path, out: Path, prior: Path | None, init: Path | None = None, **options: Any
) -> dict[str, Any]:
    task = options.pop("task", None) or SweetTokTask(recipe, init, prior)
    record = RunRecord.of([clips], options.pop("val", None), init, prior)
    voice = options.pop("voice", Heard())
    summary = train(RunOptions(task, recipe, record, out, **options), voice)
    assert summary is not None
    return summary


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


class Signalled(SweetTokTask):
    """Sends one signal to this process in the third step."""

    sent = False

    def losses(self, model: torch.nn.Module, batch: Any, step: int) -> Step:
        if step == 2 and not self.sent:
            self.sent = True
            os.kill(os.getpid(), signal.SIGTERM)
        return super().losses(model, batch, step)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_interrupted_and_resumed_run_equals_a_straight_one(
    optimizer: str, tiny: Recipe, clips: Path, prior: Path, tmp_path: Path
) -> None:
    tiny = dataclasses.replace(tiny, accumulate=2, optimizer=optimizer)
    straight = run(tiny, clips, tmp_path / "straight", prior)
    halted = run(tiny, clips, tmp_path / "halves", prior, task=Signalled(tiny, None, prior))
    assert halted["interrupted"] and halted["step"] == 3
    torch.manual_seed(99)
    heard = Heard()
    resumed = run(tiny, clips, tmp_path / "halves", None, resume=True, voice=heard)
    assert heard.done["training"] == [0, 1, 2], "how far a run is, and not how far those before it came"
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


def test_it_learns(tiny: Recipe, clips: Path, prior: Path, tmp_path: Path) -> None:
    longer = dataclasses.replace(tiny, steps=20, lr=3e-3, log_every=5, quantizer=0.0)
    summary = run(longer, clips, tmp_path / "run", prior)
    losses = [record["losses"]["l2"] for record in records(tmp_path / "run", "train")]
    assert summary["step"] == 20
    assert losses[-1] < 0.5 * losses[0]


def test_everything_is_left_behind(tiny: Recipe, clips: Path, prior: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    recipe = dataclasses.replace(
        tiny,
        checkpoint_every=2,
        sample_every=3,
        validate_every=3,
        keep_checkpoints=2,
        ssim=0.1,
        precision="auto",
    )
    summary = run(recipe, clips, out, prior, val=clips / "inner")
    assert sorted(p.name for p in (out / "checkpoints").iterdir()) == ["00000004", "00000006"]
    assert [r["step"] for r in records(out, "validate")] == [3, 6]
    assert summary["validation_psnr"] == records(out, "validate")[-1]["psnr"]
    assert sorted(p.name for p in (out / "samples").iterdir()) == [
        f"{step:08d}.{kind}" for step in (1, 3, 6) for kind in ("mp4", "png")
    ]
    with Image.open(out / "samples" / "00000006.png") as grid:
        assert grid.size == (64 * 9, 18 + 18 + 64)
    assert load_recipe(2, str(out / "recipe.toml")) == recipe
    record = records(out, "train")[-1]
    assert set(record["losses"]) == {
        *("l2", "ssim", "spatial_encoder", "spatial_codebook", "temporal_encoder", "temporal_codebook")
    }
    assert record["loss"] == pytest.approx(sum(record["losses"].values()), rel=1e-5)
    halves, words = ("spatial", "temporal"), ("modifier", "head")
    assert set(record["codebooks"]) == {f"{half}_{word}" for half in halves for word in words}
    assert {"psnr", "lr", "grad_norm", "seconds_per_step", "data_wait"} <= set(record)
    assert [path.name for path in out.rglob(".*")] == [".lock"], "temporary files stay"
    assert json.loads((out / "run.json").read_text())["data"] == [str(clips)]


@pytest.mark.parametrize("look", ["validate_every", "sample_every"])
def test_clips_smaller_than_a_tile_are_looked_at(
    tiny: Recipe, clips: Path, small_clip: Path, prior: Path, tmp_path: Path, look: str
) -> None:
    out, tiles_of_128 = tmp_path / "run", {**tiny.model, "tile": 16}
    recipe = dataclasses.replace(tiny, steps=1, model=tiles_of_128, crop=[[128, 1, 1.0]], **{look: 1})
    run(recipe, clips, out, prior, val=small_clip)
    if look == "validate_every":
        assert [r["psnr"] > 0 for r in records(out, "validate")] == [True]
    else:
        with Image.open(out / "samples" / "00000001.png") as grid:
            assert grid.size == (128 * 9, 18 + 18 + 128)


def test_exported_model_is_the_average(tiny: Recipe, clips: Path, prior: Path, tmp_path: Path) -> None:
    run(tiny, clips, tmp_path / "run", prior)
    averaged = {n.removeprefix("module."): v for n, v in final_state(tmp_path / "run")["averaged"].items()}
    exported = read_model(ModelFolder(tmp_path / "run" / "model")).network.state_dict()
    assert exported.keys() <= averaged.keys()
    assert all(
        torch.equal(value, averaged[name].half().float())
        for name, value in exported.items()
        if "edges" not in name
    )
    video = torch.rand(1, 3, 17, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    model = read_model(ModelFolder(tmp_path / "run" / "model")).network.eval()
    assert model.encode(video).spatial.shape == (1, 16, 3)


@pytest.mark.parametrize("stage", [1, 3])
def test_stage_moves_only_what_it_trains(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path, stage: int
) -> None:
    run(tiny, clips, tmp_path / "before", prior)
    recipe = dataclasses.replace(tiny, stage=stage, frames=1 if stage == 1 else 17, ema=0.0, weight_decay=0.1)
    run(recipe, clips, tmp_path / "after", None, init=tmp_path / "before" / "model")
    before, after = (read_model(ModelFolder(tmp_path / n / "model")).network for n in ("before", "after"))
    moved = {
        name
        for (name, a), b in zip(before.named_parameters(), after.parameters(), strict=True)
        if not torch.equal(a, b)
    }
    SweetTokTask(recipe).freeze(before)
    frozen = {name for name, parameter in before.named_parameters() if not parameter.requires_grad}
    assert moved and not moved & frozen
    if stage == 1:
        assert any(name.startswith("encoder.spatial_features") for name in moved)
        assert {"quantize_temporal.gcn.conv1.lin.weight", "pre_vq_temporal.weight"} <= frozen
        assert not any("temporal" in name or "motion" in name or "later" in name for name in moved)
    else:
        assert all(name.startswith(("decoder.", "post_vq_", "to_pixels.")) for name in moved)
        assert any(name.startswith("to_pixels.") for name in moved)
        assert set(records(tmp_path / "after", "train")[-1]["losses"]) == {"l2"}


def test_run_that_is_not_finite_stops_with_the_clips_named(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path
) -> None:
    class Poisoned(SweetTokTask):
        def losses(self, model: torch.nn.Module, batch: Any, step: int) -> Step:
            found = super().losses(model, batch, step)
            terms = {
                name: value * (torch.nan if step == 3 else 1) for name, value in found.losses["model"].items()
            }
            return Step({"model": terms}, found.measures)

    recipe = dataclasses.replace(tiny, checkpoint_every=1)
    with pytest.raises(SweettokError, match=r"loss of step 4 is not finite on the clips .*\.mp4.*--resume"):
        run(recipe, clips, tmp_path / "run", prior, task=Poisoned(recipe, None, prior))
    state = final_state(tmp_path / "run")
    assert state["step"] == 3
    assert all(torch.isfinite(v).all() for v in state["model"].values() if v.is_floating_point())


def test_minutes_end_a_run(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that goes on a second whenever somebody looks at it."""
    clock = SimpleNamespace(perf_counter=partial(next, itertools.count(1.0)))
    monkeypatch.setattr("sweettok_cli.training.loop.time", clock)
    recipe = dataclasses.replace(tiny, steps=100_000, minutes=1.0, log_every=1, final_lr=0.0, warmup=0)
    summary = run(recipe, clips, tmp_path / "run", prior, begun=0.0)
    assert 3 < summary["step"] < 30 and 0.7 < summary["minutes"] < 1.2  # looks outside of steps count
    rates = [record["lr"] for record in records(tmp_path / "run", "train")]
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.3 * recipe.lr
    again = run(recipe, clips, tmp_path / "run", None, resume=True, begun=clock.perf_counter())
    assert again["step"] <= summary["step"] + 3, "time spent before counts"


def test_a_run_of_minutes_keeps_time_to_validate(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it ends before the first validation that is due."""
    clock = SimpleNamespace(perf_counter=partial(next, itertools.count(1.0)))
    monkeypatch.setattr("sweettok_cli.training.loop.time", clock)
    recipe = dataclasses.replace(tiny, steps=100_000, minutes=1.5, validate_every=1000, validate_clips=1)
    kept = {}
    for number, steps in enumerate((20.0, 50.0)):
        task = SweetTokTask(recipe, None, prior)
        monkeypatch.setattr(SweetTokTask, "validation_steps", steps)
        out, val = tmp_path / str(number), clips / "inner"
        summary = run(recipe, clips, out, prior, task=task, val=val, begun=0.0)
        assert summary["validation_psnr"] > 0
        kept[steps] = 60 * summary["minutes"]
        clock.perf_counter = partial(next, itertools.count(1.0))
    assert kept[50.0] < kept[20.0] - 10, "what is kept is what it takes"


def test_what_a_validation_takes_is_told_by_its_pixels(tiny: Recipe, clips: Path, prior: Path) -> None:
    recipe = dataclasses.replace(tiny, crop=[[64, 8, 1.0]], validate_every=5, accumulate=2)
    for val, steps in ((None, 0.0), (clips / "inner", 3 * 256**2 / (2 * 2 * 8 * 64**2))):
        task = SweetTokTask(recipe, None, prior)
        task.batches([clips], val, 0, 1, Heard())
        assert task.validation_steps == steps


def test_second_run_into_the_same_folder_is_refused(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run(dataclasses.replace(tiny, steps=1), clips, out, prior)
    with pytest.raises(SweettokError, match="--resume"):
        run(tiny, clips, out, prior)
    with pytest.raises(SweettokError, match="no checkpoint"):
        run(tiny, clips, tmp_path / "new", prior, resume=True)
    with pytest.raises(SweettokError, match="--prior"):
        run(tiny, clips, tmp_path / "new", None)


def test_resume_needs_no_exported_weights(tiny: Recipe, clips: Path, prior: Path, tmp_path: Path) -> None:
    """A run can be killed while it replaces the files of its model."""
    out, model = tmp_path / "run", tmp_path / "run" / "model"
    run(dataclasses.replace(tiny, steps=2), clips, out, prior)
    (model / "model.safetensors").write_bytes(b"of another step")
    (out / ".model.partial").mkdir()
    with pytest.raises(SweettokError, match="not the file"):
        read_model(ModelFolder(model))
    recipe = dataclasses.replace(tiny, steps=4)
    assert run(recipe, clips, out, None, resume=True)["step"] == 4
    read_model(ModelFolder(model))
    assert not (out / ".model.partial").exists()


def test_resuming_drops_what_was_logged_beyond_the_checkpoint(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run(dataclasses.replace(tiny, steps=2), clips, out, prior)
    with open(out / "log.jsonl", "a") as log:
        log.write('{"kind": "train", "step": 4, "loss": 1}\n{"kind": "train", "st')
    run(dataclasses.replace(tiny, steps=4), clips, out, None, resume=True)
    assert [r["step"] for r in records(out, "train")] == [2, 4]
    assert "losses" in records(out, "train")[-1]


def test_disk_that_fills_up_is_said_and_the_last_checkpoint_stays(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = torch.save

    def full(value: Any, *args: Any, **options: Any) -> None:
        if isinstance(value, dict) and value.get("step") == 4:
            raise OSError(28, "No space left on device")
        save(value, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(
            SweettokError, match=r"No space left on device\).* go on from step 2 with --resume"
        ):
            run(dataclasses.replace(tiny, checkpoint_every=2), clips, tmp_path / "run", prior)
    assert run(tiny, clips, tmp_path / "run", None, resume=True)["step"] == 6


def test_a_failed_resume_changes_nothing(tiny: Recipe, clips: Path, prior: Path, tmp_path: Path) -> None:
    run(dataclasses.replace(tiny, steps=2), clips, tmp_path / "run", prior)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    other = dataclasses.replace(tiny, steps=4, model={**tiny.model, "dim": 64})
    with pytest.raises(SweettokError, match="--resume cannot change"):
        run(other, clips, tmp_path / "run", prior, resume=True)
    stage = dataclasses.replace(tiny, steps=4, stage=1)
    with pytest.raises(SweettokError, match="stage = 2, which --resume cannot change to 1"):
        run(stage, clips, tmp_path / "run", prior, resume=True)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    assert run(dataclasses.replace(tiny, steps=3), clips, tmp_path / "run", prior, resume=True)["step"] == 3


def test_what_a_resumed_run_changes_is_said(tiny: Recipe, clips: Path, prior: Path, tmp_path: Path) -> None:
    run(dataclasses.replace(tiny, steps=2), clips, tmp_path / "run", prior)
    heard = Heard()
    longer = dataclasses.replace(tiny, steps=3, lr=5e-4)
    run(longer, clips, tmp_path / "run", prior, resume=True, voice=heard)
    assert heard.said[:2] == ["steps: 2 -> 3", "lr: 0.001 -> 0.0005"]
    assert load_recipe(None, str(tmp_path / "run" / "recipe.toml")).steps == 3


def test_another_number_of_processes_is_said(tiny: Recipe, clips: Path, prior: Path, tmp_path: Path) -> None:
    run(dataclasses.replace(tiny, steps=2), clips, tmp_path / "run", prior)
    for longer, said in ((3, []), (4, ["processes: 2 -> 1, and with them the samples"])):
        heard = Heard()
        run(dataclasses.replace(tiny, steps=longer), clips, tmp_path / "run", prior, resume=True, voice=heard)
        assert [line.partition(" of a")[0] for line in heard.said if line.startswith("processes")] == said
        record = json.loads((tmp_path / "run" / "run.json").read_text())
        assert record["processes"] == 1
        (tmp_path / "run" / "run.json").write_text(json.dumps({**record, "processes": 2}))


def test_a_run_that_cannot_begin_leaves_no_folder(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path
) -> None:
    for broken, words in (
        (dataclasses.replace(tiny, model={**tiny.model, "proxy_codes": 8, "pixels": False}), prior),
        (tiny, None),
    ):
        with pytest.raises(SweettokError):
            run(broken, clips, tmp_path / "run", words)
        assert not (tmp_path / "run").exists()


def test_a_run_from_a_model_records_its_network(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path
) -> None:
    run(dataclasses.replace(tiny, steps=1), clips, tmp_path / "first", prior)
    heard = Heard()
    shipped = dataclasses.replace(tiny, steps=1, model={"preset": "sweettok-small"})
    run(shipped, clips, tmp_path / "second", None, init=tmp_path / "first" / "model", voice=heard)
    assert any("not the recipe's" in line for line in heard.said)
    written = load_recipe(None, str(tmp_path / "second" / "recipe.toml"))
    assert make_config(written.model) == make_config(tiny.model)
    longer = dataclasses.replace(written, steps=2)
    assert run(longer, clips, tmp_path / "second", None, resume=True)["step"] == 2


def test_a_model_gives_its_words_to_a_new_network(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path
) -> None:
    run(dataclasses.replace(tiny, steps=1), clips, tmp_path / "first", prior)
    other = dataclasses.replace(tiny, steps=1, model={**tiny.model, "dim": 64})
    run(other, clips, tmp_path / "second", tmp_path / "first" / "model")
    words = [read_words(ModelFolder(tmp_path / name / "model")) for name in ("first", "second")]
    assert words[0]["spatial"] == words[1]["spatial"] and words[0]["temporal"] == words[1]["temporal"]


@pytest.mark.parametrize("preset", ["compact", "sweettok-small"])
def test_a_network_is_described_by_what_differs_from_a_preset(preset: str) -> None:
    usual = make_config({"preset": preset})
    assert describe_config(usual) == {"preset": preset}
    changed = dataclasses.replace(usual, dim=128)
    assert describe_config(changed) == {"preset": preset, "dim": 128}
    for config in (usual, changed, dataclasses.replace(SMALL, spatial_code=None)):
        assert make_config(tomllib.loads(tomli_w.dumps(describe_config(config)))) == config


def test_two_trainings_do_not_share_a_folder(tiny: Recipe, clips: Path, prior: Path, tmp_path: Path) -> None:
    run(dataclasses.replace(tiny, steps=1), clips, tmp_path / "run", prior)
    with (
        FileLock(tmp_path / "run" / ".lock"),
        pytest.raises(SweettokError, match="Another training"),
    ):
        run(dataclasses.replace(tiny, steps=2), clips, tmp_path / "run", prior, resume=True)
    assert run(dataclasses.replace(tiny, steps=2), clips, tmp_path / "run", prior, resume=True)["step"] == 2
