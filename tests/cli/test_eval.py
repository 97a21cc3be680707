from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer

from sweettok_cli.video import write_image

Cli = Callable[..., Any]
CLIP = "intel-iot-devkit+sample-videos__001.mp4"


@pytest.fixture
def folder(tmp_path: Path, examples: Path) -> Path:
    """A real clip and a picture."""
    root = tmp_path / "clips"
    root.mkdir()
    shutil.copy(examples / CLIP, root / "a.mp4")
    write_image(root / "b.png", np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8))
    return root


def test_json_holds_every_figure(cli: Cli, blocks: list[BlockTokenizer], folder: Path) -> None:
    ran = cli("eval", folder, "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    record = json.loads(ran.out)
    assert record["model"] == "blocks"
    assert (record["files"], record["frames"], record["clips"]) == (2, 21, 3)
    assert 15 < record["psnr"] < 25 and 0.3 < record["ssim"] < 0.9
    assert record["psnr"] != record["psnr_mean_of_files"]
    assert record["clip_256"]["tokens"] == {"spatial": 256, "temporal": 1024}
    assert set(record["codebooks"]) == {"adjectives", "nouns", "adverbs", "verbs"}
    assert set(record["codebooks"]["nouns"]) == {"size", "used", "use", "perplexity"}
    assert record["seam_flicker"] > 0
    assert [row["file"] for row in record["per_file"]] == ["a.mp4", "b.png"]
    assert record["failed"] == []


def test_a_table_for_people(cli: Cli, blocks: list[BlockTokenizer], folder: Path) -> None:
    ran = cli("eval", folder)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert any(line.split()[:3] == ["a.mp4", "454x256", "20"] for line in lines)
    assert any(line.startswith("PSNR ") and "dB over all frames" in line for line in lines)
    assert any("256 + 1024 tokens (3840 indices" in line for line in lines)
    assert "\x1b" not in ran.out  # no colours where nobody watches


def test_rows_are_written_as_csv_once(cli: Cli, blocks: list[BlockTokenizer], folder: Path) -> None:
    table = folder.parent / "score.csv"
    record = json.loads(cli("eval", folder, "--csv", table, "--json").out)
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["file"] for row in rows] == ["a.mp4", "b.png"]
    assert float(rows[0]["psnr"]) == record["per_file"][0]["psnr"]
    assert rows[1]["seam_flicker"] == ""
    blocks.clear()
    ran = cli("eval", folder, "--csv", table)
    assert ran.code == 1
    assert "--force" in ran.err
    assert blocks == []  # refused before any work
    assert cli("eval", folder, "--csv", table, "--force", "--limit", 1).code == 0
    assert len(table.read_text().splitlines()) == 2


def test_a_broken_file_is_listed_and_the_rest_is_measured(
    cli: Cli, blocks: list[BlockTokenizer], folder: Path
) -> None:
    (folder / "0.mp4").write_text("text, renamed")
    ran = cli("eval", folder, "--json", "--quiet")
    assert ran.code == 1
    record = json.loads(ran.out)
    assert record["files"] == 2
    assert [failure["file"] for failure in record["failed"]] == ["0.mp4"]
    assert ran.err.startswith("error: ") and "0.mp4" in ran.err
    shown = cli("eval", folder)
    assert shown.code == 1
    assert "2 files (1 failed)" in shown.out


def test_data_sets_by_name_are_refused_in_one_sentence(cli: Cli, blocks: list[BlockTokenizer]) -> None:
    ran = cli("eval", "ucf101")
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "ucf101" in ran.err and "folder it is in" in ran.err
    assert blocks == []


def test_wrong_usage_is_two(cli: Cli, folder: Path) -> None:
    assert cli("eval").code == 2
    assert cli("eval", folder, "--limit", 0).code == 2


def test_the_shipped_model_is_measured_by_the_real_command(
    process: Cli, tmp_path: Path, examples: Path
) -> None:
    from sweettok_cli.video import VideoReader, VideoWriter

    with (
        VideoReader(examples / CLIP) as reader,
        VideoWriter(tmp_path / "c.mp4", 64, 64, reader.info.rate) as writer,
    ):
        for frame in reader:
            writer.write(np.ascontiguousarray(frame.rgb[96:160, 200:264]))
    ran = process("eval", "c.mp4", "--model", "sweettok-small", "--json", "--quiet", check_code=0)
    record = json.loads(ran.out)
    assert record["model"] == "sweettok-small"
    assert record["frames"] == 20
    assert record["psnr"] > 10
    assert record["clip_256"]["kbit"] <= 46
    assert len(record["weights_sha256"]) == 64
