"""From a name to a tokenizer: which device, which number format, and what is said when there is none."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.registry import FAMILIES
from sweettok_cli.runtime import pick_device, pick_dtype
from sweettok_cli.zoo import local
from sweettok_cli.zoo.load import load, model_of_tokens


def test_folder_is_loaded(model_folder: Path) -> None:
    assert load(str(model_folder), device="cpu").spec.name == "small"


def test_shipped_name_is_loaded(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "shipped_folders", lambda: [model_folder.parent])
    assert load("small", device="cpu").spec.name == "small"
    with pytest.raises(SweettokError, match=r"no model 'large'.*small"):
        load("large")


def test_what_is_not_there_is_said(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SweettokError, match="no cuda device that torch can use; pass device='cpu'"):
        load(str(model_folder), device="cuda:1")
    with pytest.raises(SweettokError, match="no device 'gpu'; choose from auto, cpu, cuda and mps"):
        load(str(model_folder), device="gpu")
    with pytest.raises(SweettokError, match=r"no number format 'int8'.*float16"):
        load(str(model_folder), device="cpu", dtype="int8")


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_the_fastest_device(
    cuda: bool, mps: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device("auto").type == expected
    assert pick_device("cpu").type == "cpu"


@pytest.mark.parametrize("native", [True, False])
def test_auto_is_narrow_only_where_that_is_native(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: native)
    assert pick_dtype("auto", torch.device("cuda")) == (torch.bfloat16 if native else torch.float32)
    assert pick_dtype("auto", torch.device("cpu")) == torch.float32
    assert pick_dtype("float16", torch.device("cpu")) == torch.float16


def tokens_of(model: str, family: str = "sweettok") -> Any:
    arrays = FAMILIES[family].names[family] if family in FAMILIES else {"indices"}
    return SimpleNamespace(model=model, family=family, shapes=dict.fromkeys(arrays, ()))


def test_tokens_choose_among_models_that_go_by_name(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEETTOK_HOME", str(tmp_path / "store"))
    monkeypatch.setattr(local, "shipped_folders", lambda: [])
    shutil.copytree(model_folder, tmp_path / "small")
    monkeypatch.chdir(tmp_path)
    file = Path("clip.npz")
    for name in ("small", "./small", str(tmp_path / "small"), "../x", "x" * 10**6, "\x1b[2J"):
        with pytest.raises(SweettokError, match=r"clip\.npz was encoded by .*folder with --model") as caught:
            model_of_tokens(tokens_of(name), file)
        assert len(str(caught.value)) < 300
    shutil.copytree(model_folder, tmp_path / "store" / "small")
    assert Path(model_of_tokens(tokens_of("small"), file)) == tmp_path / "store" / "small"
    with pytest.raises(SweettokError, match="of the family 'vidtok-fsq', but names the model small"):
        model_of_tokens(tokens_of("small", "vidtok-fsq"), file)


@pytest.mark.parametrize("family", ["sweettok", "omnitokenizer", "vidtok-kl", "vidtok"])
def test_families_are_compared_before_anything_is_fetched(family: str) -> None:
    published = "vidtok-fsq-causal-488-32768"
    with pytest.raises(SweettokError, match=f"of the family '{family}', but names the model {published}"):
        model_of_tokens(tokens_of(published, family), Path("clip.npz"))
    assert model_of_tokens(tokens_of(published, "vidtok-fsq"), Path("clip.npz")) == published


def test_an_unknown_family_is_said_before_an_unknown_model() -> None:
    with pytest.raises(SweettokError, match=r"unknown family 'magvit', which is none of sweettok, .*update"):
        model_of_tokens(tokens_of("magvit-3", "magvit"), Path("clip.npz"))
