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


def poisoned(at: int) -> type[SweetTokTask]:
    class Poisoned(SweetTokTask):
        def losses(self, model: torch.nn.Module, batch: Any, step: int) -> Step:
            found = super().losses(model, batch, step)
            factor = torch.inf if step == at else 1.0
            return Step({"model": {n: v * factor for n, v in found.losses["model"].items()}}, found.measures)

    return Poisoned


def test_steps_before_one_that_is_not_finite_are_saved(run: Run, brief: Recipe, tmp_path: Path) -> None:
    """Though no checkpoint was due."""
    with pytest.raises(SweettokError, match=r"step 2 is not finite .*steps before it are saved: --resume"):
        run(brief, poisoned(at=2))
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["00000002"]
    assert run(brief, resume=True)["step"] == 3


def test_a_run_that_does_not_come_to_its_first_step_leaves_no_folder(
    run: Run, brief: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(SweettokError, match=r"step 0 is not finite .*start again"):
        run(brief, poisoned(at=0), out=tmp_path / "runs" / "first")
    assert not (tmp_path / "runs").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(SweettokError, match="step 0 is not finite"):
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
    assert summary["validation_picture_psnr"] == pytest.approx(record["picture_psnr"], abs=1e-3)
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
