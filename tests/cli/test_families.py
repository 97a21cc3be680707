"""Every command with a small model of every family, as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import CONTINUOUS, SAVE

from sweettok_cli.tokens import TokenMeta, Tokens, read_tokens, write_tokens
from sweettok_cli.video import probe

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("families")
    for name, save in SAVE.items():
        save(root / name)
    return root


@pytest.mark.parametrize("name", [name for name in SAVE if name != "sweettok"])
def test_every_command_takes_every_family(cli: Cli, models: Path, clip: Path, name: str) -> None:
    model = models / name
    ran = cli("encode", clip, "--model", model, "--json")
    assert ran.code == 0, ran.err
    (encoded,) = json.loads(ran.out)["encoded"]
    tokens = read_tokens(clip.with_suffix(".npz"))
    assert tokens.meta.model == name and tokens.meta.frames == 20
    assert encoded["bits"] > 0 and (encoded["indices"] > 0) == (name not in CONTINUOUS)

    ran = cli("decode", clip.with_suffix(".npz"), "--model", model)
    assert ran.code == 0, ran.err
    info = probe(clip.with_name("clip.decoded.mp4"))
    assert (info.frames, info.width, info.height, info.rate) == (20, 112, 64, 10)

    shown = json.loads(cli("info", clip.with_suffix(".npz"), "--json").out)
    assert shown["family"] == tokens.meta.family and shown["bits"] == encoded["bits"]
    assert str(next(iter(shown["shapes"].values()))[-1]) in cli("info", clip.with_suffix(".npz")).out
    described = json.loads(cli("info", model, "--json").out)
    assert described["model"] == name and described["clip_256"]["bits"] > 0
    assert "at 256x256" in cli("info", model).out

    ran = cli("roundtrip", clip, "--model", model, "--json")
    assert ran.code == 0, ran.err
    assert len(list((clip.parent / "clip.roundtrip").iterdir())) == 5

    ran = cli("eval", clip, "--model", model, "--json")
    assert ran.code == 0, ran.err
    record = json.loads(ran.out)
    (measured,) = record["contenders"]
    assert record["data"]["frames"] == 20 and measured["cost"]["bits"] == pytest.approx(encoded["bits"])
    assert measured["summary"]["psnr"]["value"] > 3 and measured["family"] == tokens.meta.family
    lists = measured["codebooks"]
    assert set(lists) == (set() if name in CONTINUOUS else {"codes"})

    ran = cli("words", clip.with_suffix(".npz"))
    assert ran.code == 1 and "whose codebook has no words" in ran.err

    ran = cli("export", clip.with_suffix(".npz"), "-o", clip.with_name("shards"), "--model", model)
    if name in CONTINUOUS:
        assert ran.code == 1 and "clip.npz holds continuous latents, which are no symbols" in ran.err
        return
    assert ran.code == 0, ran.err
    assert cli("import", clip.with_name("shards"), "-o", clip.with_name("back")).code == 0
    assert (clip.parent / "back" / "clip.npz").read_bytes() == clip.with_suffix(".npz").read_bytes()


def test_an_image_that_a_family_does_not_take(cli: Cli, models: Path, tmp_path: Path) -> None:
    from sweettok_cli.video import write_image

    write_image(tmp_path / "a.png", np.full((40, 70, 3), 99, np.uint8))
    ran = cli("encode", tmp_path / "a.png", "--model", models / "vidtok-kl-noncausal")
    assert ran.code == 1 and "is an image, which vidtok-kl-noncausal cannot encode" in ran.err
    assert (
        cli("encode", tmp_path / "a.png", "--model", models / "vidtok-kl-causal", "--sample", "3").code == 0
    )
    assert (
        cli("encode", tmp_path / "a.png", "--model", models / "omnitokenizer", "--sample", "3", "-f").code
        == 1
    )


def test_tokens_of_a_later_family_ask_for_an_update(cli: Cli, tmp_path: Path) -> None:
    """And tokens said to be of a family that lays them out otherwise are refused by every command."""
    meta = TokenMeta(
        family="magvit",
        model="magvit-3",
        weights_sha256="ab" * 32,
        codebooks={"indices": (8,)},
        shapes={"indices": (5, 4, 4)},
        source="a.mp4",
        image=False,
        width=32,
        height=32,
        padded_width=32,
        padded_height=32,
        frames=17,
        rate=Fraction(10),
        clip_frames=17,
    )
    file = tmp_path / "a.npz"
    tokens = Tokens({"indices": np.zeros((1, 5, 4, 4), np.uint16)}, meta)
    write_tokens(file, tokens)
    for command in ("info", "words", "decode", "export"):
        ran = cli(command, file)
        assert ran.code == 1
        assert f"{file} holds tokens of an unknown family 'magvit', which is none of sweettok," in ran.err
        assert ran.err.endswith("; update sweettok.\n")
    other = tmp_path / "b.npz"
    write_tokens(other, Tokens(tokens.arrays, replace(meta, family="vidtok-kl")))
    for command in ("info", "words", "decode", "export"):
        ran = cli(command, other)
        assert ran.code == 1
        wrong = "does not describe the arrays of the family 'vidtok-kl'; encode the source again."
        assert ran.err.endswith(f"{other} {wrong}\n")


def test_streams_take_no_overlap(cli: Cli, models: Path, clip: Path) -> None:
    ran = cli("encode", clip, "--model", models / "vidtok-kl-v1.1", "--overlap", "2")
    assert ran.code == 1 and "as one stream" in ran.err and not clip.with_suffix(".npz").exists()
