"""Sources of which something is missing, and the options about them, which mean the same in every command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from video import torture

from sweettok_cli.video import write_image

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames in its middle are missing."""
    path = tmp_path_factory.mktemp("lost") / "lost.mkv"
    torture.make(path, frames=60, options={"g": "10"}, container={"cluster_time_limit": "400"})
    torture.scribble(path, 0.5, 600)
    return path


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its end is missing."""
    return torture.cut_short(torture.make(tmp_path_factory.mktemp("cut") / "cut.mkv", frames=60), 0.7)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("command", ["encode", "roundtrip", "eval", "words"])
def test_what_is_missing_is_refused_or_taken(
    cli: Cli, model_folder: Path, lost: Path, cut: Path, tmp_path: Path, command: str
) -> None:
    output = {"encode": ["-o", tmp_path / "out/"], "roundtrip": ["-o", tmp_path / "out", "--force"]}

    def run(source: Path, *option: str) -> Any:
        return cli(command, source, "--model", model_folder, "--json", *output.get(command, ()), *option)

    assert run(lost).code == 0
    for path in (tmp_path / "out").glob("*.npz"):
        path.unlink()
    ran = run(lost, "--strict")
    assert ran.code == 1 and "is not whole: " in ran.err and "leave out --strict" in ran.err
    assert run(cut, "--keep-going").code == 0
    for path in (tmp_path / "out").glob("*.npz"):
        path.unlink()
    ran = run(cut)
    assert ran.code == 1 and "is cut short: " in ran.err and "with --keep-going" in ran.err
    assert run(cut, "--keep-going", "--strict").code == 2


def test_a_protocol_that_takes_some_frames_looks_at_all_where_it_is_strict(
    cli: Cli, model_folder: Path, lost: Path, tmp_path: Path
) -> None:
    """And the order of the runs changes nothing: what one has measured is not the other's."""
    command = "eval", lost, "--model", model_folder, "--protocol", "larp", "--metrics", "psnr"
    journal = "--journal", tmp_path / "journal", "--json"
    for option, code in ((), 0), (("--strict",), 1), ((), 0):
        ran = cli(*command, *journal, *option)
        assert ran.code == code and len(json.loads(ran.out)["failed"]) == code


def test_numbered_pictures_with_one_missing(cli: Cli, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shots").mkdir()
    for number in (1, 2, 4):
        write_image(tmp_path / "shots" / f"{number}.png", np.zeros((16, 16, 3), np.uint8))
    for command in ("encode", "roundtrip", "eval"):
        given = command, tmp_path / "shots", "--frames-of", "--model", model_folder, "--quiet"
        assert cli(*given).code == 0
        ran = cli(*given, "--strict", *["--force"] * (command != "eval"))
        assert ran.code == 1 and "leave out --strict" in ran.err
