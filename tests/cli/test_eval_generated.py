"""``sweettok eval --generated``: what it prints, what it refuses, and what it says is missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_features import ScriptedColours
from small_run import write_clip
from small_vjepa import SMALL, save_vjepa

from sweettok_cli.files import sha256_file
from sweettok_cli.metrics.extractors import JediFeatures, ScriptedI3D

Cli = Callable[..., Any]
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``out`` has four videos of 17 frames of 64x64, ``real`` three longer and larger ones."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("out", "real"):
        (folder / name).mkdir()
    for number in range(4):
        write_clip(folder / "out" / f"video-1-{number:03d}.mp4", number, frames=17, width=64, height=64)
    for number in range(3):
        write_clip(folder / "real" / f"{number}.mp4", 9 + number, frames=20)
    return folder


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, videos: Path, without_downloads: None) -> Path:
    """A folder with small networks under the published names, taken for the published ones."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.chdir(videos)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    script = folder / "i3d_torchscript.pt"
    torch.jit.script(ScriptedColours()).save(str(script))
    monkeypatch.setattr(ScriptedI3D, "file", replace(ScriptedI3D.file, sha256=sha256_file(script)))
    monkeypatch.setattr(JediFeatures, "config", SMALL)
    save_vjepa(folder)
    return folder


GIVEN = ("eval", "--generated", "out", "--against", "real", "--protocol", "stylegan-v")


def test_the_record(cli: Cli, weights: Path) -> None:
    ran = cli(*GIVEN, "--features", weights, "--json")
    assert ran.code == 0, ran.err
    record = json.loads(ran.out)
    assert (record["format"], record["version"]) == ("sweettok-generated", 1)
    assert list(record["figures"]) == ["gfvd", "jedi"] and record["not_measured"] == {}
    for figure in record["figures"].values():
        assert figure["value"] > 0 and figure["clips"] == 4 and figure["better"] == "lower"
    assert [len(record[side]["samples"]) for side in ("generated", "real")] == [4, 3]
    protocol = record["protocol"]
    assert (protocol["samples"], protocol["frames"], protocol["seed"]) == (2048, 16, 0)
    assert record["networks"]["jedi"]["vith16.pth.tar"] == sha256_file(weights / "vith16.pth.tar")
    assert all(f"warning: {each}" in ran.err for each in record["warnings"])
    again = json.loads(cli(*GIVEN, "--features", weights, "--json").out)
    assert again["figures"] == record["figures"] and again["real"] == record["real"]


def test_the_table_says_what_the_figures_are_of(cli: Cli, weights: Path) -> None:
    ran = cli(*GIVEN, "--features", weights)
    assert ran.code == 0, ran.err
    for said in (
        "gFVD (TorchScript I3D)",
        "JEDi",
        "95 % interval",
        "2,048 samples of 16 frames of 256x256",
        "frame rate: each file's own",
        "seed 0",
        "generated: 4 samples of 4 videos of out; 64x64 (4); frames a second 25 (4), the first frames",
        f"i3d_torchscript.pt {sha256_file(weights / 'i3d_torchscript.pt')[:12]}",
        "differs from the paper: The real videos are real; the paper reports on 2,048 generated",
    ):
        assert said in " ".join(ran.out.split()), said
    assert "of 4 generated and 3 real samples is biased upward; the published figure takes 2,048" in ran.err
    assert "4 of the generated samples are smaller than the 256x256 pixels" in ran.err


def test_one_network_of_two_is_enough_and_the_other_is_named(cli: Cli, weights: Path) -> None:
    (weights / "ssv2-probe.pth.tar").unlink()
    ran = cli(*GIVEN, "--features", weights)
    assert ran.code == 0, ran.err
    assert "JEDi was not measured: ssv2-probe.pth.tar of V-JEPA must lie in a folder" in ran.out
    ran = cli(*GIVEN, "--features", weights, "--metrics", "jedi")
    assert ran.code == 1 and ran.out == ""
    assert (
        ran.err.startswith("error: JEDi cannot be measured: ssv2-probe.pth.tar of V-JEPA")
        and ran.err.count("\n") == 1
    )


def test_without_networks_the_remedy_is_said(cli: Cli, weights: Path) -> None:
    ran = cli("eval", "--generated", "out", "--against", "real")
    assert ran.code == 1 and ran.out == "" and ran.err.count("\n") == 1
    assert "i3d_pretrained_400.pt is not on this machine and nothing may be fetched; fetch https" in ran.err
    assert "--features" in ran.err


def test_a_journal_is_kept_and_gone_on_from(cli: Cli, weights: Path, tmp_path: Path) -> None:
    given = (*GIVEN, "--features", weights, "--journal", tmp_path / "kept", "--json")
    first = cli(*given)
    again = cli(*given)
    assert "7 samples were measured before" in again.err
    assert json.loads(first.out)["figures"] == json.loads(again.out)["figures"]
    assert "measured before" not in cli(*given, "--fresh").err


def test_what_is_interrupted_goes_on_without_being_asked(
    cli: Cli, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = ScriptedI3D.features, [0]

    def features(self: ScriptedI3D, clip: np.ndarray) -> np.ndarray:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return whole(self, clip)

    monkeypatch.setattr(ScriptedI3D, "features", features)
    ran = cli(*GIVEN, "--features", weights)
    assert ran.code == 130 and ran.out == ""
    assert "Interrupted; 2 samples measured and kept in" in ran.err
    assert "To go on: sweettok eval --generated out --against real" in ran.err
    ran = cli(*GIVEN, "--features", weights)
    assert ran.code == 0 and "2 samples were measured before" in ran.err and calls[0] == 3 + 5
    assert (
        "measured before" not in cli(*GIVEN, "--features", weights).err
    )  # a run that is done leaves nothing


def test_a_video_that_cannot_be_read_makes_the_exit_code_one(
    cli: Cli, weights: Path, videos: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(videos / "out", tmp_path / "some"))
    (out / "broken.mp4").write_bytes(b"no video")
    ran = cli("eval", "--generated", out, *GIVEN[3:], "--features", weights, "--json")
    assert ran.code == 1 and f"error: {out / 'broken.mp4'}" in ran.err
    record = json.loads(ran.out)
    assert [each["name"] for each in record["failed"]] == ["broken.mp4"]
    assert len(record["generated"]["samples"]) == 4


def test_one_video_is_no_set(cli: Cli, weights: Path, videos: Path) -> None:
    ran = cli("eval", "--generated", "out", "--against", "real/0.mp4", *GIVEN[5:], "--features", weights)
    assert ran.code == 0 and "gFVD (TorchScript I3D) was not measured: a covariance needs two" in ran.out
    ran = cli(*GIVEN[:4], "real/0.mp4", *GIVEN[5:], "--features", weights, "--metrics", "gfvd")
    assert ran.code == 1 and "was not measured: a covariance needs two vectors, not 1" in ran.out


def test_numbered_pictures_are_videos(cli: Cli, weights: Path, tmp_path: Path) -> None:
    from sweettok_cli.video import write_image

    for number in range(2):
        (tmp_path / "frames" / str(number)).mkdir(parents=True)
        for place in range(17):
            picture = np.full((64, 64, 3), 9 * number + place, np.uint8)
            write_image(tmp_path / "frames" / str(number) / f"{place:03d}.png", picture)
    given = ("eval", "--generated", "out", "--against", tmp_path / "frames", "--protocol", "larp")
    ran = cli(*given, "--features", weights, "--frames-of", "--fps", "12", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["real"]["rates"] == {"12": 2}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "name what to measure"),
        (("--generated", "out"), "--generated goes with --against"),
        (("--against", "real"), "--against goes with --generated"),
        (("real", "--generated", "out", "--against", "real"), "a target belongs to measuring a model"),
        ((*GIVEN[1:], "--model", "x"), "--model belongs to measuring a model; leave it out"),
        ((*GIVEN[1:], "--no-curves"), "--curves belongs to"),
        ((*GIVEN[1:], "--report", "page.html"), "--report belongs to"),
        ((*GIVEN[1:], "--keep-going", "--strict"), "--strict refuses"),
        ((*GIVEN[1:], "--fps", "12"), "--fps is the rate of numbered pictures"),
    ],
)
def test_what_does_not_go_together_is_two(cli: Cli, given: tuple[str, ...], said: str) -> None:
    ran = cli("eval", *given)
    assert ran.code == 2 and said in " ".join(ran.err.split()) and ran.out == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--protocol", "vidtok"), "There is no protocol 'vidtok' of generated videos"),
        (("--metrics", "rfvd"), "There is no metric rfvd of generated videos"),
        (("--against", "nowhere"), "nowhere does not exist"),
        (("--features", "nowhere"), "nowhere is not a folder"),
        (("--split", "test"), "--split belongs to a data set"),
    ],
)
def test_what_is_not_there_is_one(cli: Cli, weights: Path, given: tuple[str, ...], said: str) -> None:
    ran = cli(*GIVEN, *given)
    assert ran.code == 1 and said in ran.err and ran.err.count("\n") == 1
