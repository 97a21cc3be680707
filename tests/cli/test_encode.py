from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from video import torture

from sweettok_cli.tokens import read_tokens
from sweettok_cli.video import write_image

Cli = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, clip: Path) -> Path:
    """Two good files in a tree, a broken one between them."""
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    clip.rename(root / "a.mp4")
    (root / "b.mp4").write_text("text, renamed")
    write_image(root / "sub" / "c.png", np.full((40, 70, 3), 99, np.uint8))
    return root


def test_a_clip_becomes_a_token_file(cli: Cli, model_folder: Path, clip: Path) -> None:
    ran = cli("encode", clip, "--model", model_folder)
    target = clip.with_suffix(".npz")
    assert ran.code == 0
    assert ran.out == f"{target}\n"
    assert "20 frames, 2 clips" in ran.err
    tokens = read_tokens(target)
    assert (tokens.meta.source, tokens.meta.frames, tokens.meta.width) == ("clip.mp4", 20, 112)
    assert tokens.meta.padded_width == 128


def test_json_is_one_object(cli: Cli, model_folder: Path, clip: Path) -> None:
    ran = cli("encode", clip, "--model", model_folder, "-o", clip.parent / "t.npz", "--json", "--quiet")
    assert ran.err == ""
    (record,) = json.loads(ran.out)["encoded"]
    assert record["tokens"] == 2 * 80 * 2
    assert record["indices"] == 3 * record["tokens"]
    assert record["file_bytes"] == (clip.parent / "t.npz").stat().st_size


def test_nothing_is_overwritten_unasked(cli: Cli, model_folder: Path, clip: Path) -> None:
    target = clip.with_suffix(".npz")
    target.write_text("mine")
    # No model is looked for where nothing can be written.
    ran = cli("encode", clip, "--model", "unheard-of")
    assert ran.code == 1
    assert "--force" in ran.err
    assert target.read_text() == "mine"
    assert cli("encode", clip, "--model", model_folder, "--force").code == 0
    assert read_tokens(target).meta.frames == 20


def test_options_reach_the_model(cli: Cli, model_folder: Path, clip: Path) -> None:
    assert cli("encode", clip, "--model", model_folder, "--overlap", "12", "--batch-clips", "1").code == 0
    assert read_tokens(clip.with_suffix(".npz")).meta.overlap == 12
    ran = cli("encode", clip, "--model", "unheard-of", "--force")
    assert ran.code == 1 and ran.err.startswith("error: There is no model 'unheard-of'")


def test_a_batch_loses_nothing(cli: Cli, model_folder: Path, folder: Path) -> None:
    out = folder.parent / "out"
    ran = cli("encode", folder, "--model", model_folder, "-o", out, "--json")
    assert ran.code == 1
    summary = json.loads(ran.out)
    assert [Path(record["output"]) for record in summary["encoded"]] == [
        out / "a.npz",
        out / "sub" / "c.png.npz",
    ]
    assert [record["source"] for record in summary["failed"]] == [str(folder / "b.mp4")]
    assert "2 encoded, 0 skipped, 1 failed" in ran.err
    assert sorted(path.name for path in out.rglob("*.npz")) == ["a.npz", "c.png.npz"]
    assert read_tokens(out / "sub" / "c.png.npz").meta.image


def test_a_batch_resumes(cli: Cli, model_folder: Path, folder: Path) -> None:
    (folder / "b.mp4").unlink()
    assert cli("encode", folder, "--model", model_folder, "--quiet").code == 0
    before = (folder / "a.npz").stat().st_mtime_ns
    again = cli("encode", folder, "--model", model_folder)
    assert again.code == 1
    assert again.err.count("exists") == 2
    shutil.copy(folder / "a.mp4", folder / "d.mp4")
    ran = cli("encode", folder, "--model", model_folder, "--skip-existing")
    assert (ran.code, ran.out) == (0, f"{folder / 'd.npz'}\n")
    assert "1 encoded, 2 skipped, 0 failed" in ran.err
    assert (folder / "a.npz").stat().st_mtime_ns == before


def test_force_with_skip_does_again_only_what_changed(cli: Cli, folder: Path, model_folder: Path) -> None:
    (folder / "b.mp4").unlink()
    again = "encode", folder, "--model", model_folder, "--skip-existing"
    assert cli(*again).code == 0
    (folder / "a.npz").write_bytes(b"")
    ran = cli(*again)
    assert ran.code == 1 and "a.npz is empty" in ran.err and "--force" in ran.err
    ran = cli(*again, "--force")
    assert ran.code == 0 and "1 encoded, 1 skipped, 0 failed" in ran.err


def test_what_a_folder_holds_beside_is_named(cli: Cli, folder: Path, model_folder: Path) -> None:
    (folder / "notes.txt").write_text("notes")
    (folder / "b.mp4").unlink()
    ran = cli("encode", folder, "--model", model_folder)
    assert ran.code == 0 and "Left out, being no videos or pictures by their names: notes.txt." in ran.err


@pytest.mark.parametrize("content", [b"", b"just text", b"\0" * 5000])
def test_what_is_no_video_ends_in_one_sentence(
    cli: Cli, model_folder: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "bad.mp4").write_bytes(content)
    ran = cli("encode", tmp_path / "bad.mp4", "--model", model_folder)
    assert ran.code == 1
    assert ran.err.startswith("error: ")
    assert len(ran.err.splitlines()) == 1
    assert "bad.mp4" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.mp4"]


def test_losses_are_counted_refused_or_taken(
    cli: Cli, model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clusters = {"cluster_time_limit": "400"}
    lost = torture.make(tmp_path / "lost.mkv", frames=60, options={"g": "10"}, container=clusters)
    torture.scribble(lost, 0.5, 600)
    cut = torture.cut_short(torture.make(tmp_path / "cut.mkv", frames=60), 0.7)
    command = "encode", lost, cut, "-o", tmp_path / "out", "--model", model_folder, "--json", "--force"
    ran = cli(*command)
    summary = json.loads(ran.out)
    assert ran.code == 1 and [Path(r["source"]).name for r in summary["failed"]] == ["cut.mkv"]
    (record,) = summary["encoded"]
    assert record["lost"]["frames"] > 5 and record["lost"]["gaps"][0]["seconds"] > 0.1
    assert "lost.mkv: there are no frames from" in caplog.text

    ran = cli(*command, "--strict")
    assert ran.code == 1 and len(json.loads(ran.out)["failed"]) == 2 and "--strict" in ran.err

    ran = cli(*command, "--keep-going")
    taken = {Path(record["source"]).name: record for record in json.loads(ran.out)["encoded"]}
    assert ran.code == 0 and 0 < taken["cut.mkv"]["frames"] < 60
    assert taken["cut.mkv"]["lost"]["end"] == taken["cut.mkv"]["frames"] / 25
    assert cli(*command, "--keep-going", "--strict").code == 2


def test_high_dynamic_range_is_said_once(cli: Cli, model_folder: Path, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        torture.high_dynamic_range(tmp_path / name, frames=2)
    ran = cli("encode", tmp_path, "--model", model_folder, "--json")
    assert ran.code == 0 and ran.err.count("not tone-mapped") == 1
    assert all("PQ" in record["flattened"][0] for record in json.loads(ran.out)["encoded"])
