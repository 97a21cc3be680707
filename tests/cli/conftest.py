"""The command line run in this process, with a tokenizer that needs no weights, and as a process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from ragged_tokenizer import RaggedTokenizer
from small_levels import levelled
from small_network import word_prior

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.folder import save_model_folder
from sweettok_cli.video import VideoReader, VideoWriter


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit code, its data and its talk."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """``cli("encode", path)``: `sweettok encode path`, without the cost of a new process."""

    def run(*arguments: object) -> Ran:
        from sweettok_cli.cli.app import main

        monkeypatch.setattr(sys, "argv", ["sweettok", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            main()
        captured = capsys.readouterr()
        return Ran(int(exit_info.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def small_clip(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An example, smaller: 20 frames of 112x64, ten a second."""
    path = tmp_path_factory.mktemp("small") / "clip.mp4"
    with (
        VideoReader(examples / "intel-iot-devkit+sample-videos__001.mp4") as reader,
        VideoWriter(path, 112, 64, Fraction(10), crf=8) as writer,
    ):
        for frame in reader:
            writer.write(np.ascontiguousarray(frame.rgb[::4, ::4][:64, :112]))
    return path


@pytest.fixture
def clip(small_clip: Path, tmp_path: Path) -> Path:
    """A copy of it that outputs may lie beside."""
    return Path(shutil.copy(small_clip, tmp_path / "clip.mp4"))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with levels."""
    folder = tmp_path_factory.mktemp("models") / "levelled"
    save_model_folder(folder, levelled(), word_prior())
    return folder


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[BlockTokenizer]:
    """``blocks`` and ``cubes`` are models of a family of their own; the list holds every one that was loaded.

    Both name themselves ``blocks``. ``stairs`` is one of it with levels.
    """
    import torch

    from sweettok_cli.models.common.family import Family
    from sweettok_cli.models.registry import FAMILIES
    from sweettok_cli.storage.model_folder import ModelFolder, ModelHeader, write_model
    from sweettok_cli.tokens.layout import TokenizerSpec

    loaded: list[BlockTokenizer] = []

    def made(model: ModelFolder) -> BlockTokenizer:
        kind = RaggedTokenizer if model.header.name == "stairs" else BlockTokenizer
        return kind(weights_sha256=model.header.weights_sha256)

    def spec(model: ModelFolder) -> TokenizerSpec:
        return made(model).spec

    def load(model: ModelFolder, spec: TokenizerSpec, *_: object) -> BlockTokenizer:
        assert model.state()
        loaded.append(made(model))
        assert loaded[-1].spec == spec
        return loaded[-1]

    def convert(*_: object) -> ModelHeader:
        raise SweettokError("Blocks are not trained.")

    family = Family(
        names={"blocks": frozenset({"spatial", "temporal"})},
        kinds=("blocks",),
        spec=spec,
        load=load,
        convert=convert,
    )
    monkeypatch.setitem(FAMILIES, "blocks", family)
    monkeypatch.setenv("SWEETTOK_HOME", str(tmp_path / "store"))
    for folder, name in (("blocks", "blocks"), ("cubes", "blocks"), ("stairs", "stairs")):
        state = {"mean": torch.zeros(1)}
        write_model(tmp_path / "store" / folder, name=name, family="blocks", config={}, state=state)
    return loaded


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., Ran]:
    """``process("encode", path)``: the real command in a process of its own, run in ``tmp_path``."""

    def run(*arguments: object, env: dict[str, str] | None = None, check_code: int | None = None) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "sweettok_cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
            timeout=900,
        )
        if check_code is not None:
            assert done.returncode == check_code, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
