from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweettok_cli.tokens import read_tokens
from sweettok_cli.video import probe, write_image

Cli = Callable[..., Any]
CLIP = "intel-iot-devkit+sample-videos__001.mp4"
KINDS = {"tokens", "decoded", "side_by_side", "scores", "plot"}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    write_image(path, np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8))
    return path


def test_a_clip_leaves_its_files_and_figures(cli: Cli, model_folder: Path, clip: Path) -> None:
    ran = cli("roundtrip", clip, "--model", model_folder)
    assert ran.code == 0
    folder = clip.parent / "clip.roundtrip"
    assert sorted(path.name for path in folder.iterdir()) == [
        "clip.decoded.mp4",
        "clip.npz",
        "clip.scores.csv",
        "clip.scores.png",
        "clip.side-by-side.mp4",
    ]
    assert "dB PSNR" in ran.out and "20 frames, 112x64, 2 clips" in ran.out
    for path in folder.iterdir():
        assert str(path) in ran.out
    assert read_tokens(folder / "clip.npz").meta.source == "clip.mp4"
    decoded = probe(folder / "clip.decoded.mp4")
    assert (decoded.width, decoded.height, decoded.frames, decoded.rate) == (112, 64, 20, 10)


def test_json_names_files_and_scores_every_frame(cli: Cli, model_folder: Path, clip: Path) -> None:
    ran = cli(
        "roundtrip",
        clip,
        "--model",
        model_folder,
        "-o",
        clip.parent / "out",
        "--gain",
        8,
        "--json",
        "--quiet",
    )
    assert ran.err == ""
    record = json.loads(ran.out)
    assert set(record["files"]) == KINDS
    assert all(Path(path).is_file() for path in record["files"].values())
    assert [row["frame"] for row in record["per_frame"]] == list(range(20))
    assert record["psnr"] == pytest.approx(np.mean([row["psnr"] for row in record["per_frame"]]))
    assert record["seconds"]["encode"] > 0


def test_a_picture_and_a_named_output(cli: Cli, model_folder: Path, picture: Path) -> None:
    target = picture.parent / "shown.png"
    ran = cli("roundtrip", picture, "--model", model_folder, "-o", target)
    assert ran.code == 0
    assert target.is_file() and (picture.parent / "shown.decoded.png").is_file()
    assert "mean of 1 frame, 70x40, 1 clip\n" in ran.out


def test_nothing_is_overwritten_unasked(cli: Cli, model_folder: Path, picture: Path) -> None:
    assert cli("roundtrip", picture, "--model", model_folder).code == 0
    # No model is looked for where nothing can be written.
    ran = cli("roundtrip", picture, "--model", "nosuch")
    assert ran.code == 1
    assert "--force" in ran.err
    assert cli("roundtrip", picture, "--model", model_folder, "--force").code == 0


@pytest.mark.parametrize("content", [b"", b"text, renamed"])
def test_a_broken_source_leaves_nothing(cli: Cli, model_folder: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.mp4").write_bytes(content)
    ran = cli("roundtrip", tmp_path / "broken.mp4", "--model", model_folder)
    assert ran.code == 1
    assert ran.err.startswith("error: ") and ran.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["broken.mp4"]
    assert cli("roundtrip", tmp_path / "absent.mp4").code == 1


def test_an_unknown_model_leaves_no_folder(cli: Cli, model_folder: Path, picture: Path) -> None:
    ran = cli("roundtrip", picture, "--model", "nosuch")
    assert ran.code == 1
    assert [path.name for path in picture.parent.iterdir()] == ["photo.png"]


def test_wrong_usage_is_two(cli: Cli, picture: Path) -> None:
    assert cli("roundtrip").code == 2
    assert cli("roundtrip", picture, "--gain", 0).code == 2


@pytest.mark.slow
def test_the_shipped_model_gives_a_real_clip_back(process: Cli, examples: Path, tmp_path: Path) -> None:
    ran = process("roundtrip", examples / CLIP, "-o", "out", "--json", check_code=0)
    record = json.loads(ran.out)
    assert record["model"] == "sweettok-small"
    assert record["frames"] == 20 and record["clips"] == 2
    # Two clips of twice 256x256, as many bits as in the fixed layout.
    assert 0.9 < record["bits"] / (2 * 2 * 45_234) <= 1
    assert (tmp_path / record["files"]["side_by_side"]).is_file()
    assert record["psnr"] > 18
