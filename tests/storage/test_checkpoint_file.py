"""Checkpoints in all the forms that trainers write, and what is refused."""

from __future__ import annotations

import argparse
import os
import pathlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sweettok_cli.errors import SweettokError
from sweettok_cli.storage.checkpoint_file import read_checkpoint
from tests.published_files import save_accelerate, save_lightning

STATE = {"encoder.weight": torch.arange(6.0).reshape(2, 3), "encoder.steps": torch.tensor(4)}
EMA = {name: tensor * 2 for name, tensor in STATE.items()}


def same(state: dict[str, Tensor], expected: dict[str, Tensor] = STATE) -> bool:
    return state.keys() == expected.keys() and all(state[name].equal(expected[name]) for name in expected)


def saved(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


FORMS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "plain": (lambda f: saved(f / "a.bin", STATE), "the whole file"),
    "before archives": (
        lambda f: saved(f / "a.pth", STATE, _use_new_zipfile_serialization=False),
        "the whole file",
    ),
    "lightning": (lambda f: save_lightning(f / "a.ckpt", STATE), "state_dict"),
    "lightning with settings": (
        lambda f: save_lightning(f / "a.ckpt", STATE, {"args": argparse.Namespace(depth=4), "lr": 0.1}),
        "state_dict",
    ),
    "model beside optimizer": (lambda f: saved(f / "a.pt", {"model": STATE, "optimizer": {}}), "model"),
    "weights beside their average": (lambda f: saved(f / "a.pt", {"ema": EMA, "model": STATE}), "model"),
    "average alone": (lambda f: saved(f / "a.pt", {"ema": STATE, "step": 3}), "ema"),
    "safetensors": (
        lambda f: (save_file(STATE, f / "a.safetensors"), f / "a.safetensors")[1],
        "the whole file",
    ),
    "accelerate": (lambda f: save_accelerate(f / "run", STATE), "pytorch_model.bin"),
    "accelerate, safetensors": (
        lambda f: save_accelerate(f / "run", STATE, suffix=".safetensors"),
        "model.safetensors",
    ),
    "accelerate, in pieces": (
        lambda f: save_accelerate(f / "run", STATE, shards=2),
        "pytorch_model.bin.index.json",
    ),
    "accelerate, safetensors in pieces": (
        lambda f: save_accelerate(f / "run", STATE, shards=2, suffix=".safetensors"),
        "model.safetensors.index.json",
    ),
    "the trainer's folder": (
        lambda f: save_accelerate(f / "checkpoint-10" / "unwrapped_model", STATE).parent,
        "unwrapped_model/pytorch_model.bin",
    ),
}


@pytest.mark.parametrize(("write", "part"), FORMS.values(), ids=FORMS)
def test_every_form_is_read(tmp_path: Path, write: Callable[[Path], Path], part: str) -> None:
    checkpoint = read_checkpoint(write(tmp_path))
    assert same(checkpoint.state)
    assert checkpoint.part == part
    assert checkpoint.averaged is (part == "ema")
    assert all(file.is_file() for file in checkpoint.files)


def test_settings_are_read_with_lightning_checkpoints(tmp_path: Path) -> None:
    save_lightning(tmp_path / "a.ckpt", STATE, {"args": argparse.Namespace(depth=4), "lr": 0.1})
    settings = read_checkpoint(tmp_path / "a.ckpt").settings
    assert (settings["depth"], settings["lr"]) == (4, 0.1)


def test_averages_are_read_when_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", {"model": STATE, "ema": EMA})
    checkpoint = read_checkpoint(path, averaged=True)
    assert same(checkpoint.state, EMA) and checkpoint.averaged and checkpoint.part == "ema"
    assert not read_checkpoint(saved(tmp_path / "b.pt", {"model": STATE}), averaged=True).averaged


@pytest.mark.parametrize("given", ["", "ema_model", "ema_model/pytorch_model.bin"])
def test_averages_in_a_folder_come_with_the_weights(tmp_path: Path, given: str) -> None:
    save_accelerate(tmp_path / "ema_model", EMA)
    save_accelerate(tmp_path / "unwrapped_model", STATE)
    checkpoint = read_checkpoint(tmp_path / given, averaged=True)
    assert same(checkpoint.state, EMA) and checkpoint.averaged
    assert same(checkpoint.plain)


@pytest.mark.parametrize(
    "wrapped", ["module.{}", "_orig_mod.{}", "module._orig_mod.{}", "_orig_mod.module.{}"]
)
def test_wrappers_are_taken_off(tmp_path: Path, wrapped: str) -> None:
    path = saved(tmp_path / "a.pt", {wrapped.format(name): tensor for name, tensor in STATE.items()})
    checkpoint = read_checkpoint(path)
    assert same(checkpoint.state) and "".join(checkpoint.prefixes) == wrapped.format("")


def test_compiled_parts_are_renamed(tmp_path: Path) -> None:
    inner = {name.replace("encoder.", "encoder._orig_mod."): tensor for name, tensor in STATE.items()}
    assert same(read_checkpoint(saved(tmp_path / "a.pt", inner)).state)
    with pytest.raises(SweettokError, match="holds a tensor twice"):
        read_checkpoint(saved(tmp_path / "a.pt", {**inner, **STATE}))


def test_a_module_among_others_is_no_wrapper(tmp_path: Path) -> None:
    state = {"module.weight": torch.ones(1), "head.weight": torch.ones(1)}
    assert same(read_checkpoint(saved(tmp_path / "a.pt", state)).state, state)


class Harmful:
    """Pickles as a command that makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("where", ["callbacks", "state_dict"])
def test_code_is_named_and_never_run(tmp_path: Path, archive: bool, where: str) -> None:
    marker = tmp_path / "ran"
    content: dict[str, Any] = {"state_dict": dict(STATE), "callbacks": {}}
    content[where]["harm"] = Harmful(marker)
    path = saved(tmp_path / "a.ckpt", content, _use_new_zipfile_serialization=archive)
    with pytest.raises(SweettokError, match=r"a\.ckpt asks for \w+\.system, .*nothing in it was run"):
        read_checkpoint(path)
    assert not marker.exists()


def test_every_class_is_named(tmp_path: Path) -> None:
    settings = {"config": torch.nn.Linear(1, 1), "path": pathlib.PurePosixPath("/data")}
    path = save_lightning(tmp_path / "a.ckpt", STATE, settings)
    with pytest.raises(SweettokError, match=r"asks for .*save its tensors alone") as caught:
        read_checkpoint(path)
    assert "pathlib.PurePosixPath" in str(caught.value)
    assert "torch.nn.modules.linear.Linear" in str(caught.value)


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-200])
    return path


def without_a_shard(folder: Path) -> Path:
    next(folder.glob("*-00002-*")).unlink()
    return folder


def outside(folder: Path) -> Path:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../other.safetensors"}}')
    return folder


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


INDEX = "pytorch_model.bin.index.json"
WRONG: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing there": (lambda f: f / "a.ckpt", "There is no checkpoint"),
    "an empty folder": (lambda f: f, r"holds no checkpoint: none of .*pytorch_model\.bin is in it"),
    "text": (
        lambda f: text(f / "a.ckpt", "weights"),
        "is no checkpoint: it begins as no file of",
    ),
    "empty": (lambda f: text(f / "a.ckpt", ""), "is no checkpoint: it begins as no file of"),
    "cut": (lambda f: cut(saved(f / "a.ckpt", STATE)), r"cannot be read .*fetch it again"),
    "cut safetensors": (
        lambda f: cut(FORMS["safetensors"][0](f)),
        r"a\.safetensors cannot be read",
    ),
    "a tensor": (lambda f: saved(f / "a.pt", torch.ones(2)), "holds no state dict but Tensor"),
    "no tensors": (
        lambda f: saved(f / "a.pt", {"epoch": 1, "model": {}}),
        "no tensors by name, but 'epoch', 'model'",
    ),
    "a number among tensors": (
        lambda f: saved(f / "a.pt", {**STATE, "epoch": 3}),
        "has 'epoch' among its tensors",
    ),
    "tensors of tensors": (
        lambda f: saved(f / "a.pt", {**STATE, "x": torch.nested.nested_tensor([torch.ones(2)])}),
        "has 'x', which is no plain tensor of real numbers",
    ),
    "bits": (
        lambda f: saved(f / "a.pt", {**STATE, "x": torch.zeros(8, dtype=torch.uint8).view(torch.bits8)}),
        "has 'x', which is no plain tensor of real numbers",
    ),
    "a piece missing": (
        lambda f: without_a_shard(save_accelerate(f / "run", STATE, shards=2)),
        "00002-of-00002.bin is missing, which",
    ),
    "pieces elsewhere": (outside, "names files that are not beside it"),
    "no index": (lambda f: text(f / INDEX, "[]").parent, r"index\.json holds no JSON object"),
    "an index of nothing": (lambda f: text(f / INDEX, "{}").parent, "names files that are not beside it"),
    "a deep index": (lambda f: text(f / INDEX, "[" * 100_000).parent, r"index\.json \(nested too deeply\)"),
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize(("write", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, write: Callable[[Path], Path], words: str) -> None:
    with pytest.raises(SweettokError, match=words) as caught:
        read_checkpoint(write(tmp_path))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
