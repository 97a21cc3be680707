from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweettok_cli.tokens import TokenMeta, Tokens, read_tokens, write_tokens

Cli = Callable[..., Any]
WORDS = {
    "spatial": {"modifiers": ["red", "old", "wet", "big"], "heads": ["cat", "sea", "sky"]},
    "temporal": {"modifiers": ["up", "fast"], "heads": ["run", "fall"]},
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder without weights: the command reads its words alone."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "words.json").write_text(json.dumps(WORDS))
    config = {"format": "sweettok-model", "version": 1, "name": "made-up"}
    config |= {"family": "sweettok", "weights_sha256": "ab" * 32, "config": {}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """One clip of 64x64 whose 16 spatial and 64 temporal tokens name known words."""
    spatial = np.tile(np.array([0, 1, 2], np.uint16), (1, 16, 1))
    spatial[0, :4] = [0, 0, 1]
    temporal = np.tile(np.array([1, 1, 0], np.uint16), (1, 64, 1))
    meta = TokenMeta(
        family="sweettok",
        model="made-up",
        weights_sha256="ab" * 32,
        codebooks={"spatial": (4, 4, 3), "temporal": (2, 2, 2)},
        shapes={"spatial": (16, 3), "temporal": (64, 3)},
        source="clip.mp4",
        image=False,
        width=64,
        height=64,
        padded_width=64,
        padded_height=64,
        frames=17,
        rate=Fraction(25),
        clip_frames=17,
    )
    path = tmp_path / "clip.npz"
    write_tokens(path, Tokens({"spatial": spatial, "temporal": temporal}, meta))
    return path


def test_words_are_ranked_by_part_of_speech(cli: Cli, tokens: Path, model: Path) -> None:
    ran = cli("words", tokens, "--model", model, "--json")
    assert (ran.code, ran.err) == (0, "")
    record = json.loads(ran.out)
    assert record["model"] == "made-up"
    assert record["words"]["adjectives"] == [
        {"word": "red", "count": 20, "share": 20 / 32},
        {"word": "old", "count": 12, "share": 12 / 32},
    ]
    assert [word["word"] for word in record["words"]["nouns"]] == ["sky", "sea"]
    assert record["words"]["adverbs"] == [{"word": "fast", "count": 128, "share": 1.0}]
    assert record["words"]["verbs"] == [{"word": "run", "count": 64, "share": 1.0}]
    assert record["use"]["adjectives"]["use"] == 0.5


def test_top_limits_text_and_json(cli: Cli, tokens: Path, model: Path) -> None:
    ran = cli("words", tokens, "-m", model, "--top", 1)
    assert "red" in ran.out and "62.5 %" in ran.out
    assert "old" not in ran.out
    assert "adjectives: 2 of 4" in ran.out
    record = json.loads(cli("words", tokens, "-m", model, "--top", 1, "--json").out)
    assert [len(words) for words in record["words"].values()] == [1, 1, 1, 1]


def test_levels_are_shown_where_there_are_several(
    cli: Cli, tokens: Path, model: Path, tmp_path: Path
) -> None:
    read = read_tokens(tokens)
    counts = np.zeros((1, 5, 8, 8), np.uint8)
    counts[0, 2, 7, 5] = 2
    arrays = {
        "spatial": read.arrays["spatial"],
        "temporal": read.arrays["temporal"][0, :1],
        "temporal_counts": np.eye(1, 64, 5, dtype=np.uint8),
        "detail": np.array([[0]] * 2, np.uint16),
        "detail_counts": counts,
    }
    meta = dataclasses.replace(
        read.meta,
        codebooks={**read.meta.codebooks, "detail": read.meta.codebooks["spatial"][-1:]},
        shapes={**read.meta.shapes, "detail": (5, 8, 8, 1)},
        levels={"temporal": 1, "detail": 4},
        rows={"temporal": (1,), "detail": (1, 1, 0, 0)},
    )
    write_tokens(tmp_path / "levels.npz", Tokens(arrays, meta))
    record = json.loads(cli("words", tmp_path / "levels.npz", "-m", model, "--json").out)
    before = json.loads(cli("words", tokens, "-m", model, "--json").out)
    assert record["words"]["nouns"] == before["words"]["nouns"]  # of 16, as without detail
    assert record["words"]["detail"] == [{"word": "cat", "count": 2, "share": 1.0, "levels": [1, 1]}]
    assert record["use"]["nouns"] == before["use"]["nouns"] and record["use"]["detail"]["used"] == 1
    assert record["words"]["verbs"] == [{"word": "run", "count": 1, "share": 1.0}]
    assert {word["word"] for word in record["words"]["adjectives"]} == {"red", "old"}  # detail has none
    text = cli("words", tmp_path / "levels.npz", "-m", model).out
    assert "nouns of detail: 1 of 3" in text and "by level" in text and "1 + 1" in text
    for given in ((tokens, tmp_path / "levels.npz"), (tmp_path / "levels.npz", tokens)):
        both = json.loads(cli("words", *given, "-m", model, "--json").out)
        assert [[*file["words"]] for file in both["files"]] == [[*record["words"]]] * 2
        assert cli("words", *given, "-m", model).code == 0
    assert "by level" not in cli("words", tokens, "-m", model).out


def test_words_of_other_weights_are_refused(cli: Cli, tokens: Path, model: Path) -> None:
    config = model / "config.json"
    config.write_text(config.read_text().replace("ab" * 32, "cd" * 32))
    ran = cli("words", tokens, "-m", model)
    assert ran.code == 1
    assert "made with weights abababababab, but" in ran.err and "cdcdcdcdcdcd" in ran.err


def test_words_that_do_not_fit_the_codebook_are_refused(cli: Cli, tokens: Path, model: Path) -> None:
    (model / "words.json").write_text(json.dumps(WORDS | {"temporal": {"modifiers": [], "heads": []}}))
    ran = cli("words", tokens, "-m", model)
    assert ran.code == 1
    assert "words.json, temporal: the word list has 0 modifiers" in ran.err


@pytest.mark.parametrize("content", [None, "[]", "{", '{"spatial": {"modifiers": []}}'])
def test_a_model_without_usable_words_is_one_sentence(
    cli: Cli, tokens: Path, model: Path, content: str | None
) -> None:
    (model / "words.json").unlink()
    if content is not None:
        (model / "words.json").write_text(content)
    ran = cli("words", tokens, "-m", model)
    assert ran.code == 1
    assert ran.err.startswith("error: ") and ran.err.count("\n") == 1
    assert "words.json" in ran.err


def test_tokens_of_an_unknown_model_need_its_folder(cli: Cli, tokens: Path) -> None:
    ran = cli("words", tokens)
    assert ran.code == 1
    assert "made-up" in ran.err


def test_what_is_no_token_file_is_one_sentence(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("text")
    for name in ("a.npz", "absent.npz"):
        ran = cli("words", tmp_path / name)
        assert ran.code == 1
        assert name in ran.err and ran.err.count("\n") == 1
    assert cli("words").code == 2


def test_several_files_show_what_tells_each(cli: Cli, tokens: Path, model: Path, tmp_path: Path) -> None:
    from sweettok_cli.tokens import read_tokens

    folder = tmp_path / "tokens"
    folder.mkdir()
    read = read_tokens(tokens)
    tokens.replace(folder / "a.npz")
    changed = read.arrays | {"spatial": np.zeros_like(read.arrays["spatial"])}
    write_tokens(folder / "b.npz", Tokens(changed, read.meta))
    ran = cli("words", folder, "-m", model, "--json")
    assert (ran.code, ran.err) == (0, "")
    record = json.loads(ran.out)
    assert [Path(each["file"]).name for each in record["files"]] == ["a.npz", "b.npz"]
    first, second = (each["words"] for each in record["files"])
    assert [word["word"] for word in first["adjectives"]] == ["old"]
    assert [word["word"] for word in first["nouns"]] == ["sky", "sea"]
    assert [word["word"] for word in second["nouns"]] == ["cat"]
    assert first["verbs"] == second["verbs"] == []
    text = cli("words", folder / "a.npz", folder / "b.npz", "-m", model, "--top", 1).out
    assert "sky x2.0" in text and "sea" not in text and "cat x2.0" in text


def test_a_picture_has_no_columns_of_what_moves(cli: Cli, tokens: Path, model: Path, tmp_path: Path) -> None:
    from sweettok_cli.tokens import read_tokens

    read = read_tokens(tokens)
    shapes = {"spatial": (16, 3), "temporal": (0, 3)}
    meta = TokenMeta(**{**vars(read.meta), "image": True, "frames": 1, "clip_frames": 1, "shapes": shapes})
    for name, noun in (("a.npz", 0), ("b.npz", 1)):
        arrays = {"spatial": np.full((1, 16, 3), noun, np.uint16), "temporal": np.zeros((1, 0, 3), np.uint16)}
        write_tokens(tmp_path / name, Tokens(arrays, meta))
    for files in (["a.npz"], ["a.npz", "b.npz"]):
        text = cli("words", *(tmp_path / name for name in files), "-m", model).out
        assert "adjectives" in text and "nouns" in text and "cat" in text
        assert "adverbs" not in text and "verbs" not in text
    record = json.loads(cli("words", tmp_path / "a.npz", "-m", model, "--json").out)
    assert record["words"]["verbs"] == [] and record["use"]["verbs"]["used"] == 0


def test_one_bad_file_of_several_is_listed(cli: Cli, tokens: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_text("text")
    ran = cli("words", tokens, tmp_path / "bad.npz", "-m", model, "--json")
    assert ran.code == 1 and ran.err.count("\n") == 1 and "bad.npz" in ran.err
    record = json.loads(ran.out)
    assert len(record["files"]) == 1 and len(record["failed"]) == 1


def test_files_of_different_models_are_refused(cli: Cli, tokens: Path, model: Path, tmp_path: Path) -> None:
    from sweettok_cli.tokens import read_tokens

    read = read_tokens(tokens)
    meta = TokenMeta(**{**vars(read.meta), "weights_sha256": "cd" * 32})
    write_tokens(tmp_path / "other.npz", Tokens(read.arrays, meta))
    ran = cli("words", tokens, tmp_path / "other.npz", "-m", model)
    assert ran.code == 1 and "cdcdcdcdcdcd" in ran.err


def test_the_video_needs_its_source(cli: Cli, tokens: Path, model: Path, tmp_path: Path) -> None:
    ran = cli("words", tokens, "-m", model, "--video", tmp_path / "out.mp4")
    assert ran.code == 1 and "clip.mp4 is not there" in ran.err and "--source" in ran.err
    assert cli("words", tokens, "--source", tokens).code == 2
    assert cli("words", tokens, tokens, "--video", tmp_path / "out.mp4").code == 2
    for name, said in (("out.xyz", ".mp4, .m4v, .mov, .mkv, .webm, .avif"), ("out.png", ".mp4, .m4v")):
        ran = cli("words", tokens, "-m", model, "--video", tmp_path / name, "--source", tokens)
        assert ran.code == 2 and f"{name} does not end in {said}" in ran.err, ran.err
        assert ran.err.count("\n") == 1 and not (tmp_path / name).exists()
    (tmp_path / "out.mp4").write_text("mine")
    ran = cli("words", tokens, "-m", model, "--video", tmp_path / "out.mp4")
    assert ran.code == 1 and "exists" in ran.err


def test_an_empty_folder_is_one_sentence(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = cli("words", tmp_path / "empty")
    assert ran.code == 1 and "holds no token file" in ran.err


def test_torch_is_not_loaded(tokens: Path, model: Path) -> None:
    code = (
        "import sys; from sweettok_cli.cli.app import app\n"
        f"app(['words', {str(tokens)!r}, '-m', {str(model)!r}], standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "adjectives" in done.stdout


def test_the_shipped_model_names_real_words(process: Cli, tmp_path: Path) -> None:
    from sweettok_cli.video import write_image

    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    write_image(
        tmp_path / "photo.png", np.stack(np.broadcast_arrays(ramp, ramp[:, None], 90), -1).astype(np.uint8)
    )
    process("encode", "photo.png", "--quiet", check_code=0)
    record = json.loads(process("words", "photo.png.npz", "--json", check_code=0).out)
    assert record["model"] == "sweettok-small"
    assert sum(word["count"] for word in record["words"]["nouns"]) == 16
    assert all(word["word"].isprintable() and word["word"] for word in record["words"]["adjectives"])
    assert record["words"]["verbs"] == []


@pytest.mark.slow
def test_words_are_written_over_a_clip(process: Cli, examples: Path, tmp_path: Path) -> None:
    from sweettok_cli.video import VideoReader

    clip = examples / "intel-iot-devkit+sample-videos__001.mp4"
    out = process("words", clip, "--video", "words.mp4", "--top", "1", "--json", check_code=0).out
    assert json.loads(out)["video"] == "words.mp4"
    with VideoReader(clip) as before, VideoReader(tmp_path / "words.mp4") as after:
        assert after.info.rate == before.info.rate and after.info.width > 2 * before.info.width
        assert sum(1 for _ in after) == sum(1 for _ in before)


@pytest.mark.parametrize("source", [".", "", "/etc/passwd", "../../clip.mp4", "x" * 300])
def test_a_source_that_is_no_name_of_a_file_matters_to_no_words(
    cli: Cli, tokens: Path, model: Path, tmp_path: Path, source: str
) -> None:
    given = read_tokens(tokens)
    odd = tmp_path / "odd.npz"
    write_tokens(odd, dataclasses.replace(given, meta=dataclasses.replace(given.meta, source=source)))
    assert cli("words", odd, "-m", model).code == 0
    ran = cli("words", odd, "-m", model, "--video", tmp_path / "out.mp4")
    assert ran.code == 1 and not (tmp_path / "out.mp4").exists()
    assert ran.err.startswith("error: ") and ran.err.count("\n") == 1 and "inside sweettok" not in ran.err
