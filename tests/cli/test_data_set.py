"""Data sets on the command line: what is said, printed, counted, and how far it is."""

from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from stage import Clock, Terminal
from video import torture

from sweettok_cli.cli import dataset
from sweettok_cli.cli.dataset import DataSetProgress, devices_of
from sweettok_cli.cli.output import Output
from sweettok_cli.pipeline.batch import Result
from sweettok_cli.tokens import read_meta
from sweettok_cli.video import write_image

Cli = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, blocks: list[BlockTokenizer]) -> Path:
    """Three pictures, and a text that says it is a fourth."""
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        write_image(tmp_path / "in" / f"{name}.png", np.full((16, 16, 3), ord(name), np.uint8))
    (tmp_path / "in" / "d.png").write_text("text")
    return tmp_path / "in"


def test_the_same_command_goes_on_and_fails_as_long_as_anything_does(
    cli: Cli, blocks: list[BlockTokenizer], folder: Path
) -> None:
    out = folder.parent / "out"
    command = "encode", folder, "-o", out, "--model", "blocks"
    ran = cli(*command, "--json")
    data = json.loads(ran.out)
    assert ran.code == 1 and [len(data[name]) for name in ("encoded", "skipped", "failed")] == [3, 0, 1]
    assert data["manifest"] == str(out / "manifest.jsonl")
    assert data["failed"][0]["source"] == str(folder / "d.png")
    again = cli(*command)
    assert (again.code, again.out) == (1, "") and "0 encoded, 3 skipped, 1 failed" in again.err
    assert "--retry-failed tries again" in again.err and len(blocks) == 1
    write_image(folder / "d.png", np.zeros((16, 16, 3), np.uint8), force=True)
    assert cli(*command).code == 0
    (folder / "d.png").write_text("text again")
    assert cli(*command).code == 1
    assert cli(*command, "--retry-failed").code == 1 and len(blocks) == 4
    ran = cli("encode", folder, "-o", out, "--model", "blocks", "--overlap", "3")
    assert ran.code == 1 and len(ran.err.splitlines()) == 1 and "--force" in ran.err


def test_a_part_says_which_it_is_and_others_do_the_rest(cli: Cli, folder: Path) -> None:
    (folder / "d.png").unlink()
    out = folder.parent / "out"
    counts = []
    for part in ("1/2", "2/2"):
        ran = cli("encode", folder, "-o", out, "--model", "blocks", "--shard", part, "--json")
        assert ran.code == 0 and f"Part {part} of the data set." in ran.err
        data = json.loads(ran.out)
        counts.append(len(data["encoded"]))
        assert Path(data["manifest"]).name == f"manifest-{part.replace('/', '-of-')}.jsonl"
    assert sum(counts) == 3 and len(list(out.glob("*.npz"))) == 3


def test_without_pyarrow_the_lines_stay_and_a_sentence_says_so(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "d.png").unlink()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    out = folder.parent / "out"
    ran = cli("encode", folder, "-o", out, "--model", "blocks")
    assert ran.code == 0 and "only manifest.jsonl: Parquet needs pyarrow" in ran.err
    assert [path.name for path in out.iterdir() if path.suffix != ".npz"] == ["manifest.jsonl"]


def test_a_part_of_a_launch_does_not_end_the_others(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = ""
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        ran = cli("encode", folder, "-o", folder.parent / "out", "--model", "blocks")
        assert ran.code == 0
        said += ran.err
    assert said.count("0 encoded") < 2 and said.count("1 failed") == 1
    assert said.count("The exit code is 0 all the same") == 1
    assert cli("encode", folder, "-o", folder.parent / "out", "--model", "blocks", "--shard", "1/1").code == 1


@pytest.mark.parametrize(
    "given", [["--shard", "1/2"], ["--workers", "2"], ["--retry-failed"], ["--engine", "ray"]]
)
def test_options_of_data_sets_are_of_data_sets(cli: Cli, folder: Path, given: list[str]) -> None:
    for command in ([folder], [folder / "a.png", "-o", folder.parent / "out/"]):
        ran = cli("encode", *command, "--model", "blocks", *given)
        assert ran.code == 2 and f"{given[0]} is of data sets; name a folder" in ran.err
    assert not (folder.parent / "out").exists()


def test_a_part_that_is_none_is_wrong_usage(cli: Cli, folder: Path) -> None:
    for part, said in (
        ("3/2", "3/2 is no part; the first is 1/2, the last 2/2."),
        ("0/2", "0/2 is no part; the first is 1/2, the last 2/2."),
        ("1/0", "1/0 is no part: there are 1 to 1000000 of them"),
        ("1/1000001", "1/1000001 is no part: there are 1 to 1000000 of them"),
        ("half", "--shard half is no part; give for example 2/8"),
    ):
        ran = cli("encode", folder, "-o", folder.parent / "out", "--model", "blocks", "--shard", part)
        assert ran.code == 2 and len(ran.err.splitlines()) == 1 and said in ran.err
    assert not (folder.parent / "out").exists()


def test_what_cannot_be_written_into_is_said(cli: Cli, folder: Path, blocks: list[BlockTokenizer]) -> None:
    (folder.parent / "file.npz").write_bytes(b"mine")
    for into, code, said in (
        ("file.npz", 2, "file.npz is a file; give a folder with -o."),
        ("file.npz/", 2, "file.npz is a file; give a folder with -o."),
        ("new.npz", 2, "new.npz names one file, and there may be several"),
        ("file.npz/below", 1, "cannot be made (Not a directory); choose another with -o."),
    ):
        ran = cli("encode", folder, "-o", f"{folder.parent}/{into}", "--model", "blocks")
        assert ran.code == code and said in ran.err and len(ran.err.splitlines()) == 1
    assert (folder.parent / "file.npz").read_bytes() == b"mine" and not blocks


def test_a_tar_file_that_is_missing_makes_no_folder(
    cli: Cli, folder: Path, blocks: list[BlockTokenizer]
) -> None:
    out = folder.parent / "out"
    ran = cli("encode", folder.parent / "x.tar", "-o", out, "--model", "blocks", "--json")
    assert ran.code == 1 and "x.tar does not exist" in ran.err and not out.exists() and not blocks
    assert len(json.loads(ran.out)["failed"]) == 1


def test_an_address_of_ray_needs_ray(cli: Cli, folder: Path) -> None:
    command = "encode", folder, "-o", folder.parent / "out", "--model", "blocks", "--ray-address", "auto"
    ran = cli(*command)
    assert ran.code == 2 and "--ray-address auto is of Ray; add --engine ray." in ran.err
    assert not (folder.parent / "out").exists()


def test_without_ray_nothing_is_begun(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    out = folder.parent / "out"
    ran = cli("encode", folder, "-o", out, "--model", "blocks", "--engine", "ray")
    assert ran.code == 1 and ran.err.splitlines() == [
        "error: --engine ray needs Ray 2.60; run: pip install 'sweettok[ray]'"
    ]
    assert [path.name for path in out.iterdir()] == ["manifest.jsonl"]


def test_manifests_are_no_videos_to_be_named(cli: Cli, folder: Path) -> None:
    (folder / "d.png").unlink()
    command = "encode", folder, "-o", folder / "tokens", "--model", "blocks"
    assert cli(*command).code == 0
    ran = cli(*command)
    assert ran.code == 0 and "Left out" not in ran.err and "3 skipped" in ran.err


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(dataset, "time", made)
    return made


def test_a_line_a_minute_for_programs(
    cli: Cli, folder: Path, clock: Clock, capsys: pytest.CaptureFixture[str], clip: Path
) -> None:
    cli("encode", clip, "--model", "blocks")
    meta = read_meta(clip.with_suffix(".npz"))
    done = Result(clip, clip.with_suffix(".npz"), "done", meta=meta)
    progress = DataSetProgress(Output())
    progress.begin(4, 1000)
    clock.now += 50
    progress.over(done, 250)
    assert capsys.readouterr().err == ""  # no minute is over
    clock.now += 10
    progress.over(replace(done, status="failed", meta=None, error=ValueError()), 250)
    assert json.loads(capsys.readouterr().err) == {
        "elapsed": 60.0,
        "videos": 2,
        "of": 4,
        "failed": 1,
        "clips": 2,
        "frames": 20,
        "clips_per_second": round(2 / 60, 3),
        "frames_per_second": round(20 / 60, 2),
        "times_real_time": round(2 / 60, 3),  # two seconds of video in sixty
        "left": 60,
    }
    progress.tick()
    assert capsys.readouterr().err == ""
    assert progress.text() == "2/4 videos, 0.0 clips/s, 0.03x real time, 1 failed, 0:01:00 left"
    clock.now += 60
    DataSetProgress(Output(quiet=True)).tick()
    assert capsys.readouterr().err == ""


def test_a_bar_is_drawn_while_results_are_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn = Terminal()
    monkeypatch.setattr(sys, "stderr", drawn)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    progress = DataSetProgress(Output())
    results = [Result(tmp_path / name, None, "skipped") for name in "abc"]

    def waited() -> Any:
        progress.begin(3, 0)
        for result in results:
            progress.over(result, 0)
            yield result

    told = []
    for result in progress.watched(waited()):
        told.append(result)
        assert drawn.getvalue().rstrip("\r").endswith("\x1b[2K")  # erased before anything is said
    assert told == results and "2/3 videos" in drawn.getvalue()


def test_every_gpu_is_used_and_under_torchrun_one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert devices_of("cpu") == ["cpu"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert devices_of("auto") == devices_of("cuda") == ["cuda:0", "cuda:1", "cuda:2"]
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert devices_of("cuda") == ["cuda:1"]


def test_which_part_of_videos_is_taken_is_an_option_that_counts(
    cli: Cli, tmp_path: Path, blocks: list[BlockTokenizer]
) -> None:
    (tmp_path / "in").mkdir()
    torture.make(tmp_path / "in" / "a.mp4", frames=60)
    with tarfile.open(tmp_path / "in" / "more.tar", "w") as tar:
        tar.add(tmp_path / "in" / "a.mp4", "b.mp4")
    out = tmp_path / "out"
    command = "encode", tmp_path / "in", "-o", out, "--model", "blocks"
    part = "--start", "1", "--max-frames", "7"
    assert cli(*command, *part).code == 0
    for name in ("a.npz", "more/b.npz"):
        meta = read_meta(out / name)
        assert (meta.frames, meta.selection.max_frames) == (7, 7)
    assert cli(*command, *part).code == 0 and len(blocks) == 1  # nothing was left to do
    ran = cli(*command, "--start", "1")
    assert ran.code == 1 and "--force" in ran.err and read_meta(out / "a.npz").frames == 7
    (out / "manifest.jsonl").unlink()
    (out / "manifest.parquet").unlink()
    assert "0 encoded, 2 skipped" in cli(*command, *part, "--skip-existing").err
    (out / "manifest.jsonl").unlink()
    assert cli(*command, "--skip-existing").code == 1


def test_addresses_are_in_no_data_set(cli: Cli, folder: Path, blocks: list[BlockTokenizer]) -> None:
    (folder / "d.png").unlink()
    memory = fsspec.filesystem("memory")
    memory.pipe("/beside a data set/far.png", (folder / "a.png").read_bytes())
    out = folder.parent / "out"
    command = "encode", folder, "memory://beside a data set/far.png", "-o", out, "--model", "blocks"
    assert cli(*command, "--workers", "2").code == 2
    assert cli(*command).code == 0
    assert (out / "far.png.npz").is_file() and not list(out.glob("manifest*"))
