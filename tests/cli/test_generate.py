"""The command: from token files to a generator, and from that to new token files and videos."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors.torch import load_file
from sequences.videos import dense, ragged
from small_generator import TINY, save_generator
from small_run import write_clip
from stage import interrupted

from sweettok_cli.generation.videos import TokenVideo
from sweettok_cli.pipeline.decode import decode_video
from sweettok_cli.tokens import read_tokens, write_tokens
from sweettok_cli.training.recipe_file import recipe_from
from sweettok_cli.video import VideoReader
from sweettok_cli.video.images import write_image
from sweettok_cli.zoo.load import load

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def tokens(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Token files of two classes, by a small tokenizer."""
    folder, tokenizer = tmp_path_factory.mktemp("tokens"), load(model_folder, "cpu")
    for number, kind in enumerate(("Archery", "Biking")):
        (folder / kind).mkdir()
        frames = np.random.default_rng(number).integers(0, 256, (34, 64, 64, 3), dtype=np.uint8)
        write_tokens(folder / kind / "clip.npz", tokenizer.encode(frames, rate=Fraction(12)))
    return folder


@pytest.fixture
def run(cli: Cli, tokens: Path, model_folder: Path, tmp_path: Path, one_run_a_process: None) -> Path:
    """A run of one step."""
    values = {"steps": 1, "frames": 34, "crop": [[64, 2, 1.0]], "classes": True, "model": TINY}
    values |= {"precision": "fp32", "sample_every": 0}
    (tmp_path / "tiny.toml").write_text(recipe_from(values, "test").as_toml())
    how = "--config", tmp_path / "tiny.toml", "--data", tokens, "--prior", model_folder
    assert cli("train", *how, "--out", tmp_path / "run").code == 0
    return tmp_path / "run"


def test_a_generator_is_trained_and_draws(
    cli: Cli, run: Path, tokens: Path, model_folder: Path, tmp_path: Path
) -> None:
    assert "<|noun:space-head-3|>" in (run / "model" / "tokenizer.json").read_text()
    draw = "generate", "-m", run, "--tokenizer", model_folder, "--seed", 3
    ran = cli(*draw, "--class", "Archery", "-n", 2, "--cfg", 2, "-o", tmp_path / "one", "--json")
    made = json.loads(ran.out)
    assert ran.code == 0 and made["class"] == "Archery" and len(made["videos"]) == 2
    paths = [tmp_path / "one" / f"Archery-3-00{n}" for n in range(2)]
    with VideoReader(paths[0].with_suffix(".mp4")) as reader:
        shapes = [frame.rgb.shape for frame in reader]
        assert shapes == [(64, 64, 3)] * 17 and reader.info.rate == 12
    cli(*draw, "--class", "Archery", "--cfg", 2, "-o", tmp_path / "two", "-q")
    again = (tmp_path / "two" / "Archery-3-000.npz").read_bytes()
    assert again == paths[0].with_suffix(".npz").read_bytes()
    refused = cli(*draw, "--class", "Archery", "-o", tmp_path / "one")
    assert refused.code == 1 and "pass --force to replace it" in refused.err

    write_clip(tmp_path / "clip.mp4", 3, frames=40, width=96, height=80)
    picture = np.zeros((80, 120, 3), np.uint8)
    write_image(tmp_path / "picture.png", picture)
    for prompt, frames in ((tmp_path / "clip.mp4", 51), (tmp_path / "picture.png", 17)):
        out = tmp_path / prompt.stem
        assert cli(*draw, "--prompt", prompt, "--frames", frames, "-o", out).code == 0
        found = read_tokens(out / f"{prompt.stem}-3-000.npz")
        assert found.meta.frames == frames and found.meta.model == model_folder.name
    given = tokens / "Biking" / "clip.npz"
    assert cli(*draw, "--prompt", given, "-o", tmp_path / "more").code == 0
    found = read_tokens(tmp_path / "more" / "clip-3-000.npz")
    assert found.meta.clips == 3
    assert np.array_equal(found.arrays["temporal"][:2], read_tokens(given).arrays["temporal"])


def test_an_interrupted_job_goes_on(
    cli: Cli, run: Path, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = ["generate", "-m", run, "--tokenizer", model_folder, "--class", "Biking", "-n", 3, "--batch", 2]
    assert cli(*draw, "-o", tmp_path / "whole").code == 0
    draw += ["-o", tmp_path / "out"]
    with monkeypatch.context() as patch:
        patch.setattr("sweettok_cli.pipeline.decode.decode_video", interrupted(decode_video, 1))
        ran = cli(*draw)
    assert ran.code == 130 and "Interrupted; nothing was written. To start again: sweettok" in ran.err
    with monkeypatch.context() as patch:
        patch.setattr("sweettok_cli.pipeline.decode.decode_video", interrupted(decode_video, 2))
        ran = cli(*draw)
    assert ran.code == 130 and len(ran.out.splitlines()) == 2
    typed = " ".join(map(str, draw))
    assert ran.err.splitlines()[-1] == (
        f"Interrupted: 1 of 3 videos are written. To go on: sweettok {typed} --skip-existing"
    )
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"Biking-0-000.npz", "Biking-0-000.mp4"}
    assert cli(*draw).code == 1
    kept = (tmp_path / "out" / "Biking-0-000.mp4").stat().st_mtime_ns
    ran = cli(*draw, "--skip-existing", "--json")
    found = json.loads(ran.out)
    assert ran.code == 0 and "2 generated, 1 skipped" in ran.err
    assert [len(found["videos"]), len(found["skipped"])] == [2, 1]
    assert (tmp_path / "out" / "Biking-0-000.mp4").stat().st_mtime_ns == kept
    for path in (tmp_path / "whole").glob("*.npz"):
        one, other = read_tokens(path), read_tokens(tmp_path / "out" / path.name)
        assert one.meta == other.meta
        assert all(np.array_equal(array, other.arrays[name]) for name, array in one.arrays.items())
    assert "0 generated, 3 skipped" in cli(*draw, "--skip-existing").err


def test_what_follows_a_prompt_is_told(cli: Cli, run: Path, model_folder: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 3, frames=40, width=64, height=64)
    draw = "generate", "-m", run, "--tokenizer", model_folder, "--prompt", tmp_path / "clip.mp4"
    ran = cli(*draw, "--class", "Biking", "-o", tmp_path / "out")
    assert ran.code == 0 and "its last 6 frames fill none and are left out" in ran.err
    with (
        VideoReader(tmp_path / "clip.mp4") as given,
        VideoReader(tmp_path / "out" / "clip-Biking-0-000.mp4") as made,
    ):
        assert made.info.rate == given.info.rate != 12
    ran = cli(*draw, "--prompt-clips", 3, "-o", tmp_path / "more")
    assert ran.code == 1 and "give --prompt-clips 2 or fewer" in ran.err
    ran = cli(*draw, "--frames", 34, "-o", tmp_path / "more")
    assert ran.code == 1 and "2 clips of 17 frames already" in ran.err
    assert not (tmp_path / "more").exists()


def test_what_can_never_be_is_said_before_the_network_is_read(
    cli: Cli, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = save_generator(tmp_path / "made", [TokenVideo("a.npz", "Archery", dense(0))], clips=2)
    (made / "model.safetensors").unlink()  # so that it cannot be read
    monkeypatch.chdir(tmp_path)
    write_tokens(tmp_path / "levels.npz", ragged(1))
    write_tokens(tmp_path / "short.npz", dense(1, clips=1))
    for wrong, words in (
        (("--temperature", "inf"), "finite"),
        (("--class", "Archery", "--cfg", "inf"), "finite"),
        (("--cfg", "2"), "--class"),
        (("--cfg", "0"), "--class"),
        (("--prompt-clips", "1"), "--prompt"),
        (("-o", "levels.npz"), "levels.npz is a file; give a folder with -o"),
        (("-o", "levels.npz/out"), "levels.npz is a file; give a folder with -o"),
        (("-o", "new.mp4"), "new.mp4 names one file"),
    ):
        ran = cli("generate", "-m", made, *wrong)
        assert ran.code == 2 and words in ran.err, ran.err
    for wrong, words in (
        (("--class", "Chess"), "there is no class 'Chess'; there are Archery"),
        (("--prompt", "none.mp4"), "none.mp4 does not exist"),
        (("--prompt", "levels.npz"), "The prompt levels.npz has levels of detail"),
        (("--prompt", "levels.npz"), "with --fixed"),
        (("--prompt", "short.npz", "--prompt-clips", "2"), "short.npz has no 2 whole clips"),
        (("--frames", "100000000"), "ask for 170000 at most"),
        (("-o", "new.mp4/"), "holds no network"),
    ):
        ran = cli("generate", "-m", made, *wrong)
        assert ran.code == 1 and words in ran.err and ran.err.count("\n") == 1, ran.err
    for model, words in (
        ("nosuch", "nosuch does not exist"),
        (model_folder, "is a tokenizer, and no generator"),
        ("sweettok-small", "sweettok-small is a tokenizer"),
    ):
        ran = cli("generate", "-m", model)
        assert ran.code == 1 and words in ran.err and "generator-small" in ran.err, ran.err
    assert not (tmp_path / "generated").exists()


def test_what_cannot_be_drawn_is_said(cli: Cli, run: Path, families: dict[str, Path], tmp_path: Path) -> None:
    draw = "generate", "-m", run, "-o", tmp_path / "out"
    assert "give its folder with --tokenizer" in cli(*draw).err
    other = cli(*draw, "--tokenizer", families["sweettok"].parent / "vidtok-fsq-causal")
    assert other.code == 1 and "give the tokenizer that made them" in other.err
    assert cli(*draw, "--top-p", 0).code == 2
    nothing = cli("generate", "-m", tmp_path, "-o", tmp_path / "out")
    assert nothing.code == 1 and "holds no generator (generator.json is missing)" in nothing.err
    assert not (tmp_path / "out").exists()


def test_samples_are_drawn_while_it_is_trained(
    cli: Cli, tokens: Path, model_folder: Path, tmp_path: Path, one_run_a_process: None
) -> None:
    values = {"steps": 2, "frames": 34, "crop": [[64, 2, 1.0]], "classes": True, "model": TINY}
    values |= {"precision": "fp32", "sample_every": 2, "validate_every": 2}
    (tmp_path / "tiny.toml").write_text(recipe_from(values, "test").as_toml())
    shutil.copytree(tokens / "Biking", tmp_path / "val" / "Biking")
    how = "--config", tmp_path / "tiny.toml", "--data", tokens, "--val", tmp_path / "val"
    out = tmp_path / "run"
    assert cli("train", *how, "--prior", model_folder, "--out", out).code == 0
    made = {f"{step:08d}.{ending}" for step in (1, 2) for ending in ("png", "mp4")}
    assert {path.name for path in (out / "samples").iterdir()} == made
    with Image.open(out / "samples" / "00000002.png") as sheet:
        # Two new videos of each class, one of --val, and what is drawn behind its first clip.
        assert sheet.size == (6 * 64, 18 + 6 * (18 + 64))
        pixels = np.asarray(sheet)
    truth = load(model_folder, "cpu").decode(read_tokens(tokens / "Biking" / "clip.npz"))
    top = 18 + 4 * (18 + 64) + 18
    assert np.array_equal(pixels[top : top + 64, 128:192], truth[16])
    again = pixels[top + 82 : top + 82 + 64]
    assert np.array_equal(again[:, 128:192], truth[16]) and not np.array_equal(again[:, 320:384], truth[33])
    with VideoReader(out / "samples" / "00000002.mp4") as reader:
        assert [frame.rgb.shape for frame in reader] == [(192, 6 * 192, 3)] * 34
    weights = (out / "model" / "model.safetensors").read_bytes()
    AcceleratorState._reset_state(reset_partial_state=True)
    assert cli("train", "--out", out, "--resume", "--set", "steps=4").code == 0
    assert (out / "samples" / "00000004.png").stat().st_size, "the run knows its tokenizer"

    AcceleratorState._reset_state(reset_partial_state=True)
    plain = "--prior", model_folder, "--set", "sample_every=0", "--out", tmp_path / "plain"
    assert cli("train", *how, *plain).code == 0
    assert (tmp_path / "plain" / "model" / "model.safetensors").read_bytes() == weights, (
        "samples change nothing"
    )
    AcceleratorState._reset_state(reset_partial_state=True)
    without = cli("train", *how, "--set", "steps=1", "--out", tmp_path / "other")
    assert without.code == 0 and "no samples are drawn: small, which made the tokens" in without.err
    assert not (tmp_path / "other" / "samples").exists()


def test_a_dry_run_says_what_would_be_trained(
    cli: Cli, run: Path, tokens: Path, model_folder: Path, tmp_path: Path
) -> None:
    def asked(*options: object) -> Any:
        AcceleratorState._reset_state(reset_partial_state=True)
        return cli("train", "--config", tmp_path / "tiny.toml", "--data", tokens, "--dry-run", *options)

    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    how = "--out", tmp_path / "new", "--set", "accumulate=3"
    record = json.loads(asked(*how, "--json", "--prior", model_folder).out)
    assert record["starts"] and record["missing"] == record["cautions"] == [], record
    # Two videos of two clips, a window of both clips each, two windows a batch.
    clip = 3 * (16 + 64)
    found = {"videos": 2, "clips": 4, "windows": 2, "classes": 2, "clips_held_out": 0}
    assert record["data"].items() >= found.items()
    assert record["data"]["symbols_per_batch"] == 2 * (2 + 2 * (clip + 1) - 1)
    assert record["data"]["steps_per_epoch"] == pytest.approx(1 / 3) and record["steps"]["epochs"] == 3
    saved = load_file(run / "model" / "model.safetensors")
    assert record["parameters"]["learned"] == sum(tensor.numel() for tensor in saved.values())
    memory = record["memory"]
    assert memory["device"]["gradients"] == 4 * record["parameters"]["learned"]
    assert memory["largest"] == f"2 of {2 * clip + 3} symbols" and memory["device"]["activations"] > 0

    shown = asked(*how)
    assert shown.code == 0 and "--prior gives its folder" in shown.out
    assert re.search(
        r"^training +an autoregressive transformer on tokens, on 1 x \w+ in fp32$", shown.out, re.M
    )
    assert re.search(
        r"^data +2 videos of 2 classes, 4 clips: 2 windows, 0\.33 steps; 0 clips", shown.out, re.M
    )
    refused = json.loads(asked("--out", tmp_path / "new", "--set", "crop=[[128,2,1.0]]", "--json").out)
    assert not refused["starts"] and "of 64x64 pixels" in refused["problems"][0] and "memory" not in refused
    more = json.loads(asked("--out", run, "--resume", "--set", "steps=5", "--json").out)
    assert more["starts"] and more["begins"] == 1 and more["changes"] == ["steps: 1 -> 5"], more
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_the_recipe_names_itself_for_what_goes_on(tmp_path: Path) -> None:
    from sweettok_cli.cli.train import _next_recipe
    from sweettok_cli.training.record import RunRecord

    record = dataclasses.replace(RunRecord.of([tmp_path], None, None, None), recipe="generator-small")
    record.write(tmp_path)
    assert _next_recipe(str(tmp_path), 2) == "generator-small"
