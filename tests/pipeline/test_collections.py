"""Data sets: members of tar files, and what lists name."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from block_tokenizer import BlockTokenizer
from encoded_dataset import Encoded, pack, picture, statuses

from sweettok_cli.pipeline.folder import encode_folder
from sweettok_cli.tokens import read_tokens


def test_members_of_tar_files_are_read_where_they_lie(
    encoded: Encoded, folder: Path, tmp_path: Path, examples: Path
) -> None:
    clip_file = examples / "intel-iot-devkit+sample-videos__001.mp4"
    members = (
        ("one/clip.mp4", clip_file.read_bytes()),
        ("one/clip.json", b"{}"),
        ("bad.mp4", b"text"),
        ("../up/p.png", b""),
    )
    tar = pack(tmp_path / "shard-0.tar", *members)
    shutil.copy(tar, folder / "sub" / "inner.tar")
    results = encoded(tar, folder)
    assert {row.output: row.status for row in encoded.rows()} == {
        "in/a.png.npz": "done",
        "in/sub/b.png.npz": "done",
        "in/sub/inner/bad.npz": "failed",
        "in/sub/inner/one/clip.npz": "done",
        "in/sub/ü c.png.npz": "done",
        "shard-0/bad.npz": "failed",
        "shard-0/one/clip.npz": "done",
    } | dict.fromkeys(("shard-0/up/p.png.npz", "in/sub/inner/up/p.png.npz"), "failed")
    bad = next(result for result in results if str(result.source) == f"{tar}/bad.mp4")
    assert str(bad.error).startswith(f"{tar}/bad.mp4 cannot be read as a video")
    made = encoded.out / "shard-0/one/clip.npz"
    list(
        encode_folder(
            [examples / "intel-iot-devkit+sample-videos__001.mp4"], tmp_path / "c.npz", BlockTokenizer
        )
    )
    alone = read_tokens(tmp_path / "c.npz")
    assert read_tokens(made).meta == replace(alone.meta, source="clip.mp4")
    assert not list(encoded.out.rglob(".*"))  # nothing unpacked is left
    assert not {result.status for result in encoded(tar, folder)} - {"skipped", "refused", "failed"}

    pack(tar, *members[1:], members[0])  # another place in the file is no other content
    assert statuses(encoded(tar))["clip.mp4"] == "skipped"


def test_what_is_no_tar_file_costs_no_other(encoded: Encoded, folder: Path) -> None:
    (folder / "broken.tar").write_bytes(b"x" * 2000)
    results = encoded(folder)
    assert results[0].status == "refused" and "is not a readable tar file" in str(results[0].error)
    assert [result.status for result in results[1:]] == ["done"] * 3


def test_lists_keep_the_folders_that_they_name(encoded: Encoded, folder: Path, tmp_path: Path) -> None:
    far = picture(tmp_path / "far/away/d.png", 90)
    lines = ["path,label", "in/a.png,0", "sub/b.png,1", f"{far},2", "in/gone.png,3", "in/a.png,4"]
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "clips.csv").write_text("\n".join(lines))
    results = encoded(tmp_path / "lists" / "clips.csv")
    placed = {row.output: row.status for row in encoded.rows()}
    assert placed.pop("in/gone.png.npz") == "failed"
    root = Path(*far.parent.parts[1:])
    assert placed == {
        "in/a.png.npz": "done",
        "sub/b.png.npz": "done",
        (root / "d.png.npz").as_posix(): "done",
    }
    assert "does not exist" in str(next(each.error for each in results if each.source.name == "gone.png"))
    (tmp_path / "parts.csv").write_text("path,start,end\nin/a.png,1,2\nin/sub/b.png,,\n")
    part, whole = encoded(tmp_path / "parts.csv")
    assert part.status == "refused" and "names a part of in/a.png" in str(part.error)
    assert whole.status == "done"
    (tmp_path / "none.csv").write_text("name\nx\n")
    (refused,) = encoded(tmp_path / "none.csv")
    assert "has no column that names files" in str(refused.error)


def test_without_a_folder_to_write_into_outputs_lie_beside(folder: Path, tmp_path: Path) -> None:
    tar = pack(tmp_path / "x.tar", ("one/p.png", (folder / "a.png").read_bytes()))
    (tmp_path / "list.txt").write_text("in/a.png\n")
    results = list(encode_folder([tar, tmp_path / "list.txt"], None, BlockTokenizer))
    assert [result.output for result in results] == [tmp_path / "x/one/p.png.npz", folder / "a.png.npz"]
    again = encode_folder([tar], None, BlockTokenizer, skip_existing=True)
    assert [result.status for result in again] == ["skipped"]
