"""The scripts in ``examples/`` run as their first lines say."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sequences.videos import dense, ragged
from small_generator import save_generator, write_videos
from small_run import write_clip
from transformers import AutoModelForCausalLM

import sweettok
from sweettok_cli.generation.videos import TokenVideo
from sweettok_cli.sequences.sequence import VideoOrder
from sweettok_cli.sequences.shards import FORMATS, Shards
from sweettok_cli.video import VideoReader

CLIPS = ("intel-iot-devkit+sample-videos__001.mp4", "mdn+learning-area__000.mp4")


@pytest.fixture
def run(examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``run("generate", ...)``: the script in this process, in an empty folder; returns what it has named."""

    def script(name: str, *arguments: object) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        monkeypatch.chdir(tmp_path)
        return runpy.run_path(str(examples / f"{name}.py"), run_name="__main__")

    return script


@pytest.mark.parametrize("kind", FORMATS)
def test_shards_are_read_as_they_were_written(
    run: Any, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    for levels in (False, True):
        tokens, shards = tmp_path / f"tokens-{levels}", tmp_path / f"shards-{levels}"
        write_videos(tokens, levels, count=5)
        sweettok.export_folder([tokens], shards, kind, classes=True, shard_bytes=400)
        named = run("read_shards", shards)
        order = VideoOrder.of(
            Shards(shards).spelling.vocabulary, (ragged if levels else dense)(0, clips=2).meta
        )
        wanted: set[tuple[int, ...]] = set()
        for number in range(5):
            made = (ragged if levels else dense)(number, clips=2)
            label = "Archery" if number % 2 else "Biking"
            parts = order.clips(made) if kind == "parquet" else [order.write(made, label)]
            wanted |= {tuple(part.tolist()) for part in parts}
        own = named["own"](shards)
        assert {tuple(ids.tolist()) for ids in own} == wanted
        said = capsys.readouterr().out
        assert re.search(rf"^own: {sum(map(len, wanted))} symbols", said, re.MULTILINE)
        framed = 2 * sum(
            len(clip) + 3 for n in range(5) for clip in order.clips((ragged if levels else dense)(n, clips=2))
        )
        assert f"TokenDataset: {framed} symbols in two epochs" in said


def test_a_language_model_learns(
    run: Any, examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = "--frames", 17, "--steps", 20, "--batch", 2, "--layers", 1, "--width", 64, "--lr", 1e-2
    named = run(
        "train_language_model", *(examples / name for name in CLIPS), *small, "--out", tmp_path / "lm"
    )
    losses = [
        float(loss) for loss in re.findall(r"^step \d+: ([\d.]+)$", capsys.readouterr().out, re.MULTILINE)
    ]
    assert len(losses) == 11 and losses[-1] < losses[0] - 2
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "lm")
    assert saved.config.vocab_size == named["vocabulary"].size
    assert torch.equal(saved.model.norm.weight, named["network"].model.norm.weight)


def test_a_generator_draws(
    run: Any, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / model_folder.name).symlink_to(model_folder)
    monkeypatch.setenv("SWEETTOK_HOME", str(tmp_path / "store"))
    frames = np.random.default_rng(0).integers(0, 256, (17, 64, 64, 3), dtype=np.uint8)
    tokens = sweettok.load(model_folder.name, "cpu").encode(frames, rate=12)
    save_generator(tmp_path / "run" / "model", [TokenVideo("a.npz", "Archery", tokens)])
    for label in ([], ["Archery"]):
        named = run("generate", tmp_path / "run", *label)
        assert named["generator"].card.clips == 1
        for number in range(4):
            made = sweettok.read_tokens(tmp_path / f"generated-{number}.npz")
            assert made.meta.frames == 17 and made.meta.model == model_folder.name
            with VideoReader(tmp_path / f"generated-{number}.mp4") as reader:
                assert len(list(reader)) == 17 and reader.info.rate == 12
        for path in tmp_path.glob("generated-*"):
            path.unlink()
    with pytest.raises(SystemExit, match=r"^error: made-up does not know that class.*there are Archery"):
        run("generate", tmp_path / "run", "Chess")


def test_tokens_go_through_python(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / "clip.mp4", 3, frames=20, width=64, height=64)
    run("tokens_in_python", tmp_path / "clip.mp4")
    said = capsys.readouterr().out
    assert re.search(r"^\d\d\.\d\d dB over one clip$", said, re.MULTILINE)
    assert "240 indices below 28570\n" in said and "20 frames in 2 clips" in said
