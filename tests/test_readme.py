"""Every command and every Python block of the README runs, in order, section by section.

What a section needs lies in its working folder. Where a command would take minutes or a network, a small
stand-in takes the place of what it works on (``STAND_INS``); `make` and `pip` lines are held against files
that they name.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")

#: What is put behind a command that begins so: a smaller job of the same kind.
STAND_INS = {
    "sweettok codebook build": "--llm language-model --dim 4 --adjectives 4 --nouns 4 --adverbs 2 --verbs 4",
    "sweettok train --stage 2 --data clips/ --prior": (
        "--set steps=1 --set crop=[[64,2,1.0]] --set init_samples=0 --set model.search=0"
    ),
    "sweettok recognise clip.mp4 --shots shots/ --llm Qwen": "--llm causal-model",
    "sweettok train --config generator-small": (
        "--set steps=1 --set crop=[[64,2,1.0]] --set model.layers=1 --set model.width=32 --set model.heads=2"
    ),
    "sweettok train --out": "--set steps=2",
    "sweettok train --stage 2 --data clips/ --init": "--set steps=1 --set crop=[[64,2,1.0]]",
}


def sections() -> dict[str, list[str]]:
    """The indented command lines of each section, by its title."""
    found: dict[str, list[str]] = {}
    title = ""
    for line in TEXT.splitlines():
        if line.startswith("#"):
            title = line.lstrip("# ")
        elif re.match(r"    (sweettok|make|pip|accelerate)\b(?!/)", line):
            found.setdefault(title, []).append(line.strip())
    return found


SHELL = {title: lines for title, lines in sections().items() if any(x.startswith("sweettok") for x in lines)}


def blocks() -> dict[str, list[str]]:
    """The Python blocks of each section, by its title."""
    found: dict[str, list[str]] = {}
    title = ""
    for heading, block in re.findall(r"^#+ (.*?)$|^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        title = heading.strip() or title
        if block:
            found.setdefault(title, []).append(block)
    return found


BLOCKS = blocks()
PYTHON = [block for title, each in BLOCKS.items() if title not in SHELL for block in each]


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the README's commands work on, under the names that it gives them."""
    import torch
    from causal_model import save_causal_model
    from codebook.conftest import save_language_model, write_wordnet
    from published_files import omnitokenizer_settings, save_lightning
    from small_models import save_vidtok
    from small_network import small_network, word_prior
    from small_run import write_clip

    from sweettok_cli.models.sweettok.folder import save_model_folder
    from sweettok_cli.models.sweettok.network import grown
    from sweettok_cli.video.images import write_image

    folder = tmp_path_factory.mktemp("shelf")
    for number, name in enumerate(("clip", "videos/a", "videos/b", "clips/c", "clips/d", "held-out/e")):
        (folder / name).parent.mkdir(exist_ok=True)
        write_clip(folder / f"{name}.mp4", number, frames=6 if "videos" in name else 20, width=96, height=64)
    (folder / "clips-64").mkdir()
    write_clip(folder / "clips-64" / "f.mp4", 9, frames=34, width=64, height=64)
    photo = np.random.default_rng(9).integers(0, 255, (64, 80, 3), dtype=np.uint8)
    write_image(folder / "photo.jpg", photo)
    ucf = folder / "UCF101"
    (ucf / "UCF-101" / "YoYo").mkdir(parents=True)
    shutil.copy(folder / "clip.mp4", ucf / "UCF-101" / "YoYo" / "v_YoYo_g01_c01.avi")
    (ucf / "UCF-101" / "Diving").mkdir()
    shutil.copy(folder / "held-out" / "e.mp4", ucf / "UCF-101" / "Diving" / "v_Diving_g01_c01.avi")
    (ucf / "ucfTrainTestlist").mkdir()
    (ucf / "ucfTrainTestlist" / "testlist01.txt").write_text("YoYo/v_YoYo_g01_c01.avi\n")
    save_model_folder(folder / "runs" / "mine" / "model", small_network(), word_prior())
    detailed = grown(small_network(), word_prior(), levels=2)
    save_model_folder(folder / "runs" / "levels" / "model", detailed, word_prior())
    write_wordnet(folder / "DIR")
    save_language_model(folder / "language-model")
    save_causal_model(folder / "causal-model", longest=1 << 15)
    for number in range(4):
        clip = folder / "shots" / ("Biking", "YoYo")[number % 2] / f"v_{number}_g0{number}_c01.mp4"
        clip.parent.mkdir(parents=True, exist_ok=True)
        write_clip(clip, number % 2, frames=17, width=64, height=64)
    keys = json.loads((ROOT / "tests" / "golden" / "omni" / "keys.json").read_text())
    state = {name: torch.zeros(spec["shape"]) for name, spec in keys.items()}
    save_lightning(folder / "imagenet_ucf.ckpt", state, omnitokenizer_settings())
    (folder / "weights").mkdir()  # of feature networks: none is there, and the figures say so
    store = folder / "store"
    store.mkdir()
    save_vidtok(store / "vidtok-fsq-causal-488-32768", "vidtok-fsq-causal", "vidtok-fsq-causal-488-32768")
    save_vidtok(store / "vidtok-kl-causal-488-16chn", "vidtok-kl-causal", "vidtok-kl-causal-488-16chn")
    return folder


@pytest.fixture
def place(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with all of it, and a Hub that holds what OWNER/REPO stands for."""
    from small_network import small_network, word_prior
    from zoo.hub_server import HubServer

    from sweettok_cli.models.sweettok.folder import save_model_folder

    shutil.copytree(shelf, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("SWEETTOK_HOME", str(tmp_path / "here" / "store"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    save_model_folder(tmp_path / "pushed", small_network(), word_prior())
    with HubServer() as hub:
        files = {file.name: file.read_bytes() for file in (tmp_path / "pushed").iterdir()}
        hub.add("OWNER/REPO", files)
        hub.repositories["OWNER/REPO"].commit(files, "revision")
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield tmp_path / "here"


def run(line: str) -> None:
    """One command line of the README, in this process; fails unless it ends well."""
    from sweettok_cli.cli.app import main

    behind = next((more for start, more in STAND_INS.items() if line.startswith(start)), "")
    words = shlex.split(line, comments=True)
    target = None
    if ">" in words:
        words, target = words[: words.index(">")], words[-1]
    sys.argv = [*words, *shlex.split(behind)]
    out = open(target, "w") if target else contextlib.nullcontext(sys.stdout)  # noqa: SIM115
    with pytest.raises(SystemExit) as ended, out as stream, contextlib.redirect_stdout(stream):
        main()
    assert not ended.value.code, line


@pytest.mark.parametrize("title", SHELL)
def test_commands_run_as_written(title: str, place: Path) -> None:
    for line in SHELL[title]:
        if line.startswith("pip "):
            check_install(line)
        elif line.startswith("sweettok models pull OWNER"):  # the Hub's address is read when a process starts
            done = subprocess.run(
                [sys.executable, "-m", "sweettok_cli", *shlex.split(line, comments=True)[1:]],
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
        else:
            run(line)
        assert_made(line)
    for block in BLOCKS.get(title, []):  # on what the commands have made
        known: dict[str, Any] = {}
        exec(compile(block, "README.md", "exec"), known)
        if title == "Shards":
            assert known["batch"]["ids"].shape == (2, 3 + 3 * (32 + 128))


def test_from_videos_to_a_batch_takes_less_than_ten_lines() -> None:
    (block,) = BLOCKS["Shards"]
    assert len(SHELL["Shards"] + block.strip().split("\n")) < 10


def assert_made(line: str) -> None:
    """The README says behind some commands what they leave: it is there."""
    for name in re.findall(r"# -> ([\w.]+\.\w+)", line) + re.findall(
        r"(?:--report|--markdown|--csv|--video) (\S+)", line
    ):
        assert Path(name).stat().st_size, f"{line}: no {name}"


def check_install(line: str) -> None:
    """What `pip install` names exists: extras of this package, or a package the documentation names."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in re.findall(r"\.\[([\w,]+)\]", line):
        assert set(name.split(",")) <= set(extras)


def test_set_up_names_what_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    lines = sections()["Start"]
    assert [line.split()[1] for line in lines if line.startswith("make")] == ["demo", "test"]
    for line in lines:
        if line.startswith("make"):
            assert f"\n{line.split()[1]}:" in makefile
        else:
            check_install(line)
    for path in re.findall(r"`(?:pip install -c )?([\w/]+\.(?:txt|py))[ `]", TEXT) + re.findall(
        r"\]\(([\w/.-]+)\)", TEXT
    ):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("block", PYTHON, ids=range(len(PYTHON)))
def test_python_blocks_run(block: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants
    from zoo.hub_server import take_the_place

    take_the_place(os.environ["HF_ENDPOINT"], monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place / "cache"))
    video = np.random.default_rng(0).integers(0, 255, (20, 64, 80, 3), dtype=np.uint8)
    clips = np.random.default_rng(1).integers(0, 255, (2, 17, 64, 64, 3), dtype=np.uint8)
    exec(compile(block, "README.md", "exec"), {"video": video, "clips": clips})
