from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweettok_cli.models.common.tokenizer import Tokenizer, decode_frames
from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.tokens import Tokens, read_tokens, write_tokens
from sweettok_cli.tokens.layout import token_cost
from sweettok_cli.video import VideoReader, VideoWriter, probe, write_image
from sweettok_cli.zoo.load import load

Cli = Callable[..., Any]
CLIP = "intel-iot-devkit+sample-videos__001.mp4"


@pytest.fixture(scope="module")
def tokenizer(model_folder: Path) -> Tokenizer:
    return load(str(model_folder), "cpu", "float32")


@pytest.fixture(scope="module")
def encoded(small_clip: Path, tokenizer: Tokenizer) -> Tokens:
    return encode_video(small_clip, tokenizer)


@pytest.fixture
def tokens(tmp_path: Path, encoded: Tokens) -> Path:
    write_tokens(tmp_path / "clip.npz", encoded)
    return tmp_path / "clip.npz"


@pytest.fixture
def image_tokens(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    write_image(tmp_path / "photo.png", np.full((40, 70, 3), 99, np.uint8))
    write_tokens(tmp_path / "photo.npz", encode_video(tmp_path / "photo.png", tokenizer))
    return tmp_path / "photo.npz"


def test_tokens_become_the_video_they_were(cli: Cli, model_folder: Path, tokens: Path) -> None:
    ran = cli("decode", tokens, "--model", model_folder)
    target = tokens.with_name("clip.decoded.mp4")
    assert (ran.code, ran.out) == (0, f"{target}\n")
    info = probe(target)
    assert (info.width, info.height, info.frames, info.rate) == (112, 64, 20, Fraction(10))


def test_an_image_becomes_an_image(
    cli: Cli, model_folder: Path, tokenizer: Tokenizer, image_tokens: Path
) -> None:
    assert cli("decode", image_tokens, "--model", model_folder, "--device", "cpu").code == 0
    with VideoReader(image_tokens.with_name("photo.decoded.png")) as reader:
        (frame,) = reader
    assert frame.rgb.shape == (40, 70, 3)
    np.testing.assert_array_equal(frame.rgb, next(decode_frames(read_tokens(image_tokens), tokenizer)))
    ran = cli("decode", image_tokens, "--model", model_folder, "-o", "photo.mp4")
    assert ran.code == 2
    assert "name it .png" in ran.err


def test_json_and_folder(cli: Cli, model_folder: Path, tokens: Path) -> None:
    out = tokens.parent / "new" / "out"
    ran = cli("decode", tokens, "--model", model_folder, "-o", out, "--json", "-q", "--crf", "0")
    (record,) = json.loads(ran.out)["decoded"]
    assert ran.err == ""
    assert (record["source"], record["output"]) == (str(tokens), str(out / "clip.decoded.mp4"))
    assert (record["frames"], record["rate"]) == (20, "10")


def test_nothing_is_overwritten_unasked(cli: Cli, model_folder: Path, tokens: Path) -> None:
    target = tokens.with_name("clip.decoded.mp4")
    target.write_text("mine")
    # No model is looked for where nothing can be written.
    ran = cli("decode", tokens, "--model", "unheard-of")
    assert ran.code == 1
    assert "--force" in ran.err
    assert target.read_text() == "mine"
    assert cli("decode", tokens, "--model", model_folder, "--force").code == 0
    assert probe(target).frames == 20


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "no/such/folder/clip.mp4"], "does not exist"),
        (["--audio-from", "none.mp4"], "none.mp4 does not exist"),
        (["--model", "unheard-of"], "There is no model"),
    ],
)
def test_what_cannot_be_done_is_said(
    cli: Cli, model_folder: Path, tokens: Path, arguments: list[str], said: str
) -> None:
    ran = cli("decode", tokens, "--model", model_folder, *arguments)
    assert ran.code == 1
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_name_for_what_is_not_written_is_wrong_usage(cli: Cli, model_folder: Path, tokens: Path) -> None:
    for given, output, said in (
        (tokens, "clip.avi", "does not end in .mp4"),
        (tokens, "clip.png", "frames_%04d.png for its frames"),
        (tokens.parent, "clip.mp4", "names one file, and there may be several"),
        (tokens, "-", "not stdout"),
    ):
        ran = cli("decode", given, "--model", model_folder, "-o", output)
        assert ran.code == 2 and said in ran.err and len(ran.err.splitlines()) == 1
    ran = cli("decode", tokens, "--model", model_folder, "--as", "avi")
    assert ran.code == 2 and "choose from .mp4" in ran.err and len(ran.err.splitlines()) == 1


def test_sound_that_is_not_there_is_said(cli: Cli, model_folder: Path, tokens: Path, examples: Path) -> None:
    ran = cli("decode", tokens, "--model", model_folder, "--audio-from", examples / CLIP, "--quiet")
    assert ran.code == 0
    assert ran.err == f"warning: {examples / CLIP} has no sound; the video is written without.\n"


def test_tokens_of_other_weights_are_refused(
    cli: Cli, model_folder: Path, encoded: Tokens, tmp_path: Path
) -> None:
    other = dataclasses.replace(encoded.meta, weights_sha256="0" * 64)
    write_tokens(tmp_path / "other.npz", Tokens(encoded.arrays, other))
    ran = cli("decode", tmp_path / "other.npz", "--model", model_folder)
    assert ran.code == 1
    assert "other.npz" in ran.err
    assert "000000000000" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["other.npz"]


def test_a_video_is_no_token_file(cli: Cli, examples: Path) -> None:
    ran = cli("decode", examples / CLIP)
    assert ran.code == 1
    assert "is not a token file" in ran.err


def test_the_shipped_model_encodes_and_decodes(process: Cli, examples: Path, tmp_path: Path) -> None:
    with VideoReader(examples / CLIP) as reader:
        source = np.stack([frame.rgb[:128, :128] for frame in itertools.islice(reader, 20)])
        rate = reader.info.rate
    with VideoWriter(tmp_path / "part.mp4", 128, 128, rate) as writer:
        for frame in source:
            writer.write(frame)
    made = process("encode", "part.mp4", "-o", "clip.npz", "--json", check_code=0)
    (record,) = json.loads(made.out)["encoded"]
    assert record["model"] == "sweettok-small"
    meta = read_tokens(tmp_path / "clip.npz").meta
    usual = 2 * 45_234.3 / 4  # of two clips of 128x128
    assert meta.clips == 2 and 0.9 * usual < token_cost(meta).bits <= usual
    assert record["tokens"] == token_cost(meta).tokens
    ran = process("decode", "clip.npz", "--audio-from", examples / CLIP, check_code=0)
    assert ran.out == "clip.decoded.mp4\n"
    with VideoReader(tmp_path / "clip.decoded.mp4") as after:
        assert after.info.rate == rate
        decoded = np.stack([frame.rgb for frame in after])
    assert decoded.shape == source.shape
    # Far below what the weights reach, far above what anything but this clip would.
    errors = source.astype(float) - decoded
    assert -10 * np.log10(np.square(errors).mean() / 255**2) > 18


def test_bare_pixels(
    cli: Cli, model_folder: Path, tokenizer: Tokenizer, tokens: Path, image_tokens: Path
) -> None:
    settings = "--model", model_folder, "--device", "cpu"
    assert cli("decode", tokens, *settings, "-o", tokens.with_name("clip.npy")).code == 0
    video = np.load(tokens.with_name("clip.npy"))
    assert (video.dtype, video.shape) == (np.uint8, (20, 64, 112, 3))
    np.testing.assert_array_equal(video, np.stack(list(decode_frames(read_tokens(tokens), tokenizer))))
    assert cli("decode", image_tokens, *settings, "-o", tokens.with_name("photo.npy")).code == 0
    assert np.load(tokens.with_name("photo.npy")).shape == (40, 70, 3)
    ran = cli("decode", tokens, *settings, "-o", tokens.with_name("b.npy"), "--audio-from", CLIP)
    assert ran.code == 1 and "holds pixels and no sound" in ran.err
