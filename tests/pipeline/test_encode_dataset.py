"""Data sets: what is encoded, what is known again, what is refused."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from encoded_dataset import WEIGHTS, Encoded, picture, statuses

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.budget import Budget
from sweettok_cli.pipeline.folder import encode_folder
from sweettok_cli.tokens import read_tokens


def test_a_manifest_says_what_was_made_and_the_same_again_goes_on(encoded: Encoded, folder: Path) -> None:
    first = encoded(folder)
    assert [result.status for result in first] == ["done"] * 3
    rows = {row.output: row for row in encoded.rows()}
    assert list(rows) == ["a.png.npz", "sub/b.png.npz", "sub/ü c.png.npz"]
    row = rows["sub/b.png.npz"]
    assert (row.source, row.status, row.error) == (str(folder / "sub/b.png"), "done", "")
    assert (row.frames, row.width, row.height, row.clips, row.tokens) == (1, 32, 16, 1, 16)
    assert (row.model, row.weights, row.bits) == ("blocks", WEIGHTS, 16 * 24)
    assert row.source_bytes == (folder / "sub/b.png").stat().st_size
    assert row.file_bytes == (encoded.out / row.output).stat().st_size
    assert encoded.look.begun == [(3, sum(row.source_bytes for row in rows.values()))]
    assert [name for name, _ in encoded.look.ended] == ["a.png", "b.png", "ü c.png"]

    assert [result.status for result in encoded(folder)] == ["skipped"] * 3
    assert len(encoded.loaded) == 1 and encoded.rows() == list(rows.values())


def test_content_decides_and_not_when_it_was_touched(encoded: Encoded, folder: Path) -> None:
    encoded(folder)
    os.utime(folder / "a.png", (4e9, 4e9))
    same = picture(folder / "sub/b.png", 200)
    before = (encoded.out / "sub/b.png.npz").read_bytes()
    assert statuses(encoded(folder)) == {"a.png": "skipped", "b.png": "done", "ü c.png": "skipped"}
    assert (encoded.out / "sub/b.png.npz").read_bytes() != before
    assert encoded.batches() == 4
    # What was touched need not be read again.
    assert encoded.rows()[0].mtime_ns == (folder / "a.png").stat().st_mtime_ns
    stat = same.stat()
    picture(same, 201)
    assert same.stat().st_size == stat.st_size
    assert statuses(encoded(folder))["b.png"] == "done"


def test_what_was_moved_is_not_encoded_again(encoded: Encoded, folder: Path) -> None:
    encoded(folder)
    tokens = read_tokens(encoded.out / "a.png.npz")
    (folder / "new").mkdir()
    (folder / "a.png").rename(folder / "new" / "z.png")
    shutil.copy(folder / "sub/b.png", folder / "copy.png")
    assert statuses(encoded(folder))["z.png"] == "done"
    assert encoded.batches() == 3
    moved = read_tokens(encoded.out / "new/z.png.npz")
    assert moved.meta == replace(tokens.meta, source="z.png")
    assert all(np.array_equal(moved.arrays[name], tokens.arrays[name]) for name in tokens.arrays)
    assert (encoded.out / "a.png.npz").exists()  # nothing is removed
    # Byte for byte what encoding it gives.
    list(encode_folder([folder / "copy.png"], folder / "copy.npz", BlockTokenizer))
    assert (folder / "copy.npz").read_bytes() == (encoded.out / "copy.png.npz").read_bytes()


def test_tokens_that_were_lost_or_cut_are_made_again(encoded: Encoded, folder: Path) -> None:
    encoded(folder)
    whole = (encoded.out / "a.png.npz").read_bytes()
    (encoded.out / "a.png.npz").write_bytes(whole[:-1])
    (encoded.out / "sub/b.png.npz").unlink()
    done = encoded(folder)
    assert statuses(done) == {"a.png": "done", "b.png": "done", "ü c.png": "skipped"}
    assert (encoded.out / "a.png.npz").read_bytes() == whole


def test_other_weights_or_options_are_refused_before_anything_is_done(encoded: Encoded, folder: Path) -> None:
    encoded(folder)
    with pytest.raises(SweettokError, match="by blocks with weights b10cb10cb10c; pass force=True"):
        encoded(folder, weights="ab" * 32)
    with pytest.raises(SweettokError, match="with the usual options; pass force=True"):
        encoded(folder, also={"dtype": "float16"})
    with pytest.raises(SweettokError, match="with the usual options"):
        encoded(folder, budget=Budget(fixed=True))
    assert len(encoded.loaded) == 1
    assert [result.status for result in encoded(folder, weights="ab" * 32, force=True)] == ["done"] * 3
    assert {row.weights for row in encoded.rows()} == {"ab" * 32}
    how = {"weights": "ab" * 32, "force": True}
    assert {result.status for result in encoded(folder, **how)} == {"done"}
    assert {result.status for result in encoded(folder, **how, skip_existing=True)} == {"skipped"}


def test_files_that_no_manifest_lists_are_kept(encoded: Encoded, folder: Path) -> None:
    list(encode_folder([folder], encoded.out, BlockTokenizer))
    (encoded.out / "sub/b.png.npz").write_bytes(b"mine")
    refused = encoded(folder)
    assert {result.status for result in refused} == {"refused"}
    assert "a.png.npz exists, and manifest.jsonl does not list it; pass skip_existing=True" in str(
        refused[0].error
    )
    assert encoded.rows() == []
    taken = encoded(folder, skip_existing=True)
    assert statuses(taken) == {"a.png": "skipped", "b.png": "refused", "ü c.png": "skipped"}
    assert (encoded.out / "sub/b.png.npz").read_bytes() == b"mine" and encoded.batches() == 0
    assert [row.output for row in encoded.rows()] == ["a.png.npz", "sub/ü c.png.npz"]
    assert statuses(encoded(folder, skip_existing=True, force=True))["b.png"] == "done"
    assert {result.status for result in encoded(folder)} == {"skipped"}


def test_files_of_another_overlap_are_not_taken_in(encoded: Encoded, examples: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(examples / "intel-iot-devkit+sample-videos__001.mp4", tmp_path / "in" / "a.mp4")
    list(encode_folder([tmp_path / "in"], encoded.out, BlockTokenizer, overlap=3))
    (refused,) = encoded(tmp_path / "in", skip_existing=True)
    assert "was encoded with an overlap of 3 frames; pass force=True too" in str(refused.error)
    assert statuses(encoded(tmp_path / "in", skip_existing=True, overlap=3)) == {"a.mp4": "skipped"}
    (row,) = encoded.rows()
    assert (row.options, row.clips, row.rate) == ("overlap=3", 2, 10.0)


def test_numbered_pictures_are_known_by_all_of_them(encoded: Encoded, tmp_path: Path) -> None:
    for number in range(20):
        for name in ("one", "two"):
            picture(tmp_path / "shots" / name / f"{number:02}.png", number)
    assert set(statuses(encoded(tmp_path / "shots", frames=True)).values()) == {"done"}
    assert [row.output for row in encoded.rows()] == ["one.frames.npz", "two.frames.npz"]
    picture(tmp_path / "shots/two/07.png", 99)
    assert statuses(encoded(tmp_path / "shots", frames=True)) == {"one": "skipped", "two": "done"}
