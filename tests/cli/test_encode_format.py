"""`sweettok encode DIR -o OUT --format KIND`: a data set and its shards by one command."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sweettok
from sweettok_cli.sequences.shards import FORMATS
from sweettok_cli.video import write_image

Cli = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures in two folders."""
    for number, name in enumerate(("a", "sub/a", "sub/b")):
        path = tmp_path / "in" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, np.full((64, 64, 3), 60 * number, np.uint8))
    return tmp_path / "in"


@pytest.mark.parametrize("kind", FORMATS)
def test_shards_hold_what_was_encoded(
    cli: Cli, folder: Path, tmp_path: Path, model_folder: Path, kind: str
) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    out = tmp_path / "out"
    ran = cli("encode", folder, "-o", out, "--model", model_folder, "--format", kind, "--json")
    assert ran.code == 0, ran.err
    data = json.loads(ran.out)
    shards = out / f"shards-{kind}"
    assert data["shards"] == str(shards) and len(data["encoded"]) == 3
    assert f"{shards}: 3 videos, 3 clips, " in ran.err
    assert cli("import", shards, "-o", tmp_path / "back").code == 0
    for path in out.rglob("*.npz"):
        assert (tmp_path / "back" / path.relative_to(out)).read_bytes() == path.read_bytes()
    assert {str(each["name"]) for each in sweettok.TokenDataset(shards)} == {
        "a.png",
        "sub/a.png",
        "sub/b.png",
    }


def test_shards_are_written_anew_when_token_files_are(
    cli: Cli, folder: Path, tmp_path: Path, model_folder: Path
) -> None:
    out = tmp_path / "out"
    command = "encode", folder, "-o", out, "--model", model_folder, "--format", "webdataset"
    ran = cli(*command)
    shards = out / "shards-webdataset"
    record = shards / "shards.json"
    assert ran.code == 0 and ran.out.splitlines()[-1] == str(shards)
    made = record.stat().st_mtime_ns

    ran = cli(*command)
    assert ran.code == 0 and f"{shards}: of these token files." in ran.err
    assert ran.out.splitlines() == [str(shards)] and record.stat().st_mtime_ns == made

    write_image(folder / "c.png", np.full((64, 64, 3), 200, np.uint8))
    assert "4 videos, 4 clips" in cli(*command).err
    write_image(
        folder / "c.png", np.full((64, 64, 3), 100, np.uint8), force=True
    )  # as many, one of them other
    assert "4 videos, 4 clips" in cli(*command).err
    # Another command replaces tokens while shards are written: what these are of is looked at before.
    for path in shards.glob("*.tar"):
        path.write_bytes(path.read_bytes()[:-512])
    assert "4 videos, 4 clips" in cli(*command).err
    next(shards.glob("*.tar")).unlink()
    assert "4 videos, 4 clips" in cli(*command).err
    assert f"{shards}: of these token files." in cli(*command).err


def test_only_what_was_encoded_so_is_in_the_shards(
    cli: Cli, folder: Path, tmp_path: Path, model_folder: Path
) -> None:
    out = tmp_path / "out"
    command = "encode", folder, "-o", out, "--model", model_folder, "--format", "webdataset"
    assert cli("encode", folder, "-o", out, "--model", model_folder, "--dtype", "bfloat16").code == 0
    write_image(folder / "c.png", np.full((64, 64, 3), 200, np.uint8))
    assert cli(*command, "--compact").code == 0
    back = tmp_path / "back"
    assert cli("import", out / "shards-webdataset", "-o", back).code == 0
    wanted = {path.relative_to(out): sweettok.read_tokens(path) for path in out.rglob("*.swt")}
    assert len(wanted) == 4
    for name, tokens in wanted.items():
        found = sweettok.read_tokens((back / name).with_suffix(".npz"))
        assert all(np.array_equal(found.arrays[key], array) for key, array in tokens.arrays.items())

    (folder / "c.png").write_bytes(b"text")  # its tokens stay, of what it held before
    ran = cli(*command, "--compact")
    assert ran.code == 1 and "3 videos, 3 clips" in ran.err and (out / "c.png.swt").exists()


def test_one_that_fails_is_said_and_the_others_are_exported(
    cli: Cli, folder: Path, tmp_path: Path, model_folder: Path
) -> None:
    (folder / "d.png").write_bytes(b"text")
    out = tmp_path / "out"
    ran = cli("encode", folder, "-o", out, "--model", model_folder, "--format", "webdataset")
    assert ran.code == 1 and "3 videos, 3 clips" in ran.err and "3 encoded, 0 skipped, 1 failed" in ran.err
    (out / "a.png.npz").write_bytes(b"text")
    ran = cli("encode", folder, "-o", out, "--model", model_folder, "--format", "megatron")
    assert ran.code == 1 and "1 encoded, 2 skipped, 1 failed" in ran.err  # it is encoded again

    (out / "stray.npz").write_bytes(b"text")  # of no line of the manifest
    ran = cli("encode", folder, "-o", out, "--model", model_folder, "--format", "webdataset")
    assert ran.code == 1 and "stray.npz" not in ran.err and "3 videos, 3 clips" in ran.err


def test_nothing_that_can_be_encoded_leaves_no_shards(cli: Cli, tmp_path: Path, model_folder: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"text")
    out = tmp_path / "out"
    ran = cli(
        "encode", tmp_path / "in", "-o", out, "--model", model_folder, "--format", "webdataset", "--json"
    )
    assert ran.code == 1 and "shards" not in json.loads(ran.out) and not list(out.glob("shards*"))


def test_what_cannot_be_exported_is_said_before_anything_is_encoded(
    cli: Cli,
    folder: Path,
    tmp_path: Path,
    families: dict[str, Path],
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    ran = cli("encode", folder, "-o", out, "--model", families["vidtok-kl-causal"], "--format", "webdataset")
    assert (
        ran.code == 1 and "gives continuous latents, which shards cannot hold; leave out --format" in ran.err
    )
    command = "encode", folder, "-o", out, "--model", model_folder, "--format"
    ran = cli(*command, "parquet", "--shard", "1/2")
    assert ran.code == 2 and "A part has no shards of its own; leave out --format parquet" in ran.err
    ran = cli("encode", folder / "a.png", "--model", model_folder, "--format", "megatron")
    assert ran.code == 2 and "--format is of data sets" in ran.err
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ran = cli(*command, "parquet")
    assert ran.code == 1 and "pyarrow" in ran.err
    assert not out.exists()
    (out / "shards-megatron").mkdir(parents=True)
    (out / "shards-megatron" / "notes.txt").touch()
    ran = cli(*command, "megatron")
    assert ran.code == 1 and "notes.txt, which is no part of a folder of shards; move it away" in ran.err
    assert [path.name for path in out.iterdir()] == ["shards-megatron"]
