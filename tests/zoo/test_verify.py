"""Damage to a model's folder is found, byte by byte, and named."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from folder_files import model_files

from sweettok_cli.errors import SweettokError
from sweettok_cli.zoo.verify import check_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in model_files("trial").items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def rewrite(folder: Path, change: Callable[[bytes], bytes], named: bool = True) -> None:
    """Change the weights, and have the configuration name what came of it."""
    content = change((folder / "model.safetensors").read_bytes())
    (folder / "model.safetensors").write_bytes(content)
    if named:
        config = json.loads((folder / "config.json").read_text())
        config["weights_sha256"] = hashlib.sha256(content).hexdigest()
        (folder / "config.json").write_text(json.dumps(config))


def with_header(change: Callable[[dict], dict]) -> Callable[[bytes], bytes]:
    def rewritten(content: bytes) -> bytes:
        length = struct.unpack("<Q", content[:8])[0]
        header = json.dumps(change(json.loads(content[8 : 8 + length]))).encode()
        return struct.pack("<Q", len(header)) + header + content[8 + length :]

    return rewritten


def gap(header: dict) -> dict:
    del header["a"]
    return header


def test_a_whole_folder_passes(folder: Path) -> None:
    checked = check_folder(folder)
    assert (checked.header.name, checked.tensors) == ("trial", 2)
    assert checked.bytes == sum(path.stat().st_size for path in folder.iterdir())


def test_shipped_words_are_looked_at() -> None:
    from sweettok_cli.zoo.local import find_model

    assert check_folder(find_model("sweettok-small")).tensors > 100


def test_one_changed_bit_is_found(folder: Path) -> None:
    rewrite(folder, lambda content: content[:-1] + bytes([content[-1] ^ 1]), named=False)
    with pytest.raises(SweettokError, match=r"is damaged or of another model: its SHA-256 is \w{16}"):
        check_folder(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content[:-5], "is cut off or has gaps"),
        (lambda content: content + b"more", "is cut off or has gaps"),
        (with_header(gap), "is cut off or has gaps"),
        (with_header(lambda header: {"a": 3}), "has a header that cannot be read"),
        (lambda content: b"PK\3\4" + content[4:], "is no model.safetensors"),
        (lambda content: b"", "is no model.safetensors"),
        (lambda content: struct.pack("<Q", 12) + b"not any JSON", "has a header that cannot be read"),
    ],
    ids=["cut", "longer", "gap", "other-header", "other-format", "empty", "no-json"],
)
def test_weights_of_a_wrong_structure_are_refused_though_their_digest_fits(
    folder: Path, change: Callable[[bytes], bytes], said: str
) -> None:
    rewrite(folder, change)
    with pytest.raises(SweettokError, match=said):
        check_folder(folder)


def test_missing_files_are_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(SweettokError, match=r"model\.safetensors cannot be read \(No such file"):
        check_folder(folder)
    config = json.loads((folder / "config.json").read_text())
    for name, content in model_files("trial", family="sweettok").items():
        (folder / name).write_bytes(content)
    with pytest.raises(SweettokError, match=r"words\.json"):
        check_folder(folder)
    assert config["family"] != "sweettok"
    (folder / "config.json").unlink()
    with pytest.raises(SweettokError, match=r"Cannot read .*config\.json"):
        check_folder(folder)
