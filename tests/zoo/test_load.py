"""From a name to a tokenizer: which device, which number format, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import pick_device, pick_dtype
from sweettok_cli.zoo import local
from sweettok_cli.zoo.load import load


def test_folder_is_loaded(model_folder: Path) -> None:
    assert load(str(model_folder), device="cpu").spec.name == "small"


def test_shipped_name_is_loaded(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "shipped_folders", lambda: [model_folder.parent])
    assert load("small", device="cpu").spec.name == "small"
    with pytest.raises(SweettokError, match=r"no model 'large'.*small"):
        load("large")


def test_what_is_not_there_is_said(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SweettokError, match="no cuda device that torch can use; pass --device cpu"):
        load(str(model_folder), device="cuda:1")
    with pytest.raises(SweettokError, match="no device 'gpu'; --device takes auto, cpu, cuda or mps"):
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
