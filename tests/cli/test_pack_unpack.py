"""`sweettok pack`, `unpack`, `models prior`, `encode --compact`; and who reads what they write."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sweettok
from sweettok_cli.cli.pack import times_smaller
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.packing.file import PackedFile
from sweettok_cli.packing.prior import PRIOR_FILE
from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.tokens import Tokens, token_cost, write_tokens
from sweettok_cli.video import write_image
from sweettok_cli.zoo.load import load

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def encoded(small_clip: Path, model_folder: Path) -> Tokens:
    return encode_video(small_clip, load(str(model_folder), "cpu", "float32"))


@pytest.fixture
def tokens(tmp_path: Path, encoded: Tokens) -> Path:
    write_tokens(tmp_path / "clip.npz", encoded)
    return tmp_path / "clip.npz"


@pytest.fixture
def model(tmp_path: Path, model_folder: Path) -> Path:
    """A copy of the model that a prior may be put into; it goes by no name."""
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


@pytest.fixture
def with_prior(cli: Cli, model: Path, tokens: Path) -> Path:
    assert cli("models", "prior", tokens, "--model", model).code == 0
    return model


def test_what_is_packed_is_unpacked_byte_for_byte(cli: Cli, tokens: Path, encoded: Tokens) -> None:
    before = tokens.read_bytes()
    ran = cli("pack", tokens)
    packed = tokens.with_suffix(".swt")
    assert (ran.code, ran.out) == (0, f"{packed}\n")
    assert f"{token_cost(encoded.meta).bits / 1000:.1f} kbit in " in ran.err
    assert "times smaller, without a token prior" in ran.err
    tokens.unlink()
    ran = cli("unpack", packed)
    assert (ran.code, ran.out) == (0, f"{tokens}\n")
    assert tokens.read_bytes() == before


def test_a_folder_keeps_its_structure(cli: Cli, tokens: Path, tmp_path: Path) -> None:
    inside = tmp_path / "in" / "deep"
    inside.mkdir(parents=True)
    shutil.copy(tokens, inside / "a.npz")
    (inside.parent / "bad.npz").write_bytes(b"bad")
    ran = cli("pack", tmp_path / "in", "-o", tmp_path / "packed", "--json")
    told = json.loads(ran.out)
    assert ran.code == 1
    assert [record["source"] for record in told["failed"]] == [str(inside.parent / "bad.npz")]
    (record,) = told["packed"]
    target = tmp_path / "packed" / "deep" / "a.swt"
    assert record["output"] == str(target)
    cost = PackedFile.open(target).cost
    assert (record["file_bytes"], record["coded_bits"]) == (target.stat().st_size, cost.coded_bits)
    assert told["total"] == {
        key: record[key] for key in ("clips", "bits", "file_bytes", "coded_bits", "ratio")
    }
    ran = cli("unpack", tmp_path / "packed", "-o", tmp_path / "back", "-q")
    assert (ran.code, ran.err) == (0, "")
    assert (tmp_path / "back" / "deep" / "a.npz").read_bytes() == tokens.read_bytes()


def test_existing_files_are_kept_skipped_or_replaced(cli: Cli, tokens: Path, encoded: Tokens) -> None:
    packed = tokens.with_suffix(".swt")
    packed.write_text("mine")
    os.utime(packed, (2e9, 2e9))
    ran = cli("pack", tokens)
    assert ran.code == 1 and "exists; pass --force" in ran.err
    ran = cli("pack", tokens, "--skip-existing", "--json")
    assert (ran.code, len(json.loads(ran.out)["skipped"])) == (0, 1)
    assert packed.read_text() == "mine"
    packed.write_bytes(b"")
    os.utime(packed, (2e9, 2e9))
    ran = cli("pack", tokens, "--skip-existing")
    assert ran.code == 1 and f"{packed} is empty; pass --force too to pack it again" in ran.err
    assert cli("pack", tokens, "--force").code == 0
    changed = {**encoded.arrays, "spatial": np.zeros_like(encoded.arrays["spatial"])}
    write_tokens(tokens, Tokens(changed, encoded.meta), force=True)
    os.utime(packed, (1, 1))
    ran = cli("pack", tokens, "--skip-existing")
    assert ran.code == 1 and "has changed since" in ran.err
    assert cli("pack", tokens, "--skip-existing", "--force").code == 0
    assert packed.stat().st_mtime > 1


def test_what_was_packed_is_not_unpacked_again(cli: Cli, tokens: Path, encoded: Tokens) -> None:
    """The file beside it is older and holds the same; no prior is asked for to see that."""
    packed = tokens.with_suffix(".swt")
    assert cli("pack", tokens).code == 0
    os.utime(tokens, (1, 1))
    for again in (("unpack", packed), ("unpack", packed, "--force")):
        ran = cli(*again, "--skip-existing", "--json")
        assert (ran.code, len(json.loads(ran.out)["skipped"])) == (0, 1), ran.err
    assert tokens.stat().st_mtime == 1
    os.utime(packed, (0, 0))
    assert "1 skipped" in cli("pack", tokens, "--skip-existing").err
    os.utime(packed)
    changed = {**encoded.arrays, "spatial": np.zeros_like(encoded.arrays["spatial"])}
    write_tokens(tokens, Tokens(changed, encoded.meta), force=True)
    os.utime(tokens, (1, 1))
    ran = cli("unpack", packed, "--skip-existing")
    assert ran.code == 1 and f"{packed} has changed since {tokens} was unpacked" in ran.err
    assert cli("unpack", packed, "--skip-existing", "--force").code == 0
    assert np.array_equal(sweettok.read_tokens(tokens).arrays["spatial"], encoded.arrays["spatial"])


def test_what_is_not_to_be_packed_is_said(cli: Cli, tokens: Path, tmp_path: Path) -> None:
    assert cli("pack", tokens).code == 0
    packed = tokens.with_suffix(".swt")
    for arguments, said in (
        (("pack", packed, "-o", tmp_path / "again.swt"), "is packed already"),
        (("unpack", tokens, "-o", tmp_path / "again.npz"), "is not a packed token file (.swt)"),
        (("pack", tmp_path / "nothing.npz"), "does not exist"),
        (("pack", packed), "is packed already"),
        (("unpack", tokens), "is not a packed token file (.swt)"),
        (("unpack", tmp_path / "model", "-q"), "does not exist"),
    ):
        ran = cli(*arguments)
        assert ran.code == 1 and said in ran.err and ran.err.count("\n") == 1
    (tmp_path / "empty").mkdir()
    assert "holds no file that ends in .npz" in cli("pack", tmp_path / "empty").err
    assert cli("pack", tokens, "--alone", "--model", "sweettok-small").code == 2
    for command, name, said in (
        (("pack", tokens), "clip.mp4", "does not end in .swt"),
        (("unpack", packed), "other.swt", "does not end in .npz"),
        (("models", "prior", tokens), "prior.txt", "does not end in .safetensors"),
    ):
        ran = cli(*command, "-o", tmp_path / name)
        assert ran.code == 2 and said in ran.err and ran.err.count("\n") == 1


def test_a_prior_makes_it_smaller_and_is_needed_again(
    cli: Cli, tokens: Path, with_prior: Path, tmp_path: Path
) -> None:
    packed, alone = tmp_path / "packed.swt", tmp_path / "alone.swt"
    assert cli("pack", tokens, "-o", packed, "--model", with_prior).code == 0
    assert cli("pack", tokens, "-o", alone, "--alone").code == 0
    assert packed.stat().st_size < alone.stat().st_size
    prior = json.loads(cli("info", packed, "--json").out)["packed"]["prior_sha256"]
    assert json.loads(cli("info", with_prior, "--json").out)["prior_sha256"] == prior
    ran = cli("unpack", packed)
    assert ran.code == 1
    assert (
        f"was packed with the token prior {prior[:12]} of small, which no model that goes by name has"
        in ran.err
    )
    assert "--model FOLDER" in ran.err
    assert cli("unpack", packed, "--model", with_prior).code == 0
    assert (tmp_path / "packed.npz").read_bytes() == tokens.read_bytes()
    # A damaged prior is another one.
    content = bytearray((with_prior / PRIOR_FILE).read_bytes())
    content[-1] ^= 1
    (with_prior / PRIOR_FILE).write_bytes(content)
    assert (
        f"which neither {with_prior} nor a model by name has"
        in cli("unpack", packed, "--force", "--model", with_prior).err
    )


def test_priors_are_those_of_the_weights(cli: Cli, tokens: Path, with_prior: Path, tmp_path: Path) -> None:
    ran = cli("models", "prior", tokens, "--model", with_prior)
    assert ran.code == 1 and f"{with_prior / PRIOR_FILE} exists" in ran.err
    # The same files give the same prior.
    before = (with_prior / PRIOR_FILE).read_bytes()
    ran = cli("models", "prior", tokens, "--model", with_prior, "--force", "--json")
    told = json.loads(ran.out)
    assert (told["files"], told["bytes"]) == (1, len(before))
    assert (with_prior / PRIOR_FILE).read_bytes() == before
    table = json.loads((with_prior / "config.json").read_text())
    (with_prior / "config.json").write_text(json.dumps({**table, "weights_sha256": "0" * 64}))
    ran = cli("models", "prior", tokens, "--model", with_prior, "-o", tmp_path / "other.safetensors")
    assert ran.code == 1 and "clip.npz was encoded by small with weights" in ran.err
    assert not (tmp_path / "other.safetensors").exists()


def test_encode_writes_packed_files(cli: Cli, clip: Path, with_prior: Path, tokens: Path) -> None:
    ran = cli("encode", clip, "--compact", "--model", with_prior, "--device", "cpu", "--json")
    (record,) = json.loads(ran.out)["encoded"]
    packed = clip.with_suffix(".swt")
    assert (ran.code, record["output"]) == (0, str(packed))
    assert record["packed"]["coded_bits"] < record["bits"]
    found = sweettok.read_tokens(packed, model=with_prior)
    np.testing.assert_array_equal(found.arrays["temporal"], sweettok.read_tokens(tokens).arrays["temporal"])
    ran = cli("encode", clip, "--compact", "--model", with_prior, "--device", "cpu", "--skip-existing")
    assert "1 skipped" in ran.err
    named = clip.with_name("named.swt")
    ran = cli("encode", clip, "-o", named, "--model", with_prior, "--device", "cpu")
    assert (ran.out, named.read_bytes()) == (f"{named}\n", packed.read_bytes())
    assert "kbit in" in ran.err


def test_every_command_reads_packed_files(cli: Cli, tokens: Path, with_prior: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.swt"
    assert cli("pack", tokens, "-o", packed, "--model", with_prior).code == 0
    for name, file in (("plain", tokens), ("packed", packed)):
        ran = cli("decode", file, "-o", tmp_path / f"{name}.npy", "--model", with_prior, "--device", "cpu")
        assert ran.code == 0, ran.err
    np.testing.assert_array_equal(np.load(tmp_path / "plain.npy"), np.load(tmp_path / "packed.npy"))
    words = [
        json.loads(cli("words", file, "--model", with_prior, "--json").out)["words"]
        for file in (tokens, packed)
    ]
    assert words[0] == words[1]
    told = [json.loads(cli("info", file, "--json").out) for file in (tokens, packed)]
    assert told[0]["packed"] is None
    assert told[0]["bits"] == told[1]["bits"]
    cost = PackedFile.open(packed).cost
    assert told[1]["packed"]["ratio"] == cost.ratio
    text = cli("info", packed).out
    assert (
        "coded bits" in text
        and f"{cost.coded_bits:,} (" in text
        and f"{cost.ratio:.2f} times smaller" in text
    )
    assert "packed.decoded.mp4" in cli("decode", packed, "--model", with_prior, "--device", "cpu").out


def test_what_grew_is_called_larger() -> None:
    said = {ratio: times_smaller(ratio, "true bits") for ratio in (2.0, 1.004, 1.0, 0.48, 0.0)}
    assert said == {
        2.0: "2.00 times smaller than true bits",
        **dict.fromkeys((1.004, 1.0, 0.0), "no smaller than true bits"),
        0.48: "2.08 times larger than true bits",
    }


def test_one_picture_grows_and_every_command_says_so(cli: Cli, model_folder: Path, tmp_path: Path) -> None:
    """The description is longer than the tokens."""
    write_image(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    ran = cli("encode", tmp_path / "a.png", "--compact", "--model", model_folder)
    assert ran.code == 0 and "times larger, without a token prior" in ran.err and "smaller" not in ran.err
    packed = tmp_path / "a.png.swt"
    assert "times larger than true bits" in cli("info", packed).out
    cli("unpack", packed)
    ran = cli("pack", tmp_path, "--force")
    assert ran.err.count("times larger") == 2 and "smaller" not in ran.err  # the file, and all together


def test_a_tokenizer_reads_packed_files(cli: Cli, tokens: Path, with_prior: Path, model_folder: Path) -> None:
    packed = tokens.with_suffix(".swt")
    assert cli("pack", tokens, "--model", with_prior).code == 0
    tokenizer = load(str(with_prior), "cpu", "float32")
    np.testing.assert_array_equal(tokenizer.decode(packed), tokenizer.decode(tokens))
    without: Tokenizer = load(str(model_folder), "cpu", "float32")
    with pytest.raises(
        sweettok.SweettokError, match="and small has another or none; decode it with the model"
    ):
        without.decode(packed)


def test_damage_is_told_by_every_command(cli: Cli, tokens: Path, model: Path) -> None:
    assert cli("pack", tokens).code == 0
    packed = tokens.with_suffix(".swt")
    data = bytearray(packed.read_bytes())
    data[-1] ^= 1
    packed.write_bytes(data)
    for arguments in (
        ("info",),
        ("unpack", "--force"),
        ("decode", "--model", model),
        ("words", "--model", model),
    ):
        ran = cli(arguments[0], packed, *arguments[1:])
        assert ran.code == 1
        assert ran.err == (
            f"error: {packed} has been changed since it was written, in chunk 1 of 1; copy it again, or pack "
            "the token file again.\n"
        )
