"""`sweettok export` and `sweettok import`: token files as shards, and back, and what goes wrong."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sweettok
from sweettok_cli.sequences.shards import FORMATS
from sweettok_cli.tokens import Tokens, write_tokens

Cli = Callable[..., Any]


def made(seed: int, clips: int = 2, weights: str = "0" * 64, clip: int = 6) -> Tokens:
    """Of a model that is not at hand."""
    from fractions import Fraction

    from sweettok_cli.tokens import TokenMeta

    words = {"spatial": (40, 40, 30), "temporal": (20, 20, 50)}
    shapes = {"spatial": (4, 3), "temporal": (clip, 3)}
    meta = TokenMeta(
        family="sweettok", model="made-up", weights_sha256=weights, codebooks=words, shapes=shapes,
        source=f"{seed}.mp4", image=False, width=64, height=64, padded_width=64, padded_height=64,
        frames=17 * clips, rate=Fraction(25), clip_frames=17, writer="test",
    )  # fmt: skip
    random = np.random.default_rng(seed)
    arrays = {name: random.integers(0, 20, (clips, *shape)).astype("<u2") for name, shape in shapes.items()}
    return Tokens(arrays, meta)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four token files in folders of two classes, one packed."""
    for seed, name in enumerate(("Archery/a", "Archery/b", "Biking/a", "Biking/deep.er")):
        path = tmp_path / "tokens" / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tokens(path, made(seed, 1 + seed))
    sweettok.write_tokens(tmp_path / "tokens" / "Biking" / "packed.swt", made(9))
    return tmp_path / "tokens"


@pytest.mark.parametrize("kind", FORMATS)
def test_folders_come_back_byte_for_byte(cli: Cli, folder: Path, tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    ran = cli("export", folder, "--format", kind, "--classes")
    out = tmp_path / f"tokens.{kind}"
    assert (ran.code, ran.out) == (0, f"{out}\n")
    assert "5 videos, 12 clips, " in ran.err
    assert json.loads((out / "vocabulary.json").read_text())["classes"] == ["Archery", "Biking"]
    ran = cli("import", out, "-o", tmp_path / "back")
    assert ran.code == 0
    assert set(ran.out.split()) == {str(path) for path in (tmp_path / "back").rglob("*.npz")}
    for path in folder.rglob("*.npz"):
        assert (tmp_path / "back" / path.relative_to(folder)).read_bytes() == path.read_bytes()
    assert cli("unpack", folder / "Biking" / "packed.swt").code == 0
    unpacked = (folder / "Biking" / "packed.npz").read_bytes()
    assert (tmp_path / "back" / "Biking" / "packed.npz").read_bytes() == unpacked


def test_json_says_what_was_written(cli: Cli, folder: Path, tmp_path: Path) -> None:
    ran = cli("export", folder, "-o", tmp_path / "s", "--shard-mb", "0.01", "--json")
    told = json.loads(ran.out)
    assert ran.code == 0 and told["folder"] == str(tmp_path / "s") and told["format"] == "webdataset"
    assert (told["videos"], told["clips"], told["clip_symbols"]) == (5, 12, 30)
    assert {*told["files"], "vocabulary.json", "shards.json"} == {
        path.name for path in (tmp_path / "s").iterdir()
    }
    ran = cli("import", tmp_path / "s", "--json")
    told = json.loads(ran.out)
    assert len(told["imported"]) == 5 and sum(each["clips"] for each in told["imported"]) == 12
    assert (tmp_path / "s.tokens" / "Archery" / "a.npz").is_file()


def test_import_goes_on_and_replaces_only_by_force(cli: Cli, folder: Path, tmp_path: Path) -> None:
    assert cli("export", folder, "-o", tmp_path / "s").code == 0
    back = tmp_path / "back"
    assert cli("import", tmp_path / "s", "-o", back).code == 0
    ran = cli("import", tmp_path / "s", "-o", back)
    assert ran.code == 1 and "exists; pass --force to replace it" in ran.err
    (back / "Archery" / "a.npz").unlink()
    write_tokens(back / "Archery" / "b.npz", made(77), force=True)
    ran = cli("import", tmp_path / "s", "-o", back, "--skip-existing", "--json")
    told = json.loads(ran.out)
    assert ran.code == 1 and [len(told[key]) for key in ("imported", "skipped", "failed")] == [1, 3, 1]
    assert "b.npz holds other tokens than" in told["failed"][0]["error"]
    assert cli("import", tmp_path / "s", "-o", back, "--skip-existing", "--force").code == 0
    assert (back / "Archery" / "b.npz").read_bytes() == (folder / "Archery" / "b.npz").read_bytes()


def test_what_cannot_be_read_costs_no_other(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.npz").write_bytes(b"bad")
    ran = cli("export", folder, "-o", tmp_path / "s", "--json")
    told = json.loads(ran.out)
    assert ran.code == 1 and told["videos"] == 5
    assert [each["source"] for each in told["failed"]] == [str(folder / "bad.npz")]
    assert str(folder / "bad.npz") in ran.err
    ran = cli("export", folder / "bad.npz", "-o", tmp_path / "none")
    assert ran.code == 1 and "bad.npz" in ran.err and not (tmp_path / "none").exists()
    (tmp_path / "empty").mkdir()
    ran = cli("export", tmp_path / "empty")
    assert ran.code == 1 and "holds no token file (.npz, .swt)" in ran.err


def test_tokens_of_another_model_are_named_and_nothing_is_written(
    cli: Cli, folder: Path, tmp_path: Path
) -> None:
    write_tokens(folder / "other.npz", made(5, weights="1" * 64))
    ran = cli("export", folder, "-o", tmp_path / "s")
    assert ran.code == 1 and not (tmp_path / "s").exists()
    assert ran.err.count("\n") == 1 and "was made with the weights " in ran.err and ".npz" in ran.err


def test_usage(cli: Cli, folder: Path, tmp_path: Path) -> None:
    assert cli("export", folder, "--format", "zip").code == 2
    assert cli("export").code == 2
    ran = cli("import", folder)
    assert ran.code == 1 and "is no folder of shards; give one that `sweettok export` wrote" in ran.err
    assert cli("export", folder, "-o", tmp_path / "s").code == 0
    ran = cli("export", folder, "-o", tmp_path / "s", "--format", "megatron")
    assert ran.code == 1 and "exists; pass --force" in ran.err
    assert cli("export", folder, "-o", tmp_path / "s", "--format", "megatron", "--force").code == 0
    ran = cli("export", folder, "-o", folder)
    assert ran.code == 1 and "which is no part of a folder of shards" in ran.err


def test_damaged_shards_and_names_that_lead_elsewhere(cli: Cli, folder: Path, tmp_path: Path) -> None:
    assert cli("export", folder, "-o", tmp_path / "s", "--format", "megatron").code == 0
    path = tmp_path / "s" / "tokens-00000.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    ran = cli("import", tmp_path / "s", "-o", tmp_path / "back")
    assert ran.code == 1 and "tokens-00000.bin is damaged (its SHA-256 is another one)" in ran.err
    assert not (tmp_path / "back").exists()

    assert cli("export", folder, "-o", tmp_path / "s", "--force").code == 0
    rewrite(tmp_path / "s", "Archery/a", "../outside")
    ran = cli("import", tmp_path / "s", "-o", tmp_path / "back")
    assert ran.code == 1 and "'../outside' leads out of the folder" in ran.err
    assert not (tmp_path / "outside.npz").exists() and (tmp_path / "back" / "Archery" / "b.npz").exists()


def rewrite(shards: Path, old: str, new: str) -> None:
    """Give a video another name, as somebody might who wants to write elsewhere."""
    from hashlib import sha256

    path = shards / "tokens-00000.jsonl"
    path.write_text(path.read_text().replace(f'"{old}"', f'"{new}"'))
    record = json.loads((shards / "shards.json").read_text())
    content = path.read_bytes()
    record["shards"][0]["files"][path.name] = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
    (shards / "shards.json").write_text(json.dumps(record))


def test_what_parquet_needs_is_said_before_any_work(
    cli: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ran = cli("export", folder, "-o", tmp_path / "s", "--format", "parquet")
    assert ran.code == 1 and not (tmp_path / "s").exists()
    assert ran.err == "error: Parquet needs pyarrow; run: pip install 'sweettok[shards]'\n"


def test_names_that_are_no_text_or_hold_signs_come_back(cli: Cli, folder: Path, tmp_path: Path) -> None:
    for kind in ("webdataset", "parquet"):
        if kind == "parquet":
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        names = ["a.b\\c:d.npz", os.fsdecode(b"\xff\xfe.npz"), "[x]*\n.npz"]
        source = tmp_path / kind / "odd"
        source.mkdir(parents=True)
        for seed, name in enumerate(names):
            write_tokens(source / name, made(seed))
        assert cli("export", source, "-o", tmp_path / kind / "s", "--format", kind).code == 0
        assert cli("import", tmp_path / kind / "s", "-o", tmp_path / kind / "back", "--json").code == 0
        for name in names:
            assert (tmp_path / kind / "back" / name).read_bytes() == (source / name).read_bytes()


def test_two_files_of_one_name_are_refused(cli: Cli, folder: Path, tmp_path: Path) -> None:
    ran = cli("export", folder / "Archery" / "a.npz", folder / "Biking" / "a.npz", "-o", tmp_path / "s")
    assert ran.code == 1 and "a.npz is; rename one of them" in ran.err
    ran = cli("export", folder / "Archery", folder / "Biking", "-o", tmp_path / "s", "--classes")
    assert ran.code == 0
    record = (tmp_path / "s" / "tokens-00000.jsonl").read_text()
    assert '"name": "Archery/a"' in record and '"class": "Biking"' in record


def test_a_packed_file_beside_a_plain_one_holds_the_same(cli: Cli, folder: Path, tmp_path: Path) -> None:
    packed = folder / "Biking" / "a.swt"
    sweettok.write_tokens(packed, sweettok.read_tokens(folder / "Biking" / "a.npz"))
    assert "5 videos" in cli("export", folder).err
    packed.unlink()
    sweettok.write_tokens(packed, made(2, 3, weights="1" * 64))
    ran = cli("export", folder, "--force")
    assert ran.code == 1 and "a.npz and a.swt hold other tokens than each other" in ran.err
