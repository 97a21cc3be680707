"""A disk that is full while a model or a prior is written: one sentence, and nothing is left."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError
from small_network import word_prior

from sweettok_cli.codebook.prior import save_prior
from sweettok_cli.errors import SweettokError
from sweettok_cli.zoo.convert import convert_checkpoint
from sweettok_cli.zoo.local import building
from tests.full_disk import disk_of
from tests.published_files import save_small_omnitokenizer


@pytest.mark.parametrize("size", [0, 5_000])
def test_conversion(tmp_path: Path, size: int) -> None:
    file = save_small_omnitokenizer(tmp_path / "a.ckpt")
    with disk_of(size), pytest.raises(SweettokError, match=r"Cannot write .*model.*; free some space"):
        convert_checkpoint(file, "omnitokenizer", folder=tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]


def test_the_library_that_writes_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    file = save_small_omnitokenizer(tmp_path / "a.ckpt")
    with pytest.raises(SweettokError, match=r"\(No space left on device\); free some space"):
        convert_checkpoint(file, "omnitokenizer", folder=tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]


@pytest.mark.parametrize("size", [0, 3_000])
def test_a_prior(tmp_path: Path, size: int) -> None:
    with disk_of(size), pytest.raises(SweettokError, match=r"Cannot write .*prior.*; free some space"):
        save_prior(word_prior(), tmp_path / "prior")
    assert list(tmp_path.rglob("*")) == []


def test_pulling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEETTOK_HOME", str(tmp_path / "store"))
    message = r"Cannot write into .*store \(No space left on device\); .*SWEETTOK_HOME"
    with pytest.raises(SweettokError, match=message), building("owner/small", print) as part:
        (part.download / "half").write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]
