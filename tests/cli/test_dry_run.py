"""What a dry run prints, and that it is true; nothing of it stays."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sweettok_cli.training.recipe import Recipe

Cli = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("one_run_a_process", "without_downloads")


@pytest.fixture
def asked(cli: Cli, tiny: Recipe, clips: Path, tmp_path: Path) -> Cli:
    """A dry run of the tiny recipe with these changes; the record that ``--json`` prints comes with it."""

    def run(*options: object, **changes: Any) -> Any:
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(reset_partial_state=True)
        recipe = tmp_path / "tiny.toml"
        recipe.write_text(dataclasses.replace(tiny, **changes).as_toml())
        given = ["--config", recipe, "--out", tmp_path / "run", "--dry-run", "--json", *options]
        ran = cli("train", *given)
        return ran, json.loads(ran.out)

    return run


def everything(folder: Path) -> set[Path]:
    return {*folder.rglob("*")} - {folder / "tiny.toml"}


def test_it_says_what_would_be_trained_and_writes_nothing(
    asked: Cli, clips: Path, prior: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    before = everything(tmp_path)
    ran, record = asked("--data", clips, "--prior", prior, accumulate=2, stage=3, minutes=5.0)
    assert ran.code == 0 and record["starts"] and record["problems"] == [], ran.err
    assert everything(tmp_path) == before
    assert record["out"] == str(tmp_path / "run") and record["device"].endswith(" in fp32")
    assert record["task"] == "stage 3, decoder on pixels"
    # Six clips of at most 30 frames, 25 a second; one of three, nine frames long, and none is held out.
    data = record["data"]
    assert data["learned_too"] == 1, "of six clips, none is held out"
    assert (data["clips"], data["pictures"], data["unreadable"], data["held_out"]) == (6, 0, {}, 1)
    assert data["hours"] == pytest.approx((3 * 24 + 2 * 30 + 9) / 25 / 3600, abs=1e-6)
    # Two crops a clip, two batches a step: two clips in two steps of three, four in the third.
    assert record["steps"]["epochs"] == pytest.approx(6 * (2 + 2 + 4) / 3 / 6, abs=1e-4)
    counted = record["parameters"]
    assert counted["learned"] > 0 < counted["frozen"], "stage 3 freezes the encoder"
    assert sum(part["learned"] for part in counted["parts"]) == counted["learned"]
    by_name = {part["name"]: part for part in counted["parts"]}
    assert (
        by_name["encoder"]["learned"] == 0 < by_name["encoder"]["frozen"]
        and by_name["decoder"]["learned"] > 0
    )
    assert any(
        "stage 3 freezes an encoder and words that no stage has trained" in c for c in record["cautions"]
    )
    memory = record["memory"]
    assert memory["largest"] == "4 of 17x64x64" and memory["total"] == sum(memory["device"].values())
    assert memory["device"]["gradients"] == 4 * counted["learned"] == memory["device"]["moments"] / 2


def test_it_is_shown_to_people(cli: Cli, asked: Cli, clips: Path, prior: Path, tmp_path: Path) -> None:
    asked("--data", clips, "--prior", prior)
    ran = cli(
        "train", "--config", tmp_path / "tiny.toml", "--dry-run", "--data", clips, "--prior", prior,
        "--out", tmp_path / "run",
    )  # fmt: skip
    for line in (
        r"^training +stage 2, both halves on clips, on 1 x \w+ in fp32$",
        r"^parameters +[\d,]+ learn, 0 do not$",
        r"^ +encoder: [\d,]+ learn$",
        r"^memory +about .* a process, with 4 of 17x64x64$",
        r"^ +weights \d+ MB, averages .*, activations .*$",
        r"^steps +6: \d\.\d\d times through the data$",
        r"^data +6 clips, 0\.1 minutes; 0 cannot be read, 1 to be looked at, 1 of them trained on, too$",
        rf"^writes to +{re.escape(str(tmp_path))}/run$",
        r"^verdict +it would start$",
    ):
        assert re.search(line, ran.out, re.MULTILINE), (line, ran.out)


def test_activations_are_those_that_a_real_step_keeps(tiny: Recipe, clips: Path, prior: Path) -> None:
    """Tensors that are alive between forward and backward, counted by the allocator's own books."""
    from sweettok_cli.data.sampler import Batch
    from sweettok_cli.models.sweettok.task import SweetTokTask
    from sweettok_cli.training.forecast import memory_of
    from sweettok_cli.training.log import Mute

    task = SweetTokTask(dataclasses.replace(tiny, crop=[[64.0, 5.0, 1.0]]), None, prior)
    task.batches([clips], None, 0, 1, Mute())
    task.build(torch.device("cpu"), Mute())
    forecast = memory_of(task, task.model, torch.device("cpu"), 0).device["activations"]

    batch = Batch(torch.randint(256, (5, 17, 64, 64, 3), dtype=torch.uint8).numpy(), ("",) * 5)
    with torch.profiler.profile(profile_memory=True) as profiler:
        step = task.losses(task.model, batch, 0)
    allocated = sum(event.self_cpu_memory_usage for event in profiler.events())
    assert step.losses
    assert 0.7 * allocated < forecast < 1.1 * allocated


def test_losses_that_ask_for_gradients_of_their_own_are_measured_too(tiny: Recipe, clips: Path) -> None:
    from sweettok_cli.models.registry import task_of
    from sweettok_cli.training.forecast import memory_of, parts_of
    from sweettok_cli.training.log import Mute

    small = {"model": {"preset": "vidtok-small"}, "crop": [[32.0, 1.0, 1.0]], "frames": 5, "stage": 1}
    judged = {"adversarial": 0.1, "discriminator_width": 16, "discriminator_start": 3}
    sizes = {}
    for name, changes in {"alone": {}, "judged": judged}.items():
        task: Any = task_of(dataclasses.replace(tiny, **small, **changes), None, None)
        task.build(torch.device("cpu"), Mute())
        sizes[name] = memory_of(task, task.model, torch.device("cpu"), 0).device["activations"]
        parts = {part.name for part in parts_of(task)}
        assert {"encoder", "decoder", "likelihood"} <= parts and ("discriminator" in parts) == (
            name == "judged"
        )
    assert sizes["judged"] > sizes["alone"]


def test_every_reason_not_to_start_is_said(asked: Cli, clips: Path, tmp_path: Path) -> None:
    before = everything(tmp_path)
    felt = {"perceptual": 0.1, "perceptual_network": "lpips-vgg"}
    ran, record = asked("--data", tmp_path / "nowhere", **felt)
    assert ran.code == 1 and not record["starts"] and everything(tmp_path) == before
    said = "\n".join(record["problems"])
    for words in (
        f"The training data {tmp_path / 'nowhere'} do not exist",
        "vgg16-397923af.pth is not on this machine and nothing may be fetched",
        "A new network needs words: give --prior FOLDER",
    ):
        assert words in said and words in ran.err
    ran, record = asked("--data", clips, "--prior", "no-such-model")
    assert ran.code == 1 and "no-such-model" in record["problems"][0] and "parameters" not in record


def test_what_it_would_do_without_is_said(asked: Cli, clips: Path, prior: Path) -> None:
    felt = {"perceptual": 0.1, "without_features": "train"}
    ran, record = asked("--data", clips, "--prior", prior, **felt)
    assert ran.code == 0 and any("convnext_small" in line for line in record["missing"])
    assert record["memory"]["total"] > 0, "of all else"


def test_a_teacher_that_cannot_be_had_is_a_reason(asked: Cli, clips: Path, prior: Path) -> None:
    ran, record = asked("--data", clips, "--prior", prior, "--teacher", "omnitokenizer-imagenet-ucf")
    (problem,) = record["problems"]
    assert ran.code == 1 and record["parameters"]["learned"] > 0, "what can be known is"
    assert problem.startswith("The proxy tokenizer omnitokenizer-imagenet-ucf is not on this machine, and ")
    assert "`sweettok models pull omnitokenizer-imagenet-ucf`" in problem


def test_a_run_that_goes_on_knows_what_it_has(
    cli: Cli, asked: Cli, clips: Path, prior: Path, tmp_path: Path
) -> None:
    asked("--data", clips, "--prior", prior)
    out = tmp_path / "run"
    done = cli("train", "--config", tmp_path / "tiny.toml", "--data", clips, "--prior", prior, "--out", out)
    assert done.code == 0, done.err
    before = {path: path.stat().st_mtime_ns for path in everything(out)}
    ran, record = asked("--data", clips, "--prior", prior)
    assert ran.code == 1 and "holds a run already; pass --resume" in record["problems"][0]
    given = "train", "--out", out, "--resume", "--set", "steps=9", "--dry-run", "--json"
    ran = cli(*given)
    record = json.loads(ran.out)
    assert ran.code == 0 and record["begins"] == 6 and record["steps"]["steps"] == 9, ran.err
    assert record["changes"] == ["steps: 6 -> 9"] and record["data"]["clips"] == 6
    assert {path: path.stat().st_mtime_ns for path in everything(out)} == before
