"""The command: signals, many processes at once, and the keys that it lists."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from accelerate.state import AcceleratorState

from sweettok_cli.cli.train import train
from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.sampler import Sampler
from sweettok_cli.errors import SweettokError
from sweettok_cli.training.processes import asked_to_stop, join
from sweettok_cli.training.recipe import Recipe, recipe_keys
from sweettok_cli.training.recipe_file import recipe_names
from sweettok_cli.training.recipe_table import describe_recipes


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM cannot be caught there")
@pytest.mark.parametrize(("number", "json_option"), [(signal.SIGTERM, ["--json"]), (signal.SIGINT, [])])
def test_command_saves_on_a_signal_and_resumes(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path, number: int, json_option: list[str]
) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(dataclasses.replace(tiny, steps=100_000, log_every=1).as_toml())
    command = [
        sys.executable,
        "-m",
        "sweettok_cli",
        "train",
        "--data",
        str(clips),
        "--out",
        str(tmp_path / "run"),
    ]
    with subprocess.Popen(
        [*command, "--config", str(recipe), "--prior", str(prior), *json_option],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeding_ctrl_c,
    ) as process:  # fmt: skip
        assert process.stderr is not None and process.stdout is not None
        for line in process.stderr:
            if line.startswith("step 2 "):
                process.send_signal(number)
                break
        rest = process.stderr.read()
        printed = process.stdout.read()
    step = int(max((tmp_path / "run" / "checkpoints").iterdir()).name)
    assert process.returncode == 130 and step >= 2
    if json_option:
        assert json.loads(printed)["interrupted"] and json.loads(printed)["step"] == step
    else:
        assert printed == "", "the line of a run that is done"
    assert "Stopping after this step" in rest
    go_on = f"sweettok train --out {tmp_path / 'run'} --resume"
    assert rest.endswith(f"Interrupted; the run is saved up to step {step}. To go on: {go_on}\n")
    resume = [*command[:4], *command[6:], "--resume", "--set", f"steps={step + 1}"]
    for quiet in (["--quiet"], []):
        done = subprocess.run([*resume, *quiet], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip().startswith(f"{tmp_path / 'run' / 'model'}: {step + 1} steps")
    how = f"To train on: {go_on} --set steps={2 * step + 2}"
    assert done.stderr.endswith(f"No step was left: all {step + 1} are done. {how}\n")
    newest = max((tmp_path / "run" / "checkpoints").iterdir())
    assert newest.name == f"{step + 1:08d}"
    kept = (tmp_path / "run" / "recipe.toml").read_text()
    fewer = subprocess.run([*resume[:-1], "steps=1"], capture_output=True, text=True)
    assert fewer.stderr.endswith(f"No step was left: the run is at step {step + 1}, past steps=1. {how}\n")
    assert (tmp_path / "run" / "recipe.toml").read_text() == kept


def heeding_ctrl_c() -> None:
    """What runs in the background ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_minutes_that_are_over_are_said_with_what_to_type(
    tiny: Recipe, clips: Path, prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.toml").write_text(tiny.as_toml())
    for given in (
        {"data": [clips], "prior": str(prior), "config": str(tmp_path / "tiny.toml"), "max_minutes": 1e-4},
        {"resume": True},
    ):
        AcceleratorState._reset_state(reset_partial_state=True)
        with pytest.raises(SystemExit) as end:  # a model that nothing has trained is no result
            train(out=tmp_path / "run", **given)
        assert end.value.code == 1
        last = capsys.readouterr().err.splitlines()[-1]
        assert re.match(r"No time was left for a step: of 0\.0001 minutes, [0-9.]+ are over; ", last)
        more = f"To train on: sweettok train --out {tmp_path / 'run'} --resume --max-minutes "
        assert last.rpartition(more)[2] in ("1", "2")  # the minutes begun so far, rounded up, and one
    AcceleratorState._reset_state(reset_partial_state=True)


def test_a_signal_before_the_first_step_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sweettok_cli.training.loop.train", lambda *_: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(sys, "argv", ["sweettok", "train", "--data", "a b"])
    for saved, said in (
        (None, "no step was saved. To start again: sweettok train --data 'a b'"),
        (7, f"the run is saved up to step 7. To go on: sweettok train --out {tmp_path / 'run'} --resume"),
    ):
        if saved is not None:
            (tmp_path / "run" / "checkpoints" / f"{saved:08d}").mkdir(parents=True)
        with pytest.raises(SystemExit) as end:
            train(data=[tmp_path], init="sweettok-small", out=tmp_path / "run")
        assert end.value.code == 130
        assert capsys.readouterr().err.splitlines()[-1] == f"Interrupted; {said}"


STAGES = """
import sys
from accelerate.state import AcceleratorState
from sweettok_cli.cli.app import main

given = list(sys.argv)
for stage in "123":
    sys.argv = [*given, "--config", f"{stage}.toml", "--out", f"run{stage}"]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
    AcceleratorState._reset_state(reset_partial_state=True)
"""


@pytest.mark.slow
def test_two_processes_train_every_stage_on_clips_and_pictures(
    tiny: Recipe, clips: Path, prior: Path, families: dict[str, Path], tmp_path: Path
) -> None:
    """Steps on pictures and on proxy codes leave parameters without a gradient, which all must know."""
    taught = {"proxy_codes": 64, "proxy_hidden": 16, "scrambled": True, "pixel_temporal": "t"}
    proxy = {"proxy": 0.5, "teacher": str(families["omnitokenizer"]), "model": {**tiny.model, **taught}}
    for stage, pictures in ((1, 0.0), (2, 0.5), (3, 0.5)):
        recipe = dataclasses.replace(
            tiny, stage=stage, steps=4, pictures=pictures, frames=1 if stage == 1 else 17, synthetic=0.3,
            adversarial=0.1 if stage == 3 else 0.0, discriminator_width=4, discriminator_start=1,
            **(proxy if stage == 2 else {}),
        )  # fmt: skip
        lengths = {Sampler(find_entries([clips]), recipe.sampling).batch(n).frames.shape[1] for n in range(4)}
        assert lengths == ({1} if stage == 1 else {1, 17})
        (tmp_path / f"{stage}.toml").write_text(recipe.as_toml())
    (tmp_path / "stages.py").write_text(STAGES)
    arguments = ["train", "--json", "--quiet", "--data", str(clips), "--prior", str(prior)]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*command, "stages.py", *arguments], cwd=tmp_path,
        capture_output=True, text=True, timeout=900, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["step"] for line in done.stdout.splitlines()] == [4, 4, 4]
    for stage in (1, 2, 3):
        out = tmp_path / f"run{stage}"
        assert json.loads((out / "run.json").read_text())["processes"] == 2
        assert "2 x cpu" in json.loads((out / "log.jsonl").read_text().splitlines()[0])["event"]


def test_accelerate_that_starts_one_process_for_two_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """``accelerate launch --cpu --num_processes 2`` names a place to meet, and starts nobody else."""
    AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    join("fp32", False)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with pytest.raises(
        SweettokError, match="accelerate launch --multi_gpu --num_processes 2 -m sweettok_cli train"
    ):
        join("fp32", False)
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize(
    ("flag", "said"),
    [("ACCELERATE_USE_DEEPSPEED", "DeepSpeed; "), ("FSDP_OFFLOAD_PARAMS", "--fsdp_offload_params; ")],
)
def test_what_accelerate_knows_and_we_do_not_is_refused(
    monkeypatch: pytest.MonkeyPatch, flag: str, said: str
) -> None:
    monkeypatch.setenv(flag, "true")
    with pytest.raises(SweettokError, match=f"^Training does not know {said}"):
        join("fp32", False)


def test_of_several_processes_a_repeated_signal_stops_none() -> None:
    """Launchers pass on what the terminal has sent already."""
    said: list[str] = []
    with asked_to_stop(said.append, processes=2) as asked:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert asked.is_set()
    assert said == ["Stopping after this step, to save it."]


class SignalledWhileWriting(io.RawIOBase):
    """A terminal that is written to when the first signal comes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if not self.written:
            os.kill(os.getpid(), signal.SIGTERM)
        self.written += bytes(data)
        return len(data)


def test_a_signal_in_the_middle_of_a_line_stops_as_any_other() -> None:
    terminal = SignalledWhileWriting()
    stream = io.TextIOWrapper(io.BufferedWriter(terminal))
    with asked_to_stop(lambda text: print(text, file=stream, flush=True)) as asked:
        print("step 2", file=stream, flush=True)
        assert asked.is_set()
    assert terminal.written.splitlines() == [
        b"step 2",
        b"Stopping after this step, to save it; once more stops at once.",
    ]


@pytest.mark.parametrize("columns", [60, 80, 110, 140, 160])
def test_recipes_are_listed_within_any_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    for module in ("columns", "output", "train"):
        monkeypatch.setattr(f"sweettok_cli.cli.{module}.text_width", lambda: columns)
    train(list_recipes=True)
    listed = capsys.readouterr().out.rstrip().split("\n")
    assert max(map(len, listed)) <= columns
    begun = [line.split()[0] for line in listed if line and not line.startswith(" ")]
    assert [name for name in begun if name in recipe_names()] == recipe_names()
    words = " ".join(" ".join(listed).split())
    assert "omnitokenizer-imagenet-ucf" in words and "100,000" in words
    assert ("12 of 17x256x256" in words) != ("not shown for want of width: samples a device" in words)
    for recipe in describe_recipes():
        assert recipe["what"] in words, "nothing is cut"


def test_keys_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    train(stage=3, settings=["batch_size=5"], keys=True)
    listed = capsys.readouterr().out
    for name in recipe_keys():
        assert re.search(rf"^{name} ", listed, re.MULTILINE), name
    assert re.search(r"^batch_size +int +5 +0 +samples a batch", listed, re.MULTILINE)
    train(stage=3, keys=True, as_json=True)
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)["keys"]}
    assert rows["stage"]["value"] == 3 and rows["stage"]["default"] == 2
    assert rows["lr"] == {
        **{"key": "lr", "type": "float", "range": "0 to 10", "default": 1e-4, "value": 5e-4},
        "meaning": "peak learning rate",
    }
