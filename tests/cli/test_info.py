from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from fractions import Fraction
from math import comb, log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from block_tokenizer import LEVELS, BlockTokenizer
from PIL import Image
from ragged_tokenizer import RaggedTokenizer
from small_network import small_network, word_prior
from small_run import write_clip
from video import torture

from sweettok_cli.models.sweettok.folder import save_model_folder
from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.tokens import Tokens, token_cost, write_tokens
from sweettok_cli.video import write_image

Cli = Callable[..., Any]
CLIP = "mdn+shared-assets__000.mp4"


@pytest.fixture(scope="module")
def encoded(examples: Path) -> Tokens:
    return encode_video(examples / CLIP, BlockTokenizer())


@pytest.fixture
def tokens(tmp_path: Path, encoded: Tokens) -> Path:
    write_tokens(tmp_path / "clip.npz", encoded)
    return tmp_path / "clip.npz"


def test_tokens_and_their_price(cli: Cli, tokens: Path) -> None:
    ran = cli("info", tokens, "--json")
    data = json.loads(ran.out)
    bits = 4 * 32 * 3 * (16 * log2(256) + 64 * log2(LEVELS))
    assert data["clips"] == 4
    assert data["tokens"] == 4 * 32 * 80
    assert data["bits"] == pytest.approx(bits)
    assert data["bits_per_pixel"] == pytest.approx(bits / (60 * 454 * 256))
    assert data["kbit_per_second"] == pytest.approx(bits / 1000 / 2.002, rel=1e-3)
    assert (data["model"], data["source"]) == ("blocks", CLIP)
    assert data["rate"] == "2997/100"


def test_text_names_the_same(cli: Cli, tokens: Path) -> None:
    ran = cli("info", tokens)
    assert (ran.code, ran.err) == (0, "")
    assert "blocks (weights b10cb10cb10c)" in ran.out
    assert "454x256, 60 frames, 29.97 fps, 2.00 s" in ran.out
    assert "10,240 (512 spatial + 2048 temporal a clip)" in ran.out


def test_how_tokens_of_levels_are_spread(cli: Cli, tmp_path: Path, examples: Path) -> None:
    tokens = encode_video(examples / CLIP, RaggedTokenizer())
    write_tokens(tmp_path / "clip.npz", tokens)
    data = json.loads(cli("info", tmp_path / "clip.npz", "--json").out)
    counts = {name: tokens.arrays[f"{name}_counts"] for name in ("temporal", "detail")}
    assert data["tokens"] == 4 * 512 + sum(int(array.sum()) for array in counts.values())
    assert data["levels"] == {"temporal": 1, "detail": 2}
    for name, array in counts.items():
        sums, found = array.reshape(4, -1).sum(axis=1), data["spread"][name]
        assert (found["least"], found["most"], found["mean"]) == (sums.min(), sums.max(), sums.mean())
        assert found["positions"] == np.bincount(array.ravel(), minlength=data["levels"][name] + 1).tolist()
    bits = 15 * 4 * 512 + 9 * counts["detail"].sum() + 12 * counts["temporal"].sum()
    places = 4 * 2048, int(counts["temporal"].sum())
    assert data["bits"] > bits + log2(comb(*places))
    assert data["bits"] == token_cost(tokens.meta).bits
    text = cli("info", tmp_path / "clip.npz").out
    sums = counts["detail"].reshape(4, -1).sum(axis=1)
    assert " = 512 spatial + " in text and f"({sums.min():,} to {sums.max():,}) detail a clip)" in text
    assert re.search(r"temporal positions  of 2048 a clip, \d+ % have no token, \d+ % have 1\n", text)
    assert re.search(r"detail positions    of 5x32x64 a clip, \d+ % have no token, \d+ % have 1, ", text)


def test_tokens_of_levels_of_an_image(cli: Cli, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.full((9, 7, 3), 32, np.uint8))
    write_tokens(tmp_path / "a.npz", encode_video(tmp_path / "a.png", RaggedTokenizer()))
    text = cli("info", tmp_path / "a.npz").out
    assert "16 (16 = 16 spatial + 0 temporal + 0 detail a clip)" in text
    assert (
        "detail positions  of 1x8x8 a clip, 100 % have no token\n" in text
        and "temporal positions" not in text
    )


def test_a_model_with_levels_says_what_a_clip_may_cost(cli: Cli, blocks: list[BlockTokenizer]) -> None:
    data = json.loads(cli("info", "stairs", "--json").out)
    assert data["clip_256"]["tokens"] == {"spatial": 256, "temporal": 1024, "detail": 10240}
    assert data["least_256"]["tokens"] == {"spatial": 256, "temporal": 0, "detail": 0}
    assert data["least_256"]["bits"] == pytest.approx(256 * 15 + log2(1025) + log2(5121))
    text = cli("info", "stairs").out
    assert "256 spatial + 0 to 1024 temporal + 0 to 10240 detail tokens, 768 to 14080 indices, 3,862 " in text


def test_a_video_and_an_image(cli: Cli, examples: Path, tmp_path: Path) -> None:
    data = json.loads(cli("info", examples / CLIP, "--json").out)
    assert (data["kind"], data["width"], data["frames"], data["sound"]) == ("video", 454, 60, False)
    assert "454x256, 60 frames" in cli("info", examples / CLIP).out
    write_clip(tmp_path / "short.mp4", 1, frames=1)
    assert "96x80, 1 frame, 25 fps" in cli("info", tmp_path / "short.mp4").out
    write_image(tmp_path / "a.png", np.zeros((9, 7, 3), np.uint8))
    assert json.loads(cli("info", tmp_path / "a.png", "--json").out)["kind"] == "image"
    assert "7x9, one image" in cli("info", tmp_path / "a.png").out


def test_tokens_of_an_image(cli: Cli, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((9, 7, 3), np.uint8))
    write_tokens(tmp_path / "a.npz", encode_video(tmp_path / "a.png", BlockTokenizer()))
    data = json.loads(cli("info", tmp_path / "a.npz", "--json").out)
    assert (data["tokens"], data["bits"], data["kbit_per_second"]) == (16, 16 * 24, None)
    assert "one image" in cli("info", tmp_path / "a.npz").out


def test_a_damaged_token_file(cli: Cli, tokens: Path) -> None:
    tokens.write_bytes(tokens.read_bytes()[:-100])
    ran = cli("info", tokens)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"error: {tokens} is a damaged")


def test_a_model(cli: Cli, tmp_path: Path) -> None:
    words = word_prior()
    save_model_folder(tmp_path / "tiny", small_network(words), words)
    data = json.loads(cli("info", tmp_path / "tiny", "--json").out)
    bits = 256 * (2 * log2(20) + log2(30)) + 1024 * (2 * log2(12) + log2(18))
    assert (data["kind"], data["model"], data["multiple"]) == ("model", "tiny", 64)
    assert data["clip_256"]["tokens"] == {"spatial": 256, "temporal": 1024}
    assert data["clip_256"]["bits"] == pytest.approx(bits)
    text = cli("info", tmp_path / "tiny").out
    assert "20 adjectives, 30 nouns; 12 adverbs, 18 verbs" in text
    assert "256 + 1024 tokens, 3840 indices" in text
    (tmp_path / "tiny" / "words.json").unlink()
    assert cli("info", tmp_path / "tiny").code == 1
    assert "is a folder" in cli("info", tmp_path).err


def test_what_files_say_forges_no_rows(cli: Cli, tmp_path: Path, encoded: Tokens) -> None:
    forged = "a.mp4\ntrue bits        1\x1b[2J\x9b\u202e\u2028"
    meta = dataclasses.replace(encoded.meta, source=forged, model="sweettok\rnone")
    path = tmp_path / "a\x1b[1m.npz"
    write_tokens(path, Tokens(encoded.arrays, meta))
    ran = cli("info", path)
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()].count("true") == 1
    assert not set(ran.out) & set("\x1b\x9b\r\u202e\u2028")
    assert r"sweettok\rnone" in ran.out
    assert r"a\x1b[1m.npz" in ran.out
    as_json = cli("info", path, "--json").out
    assert not set(as_json) & set("\x1b\x9b\u202e\u2028")
    assert json.loads(as_json)["source"] == forged


def test_how_pictures_are_stored_and_what_is_lost(cli: Cli, tmp_path: Path) -> None:
    path = torture.high_dynamic_range(tmp_path / "a.mp4", aspect=Fraction(4, 3))
    torture.turn(path, (0, 1, -1, 0))
    data = json.loads(cli("info", path, "--json").out)
    assert (data["codec"], data["pixel_format"], data["rotation"]) == ("h264", "yuv420p10le", 90)
    assert (data["transfer"], data["sample_aspect_ratio"]) == ("smpte2084", "3/4")
    text = cli("info", path).out
    assert "h264, yuv420p10le" in text and "bt2020nc matrix" in text and "not tone-mapped" in text
    assert "turned by 90 degrees, pixels of 3:4" in text
    Image.new("LA", (8, 8)).save(tmp_path / "a.png")
    text = cli("info", tmp_path / "a.png").out
    assert "PNG, LA" in text and "laid over white" in text
