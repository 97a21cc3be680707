from __future__ import annotations

import dataclasses
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer

from sweettok_cli.errors import SweettokError
from sweettok_cli.holding import claimed
from sweettok_cli.pipeline.batch import Result
from sweettok_cli.pipeline.decode_folder import DecodeJob, decode_folder, decode_job, decoded_name
from sweettok_cli.tokens import TokenMeta, Tokens, read_tokens, write_tokens
from sweettok_cli.video import VideoReader, probe


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A video of 5 frames, 10 a second, and a picture below; beside them what is no token file."""
    folder = tmp_path / "tokens"
    (folder / "sub").mkdir(parents=True)
    video = np.random.default_rng(0).integers(0, 255, (5, 32, 48, 3), np.uint8)
    for name, source in (("clip.npz", video), ("sub/photo.png.npz", video[0])):
        tokens = BlockTokenizer().encode(source, rate=10)
        meta = dataclasses.replace(tokens.meta, source=name.removesuffix(".npz"))
        write_tokens(folder / name, Tokens(tokens.arrays, meta))
    (folder / "notes.txt").touch()
    return folder


def load(meta: TokenMeta, tokens_file: str) -> BlockTokenizer:
    return BlockTokenizer()


def decoded(*given: Path, output: Path | None = None, **options: Any) -> list[Result]:
    return list(decode_folder(given, output, load, **options))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("tokens", "image", "kind", "expected"),
    [
        ("clip.npz", False, None, "clip.decoded.mp4"),
        ("CLIP.NPZ", False, None, "CLIP.decoded.mp4"),
        ("clip.avi.npz", False, ".webm", "clip.avi.decoded.webm"),
        ("clip.npz", False, ".png", "clip.decoded/%06d.png"),
        ("photo.png.npz", True, None, "photo.png.decoded.png"),
        ("photo.png.npz", True, ".webp", "photo.png.decoded.webp"),
        ("photo.png.npz", True, ".webm", "photo.png.decoded.png"),
    ],
)
def test_names(tokens: str, image: bool, kind: str | None, expected: str) -> None:
    assert decoded_name(Path(tokens), image, kind) == expected


def test_a_folder_keeps_its_structure(shelf: Path) -> None:
    out = shelf.parent / "new" / "out"
    assert [result.status for result in decoded(shelf, output=out)] == ["done"] * 2
    assert names(out) == ["clip.decoded.mp4", "sub/photo.png.decoded.png"]
    info = probe(out / "clip.decoded.mp4")
    assert (info.width, info.height, info.frames, info.rate) == (48, 32, 5, 10)


@pytest.mark.parametrize("kind", [".mkv", ".webm", ".gif", ".png", ".npy"])
def test_every_kind_comes_back(shelf: Path, kind: str) -> None:
    out = shelf.parent / "out"
    out.mkdir()
    (result,) = decoded(shelf / "clip.npz", output=out, kind=kind)
    assert result.status == "done" and result.error is None
    if kind == ".png":
        assert names(out) == [f"clip.decoded/{number:06}.png" for number in range(1, 6)]
        with VideoReader(out / "clip.decoded/000003.png") as reader:
            (third,) = (frame.rgb for frame in reader)
        expected = BlockTokenizer().decode(read_tokens(shelf / "clip.npz"))[2]
        assert (third == expected).all()
        return
    assert names(out) == [f"clip.decoded{kind}"]
    if kind == ".npy":
        assert np.load(out / names(out)[0]).shape == (5, 32, 48, 3)
        return
    with VideoReader(out / names(out)[0]) as reader:
        assert (len(list(reader)), reader.info.rate) == (5, 10)


def test_what_is_there_is_refused_skipped_or_replaced(shelf: Path) -> None:
    for kind in (None, ".png"):
        decoded(shelf, kind=kind)
        again = decoded(shelf, kind=kind)
        assert [result.status for result in again] == ["refused"] * 2
        assert all("force=True" in str(result.error) for result in again)
        assert [r.status for r in decoded(shelf, kind=kind, skip_existing=True)] == ["skipped"] * 2
        os.utime(shelf / "clip.npz", (4e9, 4e9))
        old, _ = decoded(shelf, kind=kind, skip_existing=True)
        assert "has changed since" in str(old.error) and old.status == "refused"
        redone = decoded(shelf, kind=kind, skip_existing=True, force=True)
        assert sorted(result.status for result in redone) == ["done", "skipped"]
        os.utime(shelf / "clip.npz", (1e9, 1e9))


def test_an_unfinished_sequence_is_not_skipped(shelf: Path) -> None:
    decoded(shelf / "clip.npz", kind=".png")
    (shelf / "clip.decoded" / "000005.png").unlink()
    (result,) = decoded(shelf / "clip.npz", kind=".png", skip_existing=True)
    assert result.status == "refused" and "000005.png" in str(result.error)
    (result,) = decoded(shelf / "clip.npz", kind=".png", skip_existing=True, force=True)
    assert result.status == "done" and len(names(shelf / "clip.decoded")) == 5


def test_what_fails_costs_no_other(shelf: Path) -> None:
    (shelf / "bad.npz").write_bytes(b"text")
    (shelf / "gone.npz").symlink_to(shelf / "nowhere.npz")
    results = decoded(shelf, shelf / "none.npz")
    assert sorted((result.source.name, result.status) for result in results) == [
        ("bad.npz", "refused"),
        ("clip.npz", "done"),
        ("gone.npz", "refused"),
        ("none.npz", "refused"),
        ("photo.png.npz", "done"),
    ]
    said = {result.source.name: str(result.error) for result in results}
    assert "is a broken link" in said["gone.npz"] and "does not exist" in said["none.npz"]


def test_a_model_that_is_not_there_costs_no_other(shelf: Path) -> None:
    tokens = read_tokens(shelf / "clip.npz")
    meta = dataclasses.replace(tokens.meta, weights_sha256="ab" * 32)
    write_tokens(shelf / "a.npz", Tokens(tokens.arrays, meta))
    loaded = []

    def find(meta: TokenMeta, tokens_file: str) -> BlockTokenizer:
        loaded.append(Path(tokens_file).name)
        if meta.weights_sha256.startswith("ab"):
            raise SweettokError("There is no such model.")
        return BlockTokenizer()

    results = list(decode_folder([shelf], None, find))
    assert results[0].source.name == "a.npz"
    assert [r.status for r in results] == ["failed", "done", "done"]


def test_what_another_program_makes_is_left_to_it(shelf: Path) -> None:
    for kind, claim in ((None, shelf / "clip.decoded.mp4"), (".png", shelf / "clip.decoded.%06d.png")):
        with claimed(claim) as mine:
            assert mine
            result = next(r for r in decoded(shelf, kind=kind) if r.source.name == "clip.npz")
        assert (result.status, result.busy) == ("skipped", True)


def test_what_another_program_wrote_meanwhile_is_skipped(shelf: Path) -> None:
    def find(meta: TokenMeta, tokens_file: str) -> BlockTokenizer:
        other = DecodeJob(shelf / "clip.npz", shelf / "back.mp4", meta)
        assert decode_job(other, load).status == "done"
        return BlockTokenizer()

    (result,) = decode_folder([shelf / "clip.npz"], shelf / "back.mp4", find)
    assert result.status == "skipped" and probe(shelf / "back.mp4").frames == 5


@pytest.mark.parametrize(
    ("source", "output", "said"),
    [
        ("clip.npz", "a.png", r"which is not written as a\.png; name it \.mp4, or frames_%04d\.png"),
        ("sub/photo.png.npz", "a.mp4", r"holds an image, .* name it \.png"),
        ("sub/photo.png.npz", "a.gif", r"holds an image, .* name it \.png"),
        ("clip.npz", "a.avi", r"a\.avi does not end in \.mp4"),
        (".", "a.mp4", "names one file, and there may be several"),
        (".", "a_%04d.png", "names one file, and there may be several"),
    ],
)
def test_what_cannot_be_written_so_is_said_before_a_model_is_asked(
    shelf: Path, source: str, output: str, said: str
) -> None:
    with pytest.raises(SweettokError, match=said):
        results = list(decode_folder([shelf / source], shelf / output, lambda *_: pytest.fail("no model")))
        raise results[0].error or AssertionError


def test_what_a_kind_cannot_hold_is_said(shelf: Path) -> None:
    tokens = read_tokens(shelf / "clip.npz")
    stretched = dataclasses.replace(tokens.meta, sample_aspect_ratio=Fraction(64, 45))
    fast = dataclasses.replace(tokens.meta, rate=Fraction(600))
    write_tokens(shelf / "clip.npz", Tokens(tokens.arrays, stretched), force=True)
    for kind, heard in ((".gif", 1), (".webm", 1), (".png", 1), (".mkv", 0), (".mp4", 0)):
        warnings: list[str] = []
        (result,) = decoded(shelf / "clip.npz", kind=kind, warn=warnings.append)
        assert result.status == "done" and len(warnings) == heard
        assert not warnings or "64:45" in warnings[0]
    write_tokens(shelf / "clip.npz", Tokens(tokens.arrays, fast), force=True)
    for kind in (".gif", ".webm", ".mkv"):
        (result,) = decoded(shelf / "clip.npz", kind=kind, force=True)
        assert result.status == "refused" and "name it .mp4" in str(result.error)
    for kind in (".gif", ".png", ".npy"):
        sound: dict[str, Any] = {"kind": kind, "audio_from": shelf / "a.mp4", "force": True}
        slow = dataclasses.replace(tokens.meta, rate=Fraction(10))
        write_tokens(shelf / "clip.npz", Tokens(tokens.arrays, slow), force=True)
        (result,) = decoded(shelf / "clip.npz", **sound)
        assert result.status == "refused" and "no sound" in str(result.error)
    with pytest.raises(SweettokError, match="belongs to one video"):
        decoded(shelf, audio_from=shelf / "a.mp4")


def test_nothing_to_decode_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    for given, said in (([], "nothing to decode"), ([tmp_path], "holds no token file")):
        with pytest.raises(SweettokError, match=said):
            decoded(*given)
