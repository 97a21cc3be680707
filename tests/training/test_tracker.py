"""What a tracker has of a run: all figures and samples, each step once, also of one that went on."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import json
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_run import Heard

from sweettok_cli.cli.train import train as train_command
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.task import SweetTokTask
from sweettok_cli.training.loop import RunOptions, train
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.record import RunRecord
from sweettok_cli.training.task import Step
from sweettok_cli.training.tracker import check_tracker, open_tracker
from sweettok_cli.video import VideoWriter

installed = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed"
)


class Killed(SweetTokTask):
    """Is gone in the sixth step, without a word to anybody."""

    def losses(self, model: Any, batch: Any, step: int) -> Step:
        if step == 5:
            raise BrokenPipeError
        return super().losses(model, batch, step)


def run(recipe: Recipe, clips: Path, out: Path, prior: Path, kind: type[SweetTokTask], resume: bool) -> Heard:
    record, heard = RunRecord.of([clips], clips / "inner", None, prior), Heard()
    train(RunOptions(kind(recipe, None, prior), recipe, record, out, resume), heard)
    return heard


def kept(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    everything = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    return everything.Reload()


@installed
@pytest.mark.slow
@pytest.mark.usefixtures("one_run_a_process")
def test_tensorboard_has_every_figure_and_sample_once_also_of_a_resumed_run(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path
) -> None:
    looks = {"sample_every": 2, "validate_every": 2, "checkpoint_every": 2, "validate_clips": 1}
    recipe = dataclasses.replace(tiny, log_every=1, tracker="tensorboard", **looks)
    out = tmp_path / "run"
    with pytest.raises(SweettokError):
        run(recipe, clips, out, prior, Killed, False)
    assert [event.step for event in kept(out / "tensorboard").Scalars("train/loss")] == [1, 2, 3, 4, 5]
    heard = run(recipe, clips, out, prior, SweetTokTask, True)
    assert f"tracked: tensorboard --logdir {out}" in heard.said

    found = kept(out / "tensorboard")
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    trained = [record for record in records if record["kind"] == "train"]
    for name, path in {
        "train/loss": ("loss",), "train/losses/l2": ("losses", "l2"), "train/psnr": ("psnr",),
        "train/lr": ("lr",), "train/clips_per_second": ("clips_per_second",),
        "train/codebooks/temporal_head/use": ("codebooks", "temporal_head", "use"),
    }.items():  # fmt: skip
        events = found.Scalars(name)
        assert [event.step for event in events] == [1, 2, 3, 4, 5, 6], name
        for event, record in zip(events, trained, strict=True):
            value: Any = record
            for key in path:
                value = value[key]
            assert event.value == pytest.approx(value, rel=1e-6)
    looked = [(r["step"], r["psnr"]) for r in records if r["kind"] == "validate"]
    assert (
        [event.step for event in found.Scalars("validate/psnr")] == [step for step, _ in looked] == [2, 4, 6]
    )
    sheets, films = found.Images("samples/sheet"), found.Images("samples/video")
    assert [event.step for event in sheets] == [event.step for event in films] == [1, 2, 4, 6]
    assert sheets[-1].encoded_image_string == (out / "samples" / "00000006.png").read_bytes()
    with Image.open(io.BytesIO(films[-1].encoded_image_string)) as film:
        assert film.format == "GIF" and film.n_frames == 17 and film.info["duration"] == 40  # type: ignore[attr-defined]
        assert film.size == (films[-1].width, films[-1].height) and 17 * film.size[0] * film.size[1] < 3.1e6


@installed
def test_a_tracker_that_comes_later_is_given_what_was_before(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path, one_run_a_process: None
) -> None:
    brief = dataclasses.replace(tiny, steps=2, log_every=1)
    run(brief, clips, tmp_path / "run", prior, SweetTokTask, False)
    assert not (tmp_path / "run" / "tensorboard").exists()
    longer = dataclasses.replace(brief, steps=3, tracker="tensorboard")
    run(longer, clips, tmp_path / "run", prior, SweetTokTask, True)
    found = kept(tmp_path / "run" / "tensorboard")
    assert [event.step for event in found.Scalars("train/loss")] == [1, 2, 3]


@installed
def test_frames_that_are_too_fast_for_a_gif_are_shown_a_little_slower(tiny: Recipe, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "fast.mp4", 16, 16, Fraction(120)) as writer:
        for value in range(0, 250, 50):
            writer.write(np.full((16, 16, 3), value, np.uint8))
    tracker = open_tracker(dataclasses.replace(tiny, tracker="tensorboard"), tmp_path, -1, -1)
    assert tracker is not None and tracker.fresh
    tracker.sample(3, "samples/video", tmp_path / "fast.mp4")
    tracker.close()
    (film,) = kept(tmp_path / "tensorboard").Images("samples/video")
    with Image.open(io.BytesIO(film.encoded_image_string)) as shown:
        assert shown.n_frames == 5 and shown.info["duration"] == 20  # type: ignore[attr-defined]


def test_what_is_not_installed_is_said_with_what_to_type_before_anything_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clips: Path
) -> None:
    check_tracker("none")
    (tmp_path / "wandb").mkdir()  # as the tracker leaves it: no package
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "wandb")
    real = importlib.util.find_spec
    lacking = {"tensorboard", "trackio"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in lacking else real(name))
    for name, package in (
        ("tensorboard", r"'sweettok\[track\]'"),
        ("trackio", "trackio"),
        ("wandb", "wandb"),
    ):
        if name == "wandb" and getattr(real(name), "origin", None) is not None:
            continue
        with pytest.raises(
            SweettokError, match=f"^tracker = {name} .* pip install {package}, or leave it out"
        ):
            train_command(data=[clips], out=tmp_path / "run", settings=[f"tracker={name}"], prior="nowhere")
    assert not (tmp_path / "run").exists()
    with pytest.raises(SweettokError, match="tracker must be one of none, tensorboard, trackio, wandb"):
        train_command(data=[clips], out=tmp_path / "run", settings=["tracker=mlflow"])


class Package(ModuleType):
    """What a tracker of others is called for, written down."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = SimpleNamespace(origin="here")  # type: ignore[assignment]
        self.calls: list[tuple[Any, ...]] = []
        self.url: str | None = None
        self.Settings = dict
        self.Image = lambda path, **_: ("image", Path(path).name)
        self.Video = lambda path, format: ("video", Path(path).name, format)
        self.finish = lambda: self.calls.append(("finish",))

    def init(self, **given: Any) -> Package:
        self.calls.append(("init", given.get("id", given["name"]), given["resume"], given["config"]["steps"]))
        print("a greeting on the command's own output")
        return self

    def log(self, values: dict[str, Any], step: int) -> None:
        self.calls.append(("log", step, values))


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_services_are_given_no_step_twice_and_go_on_in_the_same_run(
    tiny: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    package = Package(name)
    monkeypatch.setitem(sys.modules, name, package)
    recipe = dataclasses.replace(tiny, tracker=name)
    for step, logged in ((-1, -1), (4, 6)):
        tracker = open_tracker(recipe, tmp_path, step, logged)
        assert tracker is not None and tracker.fresh == (step < 0)
        for at in (5, 6, 7) if logged > 0 else (4, 6):
            tracker.figures(at, {"train/loss": 1 / at})
            tracker.sample(at, "samples/sheet", tmp_path / f"{at}.png")
            tracker.sample(at, "samples/video", tmp_path / f"{at}.mp4")
        tracker.close()
    begun = [call for call in package.calls if call[0] == "init"]
    assert len(begun) == 2 and begun[0] == begun[1] and begun[0][2:] == ("allow", tiny.steps)
    assert [call[1] for call in package.calls if call[0] == "log"] == [4, 4, 4, 6, 6, 6, 7, 7, 7]
    assert package.calls[-4:] == [
        ("log", 7, {"train/loss": 1 / 7}),
        ("log", 7, {"samples/sheet": ("image", "7.png")}),
        ("log", 7, {"samples/video": ("video", "7.mp4", "mp4")}),
        ("finish",),
    ]
    assert capsys.readouterr().out == ""
    open_tracker(recipe, tmp_path, -1, -1)  # a new run in an old folder
    assert package.calls[-1][1] != begun[0][1]


def test_a_service_that_does_not_begin_is_one_sentence(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Package("wandb")
    monkeypatch.setitem(sys.modules, "wandb", package)

    def refuse(**_: Any) -> Package:
        raise RuntimeError("No API key\nconfigured.")

    package.init = refuse  # type: ignore[method-assign]
    with pytest.raises(
        SweettokError, match=r"^tracker = wandb does not begin \(No API key configured\); see"
    ):
        open_tracker(dataclasses.replace(tiny, tracker="wandb"), tmp_path, -1, -1)
