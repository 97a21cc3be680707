"""What goes wrong around a run: full disks, unreadable clips, steps that are not finite, no time."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import Heard

from sweettok_cli.data.sampler import Batch, Sampler
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.folder import read_model
from sweettok_cli.models.sweettok.task import SweetTokTask
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.training.loop import RunOptions, train
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.record import RunRecord
from sweettok_cli.training.task import Step
from tests.full_disk import disk_of

pytestmark = pytest.mark.usefixtures("one_run_a_process")


@pytest.fixture
def brief(tiny: Recipe) -> Recipe:
    """Three steps, a line each."""
    return dataclasses.replace(tiny, steps=3, log_every=1, crop=[[64.0, 1.0, 1.0]])


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(clips: Path, prior: Path, tmp_path: Path) -> Run:
    def run(recipe: Recipe, kind: type[SweetTokTask] = SweetTokTask, **options: Any) -> dict[str, Any]:
        data, val = options.pop("data", clips), options.pop("val", None)
        out, voice = options.pop("out", tmp_path / "run"), options.pop("voice", Heard())
        record = RunRecord.of([data], val, None, prior)
        summary = train(RunOptions(kind(recipe, None, prior), recipe, record, out, **options), voice)
        assert summary is not None
        return summary

    return run


def logged(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_disk_that_is_full_is_one_sentence_and_the_run_goes_on_later(
    run: Run, brief: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run(dataclasses.replace(brief, steps=1))
    with open(out / "log.jsonl", "a") as stream:  # longer than the other texts
        stream.write(json.dumps({"kind": "event", "step": 1, "event": "." * 5000}) + "\n")
    model, log = (out / "model" / "model.safetensors").stat().st_size, out / "log.jsonl"
    state = (out / "checkpoints" / "00000001" / "state.pt").stat().st_size
    assert log.stat().st_size < model // 2 < model < (model + state) // 2 < state
    said = rf"^Cannot write into {out} \(.*\); free some space, then go on from step 1 with --resume\.$"
    for size in (log.stat().st_size + 20, (model + state) // 2, model // 2, 40):
        kept = (out / "recipe.toml").read_bytes()
        with disk_of(size), pytest.raises(SweettokError, match=said):
            run(dataclasses.replace(brief, steps=2), resume=True)
        assert not [*out.rglob("*.partial"), *out.rglob(".*.part.*")], size
        assert [p.name for p in (out / "checkpoints").iterdir()] == ["00000001"]
        assert (out / "recipe.toml").read_bytes() == kept or size > 40
        read_model(ModelFolder(out / "model"))
    assert run(dataclasses.replace(brief, steps=2), resume=True)["step"] == 2


@pytest.mark.parametrize("looked_at", ["sample_every", "validate_every"])
def test_a_disk_that_fills_while_samples_or_the_best_model_are_written(
    run: Run, brief: Recipe, clips: Path, tmp_path: Path, looked_at: str
) -> None:
    out, recipe = tmp_path / "run", dataclasses.replace(brief, **{looked_at: 1})
    run(dataclasses.replace(recipe, steps=1), val=clips / "inner")
    written = {"sample_every": "samples/00000001.png", "validate_every": "best/model.safetensors"}[looked_at]
    kept = {path: path.read_bytes() for path in out.rglob("*") if path.parent.name in ("samples", "best")}
    if looked_at == "validate_every":
        shutil.rmtree(out / "best")  # so that any model is the best
    size = len(kept[out / written]) // 2
    with disk_of(size), pytest.raises(SweettokError, match=r"^Cannot write into .* step 1 with --resume\.$"):
        run(recipe, val=clips / "inner", resume=True)
    assert not [*out.rglob("*.partial"), *out.rglob(".*.part.*")]
    assert [p.name for p in (out / "checkpoints").iterdir()] == ["00000001"]
    if looked_at == "sample_every":
        assert all(path.read_bytes() == content for path, content in kept.items())
    assert run(recipe, val=clips / "inner", resume=True)["step"] == 3


def test_resuming_with_nothing_left_changes_nothing(
    run: Run, brief: Recipe, clips: Path, tmp_path: Path
) -> None:
    """But a run that was killed in its last validation has that left."""
    out, val = tmp_path / "run", clips / "inner"
    recipe = dataclasses.replace(brief, steps=2, validate_every=9)
    done = run(recipe, val=val)

    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    before = content()
    for steps in (2, 1):
        again = run(dataclasses.replace(recipe, steps=steps), val=val, resume=True)
        assert content() == before
        assert again["best"]["step"] == 2 and again["minutes"] <= done["minutes"]
        assert again["validation_psnr"] == pytest.approx(done["validation_psnr"], abs=1e-3)
    lines = (out / "log.jsonl").read_text().splitlines(keepends=True)
    (out / "log.jsonl").write_text("".join(line for line in lines if '"validate"' not in line))
    run(dataclasses.replace(recipe, steps=1), val=val, resume=True)
    assert [record["step"] for record in logged(out) if record["kind"] == "validate"] == [2]
    assert (out / "recipe.toml").read_bytes() == before[out / "recipe.toml"]


def removing(folder: Path, at: int) -> type[SweetTokTask]:
    class Removing(SweetTokTask):
        def losses(self, model: torch.nn.Module, batch: Any, step: int) -> Step:
            if step == at:
                shutil.rmtree(folder)
            return super().losses(model, batch, step)

    return Removing


@pytest.mark.parametrize("changes", [{"log_every": 1}, {"log_every": 9, "sample_every": 1}, {"log_every": 9}])
def test_a_folder_that_is_removed_while_a_run_goes_on(
    run: Run, brief: Recipe, tmp_path: Path, changes: dict[str, int]
) -> None:
    recipe = dataclasses.replace(brief, **changes)
    with pytest.raises(SweettokError, match=r"run was removed while the run wrote there, .*start again\.$"):
        run(recipe, removing(tmp_path / "run", at=1))
    assert not (tmp_path / "run").exists()


def test_data_that_are_removed_do_not_take_what_was_learned_with_them(
    run: Run, brief: Recipe, clips: Path, tmp_path: Path
) -> None:
    data, longer = tmp_path / "data", dataclasses.replace(brief, steps=60, prefetch=1)
    shutil.copytree(clips, data)
    with pytest.raises(SweettokError, match="training clips cannot be read"):
        run(longer, removing(data, at=2), data=data)
    saved = [int(p.name) for p in (tmp_path / "run" / "checkpoints").iterdir()]
    assert len(saved) == 1 and saved[0] > 2
    shutil.copytree(clips, data)
    assert run(dataclasses.replace(longer, steps=saved[0] + 1), data=data, resume=True)["step"] > saved[0]


def test_a_damaged_checkpoint_is_told_of_and_the_one_before_goes_on(
    run: Run, brief: Recipe, tmp_path: Path
) -> None:
    out, recipe = tmp_path / "run", dataclasses.replace(brief, checkpoint_every=1)
    straight = run(recipe, out=tmp_path / "straight" / "run")
    run(recipe)
    newest = out / "checkpoints" / "00000003" / "state.pt"
    newest.write_bytes(newest.read_bytes()[:-100])
    heard = Heard()
    assert run(recipe, resume=True, voice=heard)["step"] == straight["step"]
    assert [text.partition(" (")[0] for text in heard.warned] == [
        f"The checkpoint {newest.parent} cannot be read"
    ]
    assert sorted(p.name for p in (out / "checkpoints").iterdir()) == [
        "00000002",
        "00000003",
        "00000003.damaged",
    ]
    weights = [
        (folder / "model" / "model.safetensors").read_bytes()
        for folder in (out, tmp_path / "straight" / "run")
    ]
    assert weights[0] == weights[1]


def test_the_best_model_is_kept_and_told_of(run: Run, brief: Recipe, clips: Path, tmp_path: Path) -> None:
    """Across a kill, too: what the checkpoint knows of is compared with."""
    figures = iter([20.0, 22.0, float("nan"), 21.5, 23.0])

    class Judged(SweetTokTask):
        def validate(self, weights: torch.nn.Module) -> dict[str, Any] | None:
            return {"psnr": next(figures), "clips": 1, "frames": 17}

    out, heard = tmp_path / "run", Heard()
    recipe = dataclasses.replace(brief, validate_every=1, checkpoint_every=1, keep_checkpoints=9)
    first = run(recipe, Judged, voice=heard)
    best = {"step": 2, "psnr": 22.0, "model": str(out / "best")}
    assert first["best"] == best
    kept = (out / "best" / "model.safetensors").read_bytes()
    assert kept != (out / "model" / "model.safetensors").read_bytes()
    told = [", the best so far" in line for line in heard.said if "validation psnr" in line]
    assert "step 2  validation psnr 22.00 dB of the first 17 frames of 1 clip (" in "\n".join(heard.said)
    assert told == [True, True, False]
    assert heard.said[-1].endswith("the best validation was that of step 2, psnr 22.00: " + str(out / "best"))
    assert run(dataclasses.replace(recipe, steps=4), Judged, resume=True)["best"] == best
    assert (out / "best" / "model.safetensors").read_bytes() == kept
    ended = run(dataclasses.replace(recipe, steps=5), Judged, resume=True)
    assert ended["best"] == {**best, "step": 5, "psnr": 23.0}
    assert [line["best"] for line in logged(out) if line["kind"] == "validate"] == [
        True,
        True,
        False,
        False,
        True,
    ]
    started = SweetTokTask(recipe, out / "best", None)
    record = RunRecord.of([clips], None, out / "best", None)
    assert train(RunOptions(started, recipe, record, tmp_path / "next"), Heard()) is not None
    (out / ".best.old.partial").mkdir()  # of a run that was killed between two moves
    for file in (out / "best").iterdir():
        file.rename(out / ".best.old.partial" / file.name)
    (out / "best").rmdir()
    run(dataclasses.replace(recipe, steps=5, validate_every=0), resume=True)
    assert (out / "best" / "model.safetensors").is_file() and not (out / ".best.old.partial").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(run: Run, brief: Recipe, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SweettokError, match="file is a file, not a folder"):
        run(brief, out=tmp_path / "file" / "below")
    if sys.platform == "linux":
        with pytest.raises(SweettokError, match="Cannot write"):
            run(brief, out=Path("/proc/sweettok/run"))


def test_what_killed_runs_left_is_removed(run: Run, brief: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(dataclasses.replace(brief, steps=1, sample_every=1))
    for left in (".recipe.ab1.part.toml", "samples/.00000001.cd2.part.png", "model/.config.ef.part.json"):
        (out / left).touch()
    for left in (".model.partial", "checkpoints/.00000009.partial"):
        (out / left).mkdir()
    run(dataclasses.replace(brief, steps=2), resume=True)
    assert [path.name for path in out.rglob(".*")] == [".lock"]


def poisoned(at: int, part: int = 0) -> type[SweetTokTask]:
    """A task whose loss is infinite after ``at`` steps, from a batch of the next step on."""

    class Poisoned(SweetTokTask):
        parts = 0

        def losses(self, model: torch.nn.Module, batch: Any, step: int) -> Step:
            found = super().losses(model, batch, step)
            self.parts += step == at
            factor = torch.inf if self.parts > part else 1.0
            return Step({"model": {n: v * factor for n, v in found.losses["model"].items()}}, found.measures)

    return Poisoned


def test_steps_before_one_that_is_not_finite_are_saved(run: Run, brief: Recipe, tmp_path: Path) -> None:
    """Though no checkpoint was due."""
    with pytest.raises(SweettokError, match=r"step 3 is not finite .*go on from step 2: --resume"):
        run(brief, poisoned(at=2))
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["00000002"]
    assert run(brief, resume=True)["step"] == 3


def test_a_blow_up_leaves_the_checkpoints_that_were_due(run: Run, brief: Recipe, tmp_path: Path) -> None:
    """Weights right before it may be what is wrong; those of before go on with a smaller rate."""
    recipe = dataclasses.replace(brief, steps=4, warmup=0, checkpoint_every=2, keep_checkpoints=1)

    class BlownUp(SweetTokTask):
        def losses(self, model: torch.nn.Module, batch: Any, step: int) -> Step:
            found = super().losses(model, batch, step)
            factor = torch.nan if step == 3 and self.recipe.lr == recipe.lr else 1.0
            return Step({"model": {n: v * factor for n, v in found.losses["model"].items()}}, found.measures)

    how = r"step 4 is not finite on .*; go on from step 2: --resume with a smaller --set lr.* --init\.$"
    for resume in (False, True):
        with pytest.raises(SweettokError, match=how):
            run(recipe, BlownUp, resume=resume)
        assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["00000002"]
    assert run(dataclasses.replace(recipe, lr=recipe.lr / 2), BlownUp, resume=True)["step"] == 4


def test_what_is_not_learned_from_is_not_in_the_log(run: Run, brief: Recipe, tmp_path: Path) -> None:
    """Nor the sound first half of a step whose second half is not finite."""
    recipe = dataclasses.replace(brief, log_every=3, accumulate=2)
    with pytest.raises(SweettokError, match="step 3 is not finite"):
        run(recipe, poisoned(at=2, part=1))
    run(recipe, resume=True)
    run(recipe, out=tmp_path / "sound")
    ends = [next(r for r in logged(tmp_path / name) if r["kind"] == "train") for name in ("run", "sound")]
    assert ends[0]["losses"] == ends[1]["losses"] and ends[0]["loss"] == ends[1]["loss"]


def test_a_run_that_does_not_come_to_its_first_step_leaves_no_folder(
    run: Run, brief: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(SweettokError, match=r"step 1 is not finite .*start again"):
        run(brief, poisoned(at=0), out=tmp_path / "runs" / "first")
    assert not (tmp_path / "runs").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(SweettokError, match="step 1 is not finite"):
        run(brief, poisoned(at=0), out=tmp_path / "mine" / "first")
    assert [*(tmp_path / "mine").iterdir()] == [], "a folder of the user's stays"


def test_data_that_vanish_do_not_take_what_was_learned_with_them(
    run: Run, brief: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Sampler.batch

    def gone(self: Sampler, number: int) -> Batch:
        if number == 2:
            raise SweettokError("5 of 6 training clips cannot be read.")
        return batch(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(Sampler, "batch", gone)
        with pytest.raises(SweettokError, match="5 of 6"):
            run(brief)
    assert run(brief, resume=True)["step"] == 3


def test_what_is_skipped_is_named_in_the_log(run: Run, brief: Recipe, clips: Path, tmp_path: Path) -> None:
    """Among the clips that are trained on, and among those that are looked at."""
    data, val = tmp_path / "data", tmp_path / "val"
    for folder in (data, val):
        folder.mkdir()
        shutil.copy(clips / "inner" / "loose0.mp4", folder / "good.mp4")
    (data / "a-bad.mp4").write_bytes(b"no video")
    (val / "b-bad.mp4").write_bytes(b"no video")
    recipe, heard = dataclasses.replace(brief, sample_every=1, validate_every=1), Heard()
    summary = run(recipe, data=data, val=val, voice=heard)
    assert summary["unreadable_clips"] == ["a-bad.mp4", "b-bad.mp4"]
    warned = [line for line in logged(tmp_path / "run") if line["kind"] == "warning"]
    assert [(line["step"], line["clip"]) for line in warned] == [(0, "a-bad.mp4"), (0, "b-bad.mp4")]
    assert heard.warned == [line["event"] for line in warned]
    for line, name in zip(heard.warned, summary["unreadable_clips"], strict=True):
        assert line.startswith(f"skipping {name}: cannot be read as a video") and line.count(name) == 1
    assert any("learn from 1 clip on" in line for line in heard.said), "what is skipped counts as none"
    assert [line["clips"] for line in logged(tmp_path / "run") if line["kind"] == "validate"] == [1, 1, 1]
    assert heard.done["opening the clips"] == [1, 2]
    held_out = run(dataclasses.replace(recipe, hold_out=2), data=data, out=tmp_path / "other")
    assert held_out["step"] == 3, "an unreadable clip was chosen to be shown"
    (val / "good.mp4").unlink()
    with pytest.raises(SweettokError, match=r"None of the clips in .*val can be read"):
        run(recipe, data=data, val=val, out=tmp_path / "third")


def test_figures_of_single_frames_have_a_name_of_their_own(
    run: Run, brief: Recipe, clips: Path, tmp_path: Path
) -> None:
    recipe, heard = dataclasses.replace(brief, steps=1, stage=1, frames=1, validate_every=1), Heard()
    summary = run(recipe, val=clips / "inner", voice=heard)
    record = next(line for line in logged(tmp_path / "run") if line["kind"] == "validate")
    assert record["frames"] == 1 and record["clips"] == 3 and "psnr" not in record
    assert summary["validation_picture_psnr"] == record["picture_psnr"]
    assert any("of first frames alone of 3 clips" in line for line in heard.said)


def test_cautions_stand_in_the_log(run: Run, brief: Recipe, tmp_path: Path) -> None:
    heard = Heard()
    run(dataclasses.replace(brief, steps=1, stage=3), voice=heard)
    assert ["stage 2 first" in text for text in heard.warned] == [True]
    assert [line["event"] for line in logged(tmp_path / "run") if line["kind"] == "warning"] == heard.warned
    run(dataclasses.replace(brief, steps=2, stage=3), voice=heard, resume=True)
    assert len(heard.warned) == 1, "it is said once"


def test_minutes_that_a_slow_start_used_up_are_over(
    run: Run, brief: Recipe, clips: Path, tmp_path: Path
) -> None:
    heard, recipe = Heard(), dataclasses.replace(brief, minutes=100.0, validate_every=2)
    late = time.perf_counter() - 6001
    summary = run(recipe, val=clips / "inner", voice=heard, begun=late)
    assert summary["step"] == 0 and summary["minutes"] >= 100 and summary["validation_psnr"] is None
    assert any("no time was left to validate" in line for line in heard.said)
    read_model(ModelFolder(tmp_path / "run" / "model"))
