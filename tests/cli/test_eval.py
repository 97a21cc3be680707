from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from torch import Tensor

from sweettok_cli.video import write_image

Cli = Callable[..., Any]
MODEL = ("--model", "blocks")
CLIP = "intel-iot-devkit+sample-videos__001.mp4"


@pytest.fixture
def folder(tmp_path: Path, examples: Path) -> Path:
    """A real clip and a picture."""
    root = tmp_path / "clips"
    root.mkdir()
    shutil.copy(examples / CLIP, root / "a.mp4")
    write_image(root / "b.png", np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8))
    return root


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Journals of interrupted runs lie here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_json_holds_every_figure(cli: Cli, blocks: list[BlockTokenizer], folder: Path, cache: Path) -> None:
    ran = cli("eval", folder, *MODEL, "--json", "--quiet")
    # The picture is 40 pixels high, too small for MS-SSIM: that is said, and no zero is counted.
    assert ran.code == 0 and ran.err.count("\n") == 1
    assert ran.err.startswith("warning: ms_ssim is that of 1 of 2 clips: frames of 70x40 are too small")
    record = json.loads(ran.out)
    assert (record["format"], record["version"]) == ("sweettok-eval", 1)
    assert record["command"] == f"sweettok eval {folder} --model blocks --json --quiet"
    assert datetime.fromisoformat(record["date"]).tzinfo is not None
    assert {"processor", "system", "Python", "torch", "av"} <= set(record["machine"])
    assert (record["data"]["clips"], record["data"]["frames"]) == (2, 21)
    (model,) = record["contenders"]
    assert (model["name"], model["family"]) == ("blocks", "sweettok")
    assert model["weights_sha256"] == blocks[0].spec.weights_sha256
    assert model["cost"]["clips"] == 3 and model["cost"]["clip_256"]["tokens"] == {
        "spatial": 256,
        "temporal": 1024,
    }
    summary = model["summary"]
    assert 15 < summary["psnr"]["value"] < 25 and 0.3 < summary["ssim"]["value"] < 0.9
    assert summary["psnr"]["value"] != summary["psnr"]["mean_of_clips"]
    assert summary["seam_flicker"]["value"] > 0
    assert set(model["codebooks"]) == {"adjectives", "nouns", "adverbs", "verbs"}
    assert [clip["name"] for clip in record["clips"]] == ["a.mp4", "b.png"]
    assert record["failed"] == [] and record["protocol"]["name"] == "default"
    assert "ms_ssim" not in record["clips"][1]["scores"]["blocks"]
    assert ran.err == f"warning: {model['warnings'][0]}\n"
    assert list((cache / "sweettok" / "eval").iterdir()) == []


def test_a_table_for_people(cli: Cli, blocks: list[BlockTokenizer], folder: Path) -> None:
    ran = cli("eval", folder, *MODEL)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert any(line.split()[:3] == ["a.mp4", "454x256", "20"] for line in lines)
    assert any(line.startswith("PSNR ") and " dB, " in line and "mean of files" in line for line in lines)
    assert any("256 + 1024 tokens (3840 indices" in line for line in lines)
    assert "\x1b" not in ran.out  # no colours where nobody watches

    lines = cli("eval", folder, *MODEL, "--baseline", "x264", "--no-curves").out.splitlines()
    assert any(line.split() == ["blocks", "x264"] for line in lines)
    assert any(line.strip().startswith("SSIM ") and line.count("[") == 2 for line in lines)
    assert ["metric", "A", "B", "A", "-", "B", "95", "%", "interval"] in [line.split() for line in lines]
    assert any(line.split()[:3] == ["SSIM", "blocks", "x264"] and "[-" in line for line in lines)


def test_what_cannot_be_measured_is_said_with_the_reason(
    cli: Cli, blocks: list[BlockTokenizer], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    empty = folder.parent / "features"
    empty.mkdir()
    options = ("--protocol", "sweettok", "--features", empty)
    record = json.loads(cli("eval", folder, *MODEL, *options, "--json").out)
    reasons = record["contenders"][0]["not_measured"]
    assert "rfvd_400" not in record["contenders"][0]["summary"]
    assert "i3d_pretrained_400.pt is not on this machine" in reasons["rfvd_400"]
    assert record["clips"][0]["frames"] == 17 and record["clips"][0]["width"] == 256
    assert blocks[-1].truncate
    differs = record["protocol"]["differs_from_paper"]
    assert "The data are clips" in differs[0] and len(differs) > 2
    shown = cli("eval", folder, *MODEL, *options)
    assert "rFVD (ported I3D) of blocks was not measured: i3d_pretrained_400.pt" in shown.out
    assert "differs from the paper: The data are clips" in shown.out


def test_tables_for_other_programs_and_papers_are_written_once(
    cli: Cli, blocks: list[BlockTokenizer], folder: Path
) -> None:
    table, paper = folder.parent / "score.csv", folder.parent / "score.md"
    record = json.loads(cli("eval", folder, *MODEL, "--csv", table, "--markdown", paper, "--json").out)
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["name"], row["contender"]) for row in rows] == [("a.mp4", "blocks"), ("b.png", "blocks")]
    assert float(rows[0]["psnr"]) == record["clips"][0]["scores"]["blocks"]["psnr"]
    assert rows[1]["seam_flicker"] == ""
    text = paper.read_text()
    psnr = record["contenders"][0]["summary"]["psnr"]
    assert f"| blocks | {psnr['value']:.2f} [{psnr['low']:.2f}, {psnr['high']:.2f}] |" in text
    assert "PSNR (dB) \u2191" in text and psnr["definition"] in text and "95% percentile bootstrap" in text
    blocks.clear()
    for option, path in (("--csv", table), ("--markdown", paper)):
        ran = cli("eval", folder, *MODEL, option, path)
        assert ran.code == 1
        assert "--force" in ran.err
    assert blocks == []  # refused before any work
    assert cli("eval", folder, *MODEL, "--csv", table, "--force", "--limit", 1).code == 0
    assert len(table.read_text().splitlines()) == 2


def test_a_page_for_a_browser_is_written(cli: Cli, blocks: list[BlockTokenizer], folder: Path) -> None:
    page = folder.parent / "report.html"
    ran = cli("eval", folder, *MODEL, "--metrics", "psnr,ssim", "--report", page, "--quiet")
    assert ran.code == 0, ran.err
    assert "a.mp4" in page.read_text(encoding="utf-8")
    assert "--force" in cli("eval", folder, *MODEL, "--report", page).err
    assert (
        cli("eval", folder, *MODEL, "--metrics", "psnr", "--limit", 1, "--report", page, "--force").code == 0
    )


def test_several_models_are_compared_on_the_same_clips(
    cli: Cli, blocks: list[BlockTokenizer], folder: Path
) -> None:
    ran = cli("eval", folder, "--compare", "blocks,cubes", "--metrics", "psnr", "--json")
    record = json.loads(ran.out)
    assert len(blocks) == 2
    # Both models say that their name is blocks, so they go by what was typed.
    assert [each["name"] for each in record["contenders"]] == ["blocks", "cubes"]
    pairs = [(c["metric"], c["difference"], c["low"], c["high"]) for c in record["comparisons"]]
    assert pairs == [("psnr", 0, 0, 0), ("bits_per_pixel", 0, 0, 0)]


def test_a_broken_file_is_listed_and_the_rest_is_measured_and_kept(
    cli: Cli, blocks: list[BlockTokenizer], folder: Path
) -> None:
    (folder / "0.mp4").write_text("text, renamed")
    ran = cli("eval", folder, *MODEL, "--json", "--quiet", "--metrics", "psnr")
    assert ran.code == 1
    record = json.loads(ran.out)
    assert record["data"]["clips"] == 2
    assert [failure["name"] for failure in record["failed"]] == ["0.mp4"]
    assert ran.err.startswith("error: ") and "0.mp4" in ran.err
    shown = cli("eval", folder, *MODEL, "--metrics", "psnr")
    assert shown.code == 1
    assert "2 files (1 failed)" in shown.out
    assert "2 of 3 clips were measured before" in shown.err and blocks[-1].batches == []
    assert "measured before" not in cli("eval", folder, *MODEL, "--metrics", "psnr", "--fresh").err
    assert blocks[-1].batches != []


def test_an_interrupted_run_goes_on(
    cli: Cli, blocks: list[BlockTokenizer], folder: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    whole = json.loads(cli("eval", folder, *MODEL, "--json").out)
    twin = shutil.copytree(folder, folder.parent / "twin" / "clips")

    def interrupted(self: BlockTokenizer, clips: Tensor) -> dict[str, Tensor]:
        if clips.shape[1] == 1:
            raise KeyboardInterrupt
        return encode(self, clips)

    encode = BlockTokenizer.encode_batch
    with monkeypatch.context() as patch:
        patch.setattr(BlockTokenizer, "encode_batch", interrupted)
        ran = cli("eval", folder, *MODEL, "--fresh")
    assert ran.code == 130 and ran.out == ""
    (kept,) = (path for path in (cache / "sweettok" / "eval").iterdir() if path.is_dir())
    assert f"Interrupted; 1 of 2 clips are measured and kept in {kept}." in ran.err
    # --fresh would forget what is kept.
    assert ran.err.endswith(f"To go on: sweettok eval {folder} --model blocks\n")
    # Another folder, with files of the same names, is another measurement and throws nothing away.
    ran = cli("eval", twin, *MODEL)
    assert ran.code == 0 and "measured before" not in ran.err and kept.is_dir()
    # What comes into a folder leaves the others measured.
    write_image(folder / "c.png", np.zeros((40, 70, 3), np.uint8))
    with monkeypatch.context() as patch:
        patch.setattr(BlockTokenizer, "encode_batch", interrupted)
        assert "1 of 3 clips were measured before" in cli("eval", folder, *MODEL).err
    (folder / "c.png").unlink()
    ran = cli("eval", folder, *MODEL, "--json")
    assert "1 of 2 clips were measured before" in ran.err
    resumed = json.loads(ran.out)
    for record in (whole, resumed):
        del record["date"]
        for each in record["contenders"]:
            del each["seconds"]
        for clip in record["clips"]:
            del clip["scores"]["blocks"]["seconds"]
    assert resumed == whole
    assert list((cache / "sweettok" / "eval").iterdir()) == []


def test_two_folders_are_measured_at_once_and_one_folder_is_not(
    cli: Cli, blocks: list[BlockTokenizer], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = shutil.copytree(folder, folder.parent / "twin" / "clips")
    (folder.parent / "other").symlink_to(folder)
    others, inside = [twin, folder, folder.parent / "other"], []
    encode, common = BlockTokenizer.encode_batch, (*MODEL, "--metrics", "psnr", "--limit", 1, "--quiet")

    def measure_more(self: BlockTokenizer, clips: Tensor) -> dict[str, Tensor]:
        waiting = others.copy()
        others.clear()
        for each in waiting:  # while the first is under way
            inside.append(cli("eval", each, *common))
        return encode(self, clips)

    monkeypatch.setattr(BlockTokenizer, "encode_batch", measure_more)
    assert cli("eval", folder, *common).code == 0
    assert [ran.code for ran in inside] == [0, 0, 0] and inside[0].err == ""
    # The same folder, by whatever name: measured too, and not into the other's journal.
    assert all("measurement is running already and keeps its journal" in ran.err for ran in inside[1:])
    others.append(folder)
    assert cli("eval", folder, *common, "--journal", folder.parent / "kept", "--fresh").code == 0
    assert inside[-1].code == 0 and inside[-1].err == ""


def test_an_interrupted_run_without_a_journal_says_that_it_is_lost(
    cli: Cli, blocks: list[BlockTokenizer], folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: BlockTokenizer, clips: Tensor) -> dict[str, Tensor]:
        raise KeyboardInterrupt

    cache.write_text("no folder")
    monkeypatch.setattr(BlockTokenizer, "encode_batch", interrupted)
    ran = cli("eval", folder, *MODEL)
    assert ran.code == 130
    assert "Interrupted; 0 of 2 clips are measured, and lost: no journal could be written." in ran.err


def test_pictures_cost_what_one_picture_costs(cli: Cli, blocks: list[BlockTokenizer], folder: Path) -> None:
    ran = cli("eval", folder / "b.png", *MODEL, "--metrics", "psnr")
    assert "cost  256 + 0 tokens (768 indices, 6.14 kbit) for 1 frame of 256x256" in ran.out
    assert "bits per pixel\n" in ran.out  # and no bits a second
    ran = cli("eval", folder, *MODEL, "--metrics", "psnr")
    assert "256 + 1024 tokens (3840 indices" in ran.out and "for 17 frames of" in ran.out


def test_a_name_that_is_no_text_does_not_end_the_run(
    cli: Cli, blocks: list[BlockTokenizer], folder: Path
) -> None:
    names = sorted(["=1.png", "a|b.png", "line\nend\x1b[2J.png", os.fsdecode(b"caf\xe9.png")])
    odd = folder.parent / "o|d\nd"
    odd.mkdir()
    for name in names:
        shutil.copy(folder / "b.png", odd / name)
    table, paper = folder.parent / "score.csv", folder.parent / "score.md"
    ran = cli("eval", odd, *MODEL, "--metrics", "psnr", "--csv", table, "--markdown", paper, "--json")
    assert ran.code == 0, ran.err
    assert sorted(clip["name"] for clip in json.loads(ran.out)["clips"]) == names
    assert len(table.read_text(encoding="utf-8").splitlines()) == 1 + len(names)
    assert "o\\|d\\\\x0ad: 4 clips" in paper.read_text(encoding="utf-8")


def test_a_journal_of_ones_own_is_kept(cli: Cli, blocks: list[BlockTokenizer], folder: Path) -> None:
    kept = folder.parent / "kept"
    first = json.loads(cli("eval", folder, *MODEL, "--journal", kept, "--json", "--quiet").out)
    second = json.loads(cli("eval", folder, *MODEL, "--journal", kept, "--json", "--quiet").out)
    assert first == {**second, "date": first["date"]} and blocks[-1].batches == []


def test_wrong_choices_are_one_sentence_before_any_work(
    cli: Cli, blocks: list[BlockTokenizer], folder: Path
) -> None:
    for arguments, words in (
        (("ucf101",), "testlist01.txt"),
        (("ucf101", "--data", folder), "download UCF101.rar"),
        ((folder, "--data", folder), "belongs to a data set"),
        ((folder, "--protocol", "tats"), "choose from default"),
        ((folder, "--baseline", "x266"), "x264"),
        ((folder.parent / "nothing",), "does not exist"),
    ):
        ran = cli("eval", *arguments)
        assert ran.code == 1 and words in ran.err and ran.err.count("\n") == 1, arguments
    assert blocks == []
    assert "no metric fvd" in cli("eval", folder, *MODEL, "--metrics", "fvd").err
    assert "is not a folder" in cli("eval", folder, *MODEL, "--features", folder / "none").err


def test_wrong_usage_is_two(cli: Cli, folder: Path) -> None:
    assert cli("eval").code == 2
    assert cli("eval", folder, *MODEL, "--limit", 0).code == 2


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
    (model,) = record["contenders"]
    assert model["name"] == "sweettok-small"
    assert record["data"]["frames"] == 20
    assert model["summary"]["psnr"]["value"] > 10
    clips = 2 / 16  # of 64x64 pixels, in clips of 256x256
    assert 40_000 * clips < model["cost"]["bits"] <= 45_234.3 * clips
    assert len(model["weights_sha256"]) == 64
    assert all(each["word"] for words in model["codebooks"].values() for each in words["top"])
