"""Data sets: members of tar files, and what lists name."""

from __future__ import annotations

import logging
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from encoded_dataset import Encoded, pack, picture, statuses
from video import torture

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


def test_what_is_lost_of_a_member_is_said_by_its_name(
    encoded: Encoded, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost = torture.make(tmp_path / "lost.mkv", frames=60, options={"g": "10"})
    tar = pack(tmp_path / "shard.tar", ("a/lost.mkv", torture.scribble(lost, 0.5, 600).read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert statuses(encoded(tar)) == {"lost.mkv": "done"}
    (said,) = (record.getMessage() for record in caplog.records if "damaged" in record.getMessage())
    assert said.startswith(f"{tar}/a/lost.mkv: ")


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


def parcel(tar: Path, folder: Path) -> Path:
    """Pictures, a link to one of them, one that leads out, a pipe, and a second member of one name."""
    with tarfile.open(tar, "w") as archive:
        for name in ("a.png", "sub/b.png"):
            archive.add(folder / name, name)
        for name, kind, leads in (
            ("linked.png", tarfile.SYMTYPE, "sub/b.png"),
            ("out.png", tarfile.SYMTYPE, "/b.png"),
            ("pipe.png", tarfile.FIFOTYPE, ""),
        ):
            header = tarfile.TarInfo(name)
            header.type, header.linkname = kind, leads
            archive.addfile(header)
        archive.add(folder / "sub/b.png", "a.png")
    return tar


def test_links_pipes_and_second_members_are_said(encoded: Encoded, folder: Path, tmp_path: Path) -> None:
    tar = parcel(tmp_path / "x.tar", folder)
    for _ in range(2):
        why = {str(each.source): str(each.error) for each in encoded(tar) if each.error}
        assert {name.removeprefix(f"{tar}/") for name in why} == {"a.png", "out.png", "pipe.png"}
        assert "is a link to '/b.png', which is no file in x.tar" in why[f"{tar}/out.png"]
        assert "is a pipe" in why[f"{tar}/pipe.png"]
        assert "holds several members a.png, of which the first is encoded" in why[f"{tar}/a.png"]
        rows = {row.output: (row.status, row.error) for row in encoded.rows()}
        assert {name: status for name, (status, _) in rows.items()} == {
            "x/a.png.npz": "done",  # it is the first one's, and no failure of the second
            "x/linked.png.npz": "done",
            "x/out.png.npz": "failed",
            "x/pipe.png.npz": "failed",
            "x/sub/b.png.npz": "done",
        }
        assert rows["x/out.png.npz"][1] == why[f"{tar}/out.png"]
    assert (encoded.out / "manifest.jsonl").read_text().count("out.png.npz") == 1  # and not again and again
    alike = [read_tokens(encoded.out / f"x/{name}.npz") for name in ("linked.png", "sub/b.png")]
    assert all(np.array_equal(alike[0].arrays[name], alike[1].arrays[name]) for name in alike[0].arrays)
    with tarfile.open(tar, "a") as archive:
        archive.add(folder / "a.png", "out.png")
    # The link is the first of that name, and so the one that counts.
    assert statuses([each for each in encoded(tar) if each.source.name == "out.png"])["out.png"] == "refused"
    pack(tar, *((name, (folder / "a.png").read_bytes()) for name in ("out.png", "pipe.png")))
    assert statuses(encoded(tar)) == {"out.png": "done", "pipe.png": "done"}


def test_a_tar_file_that_is_cut_gives_what_comes_before(
    encoded: Encoded, folder: Path, tmp_path: Path
) -> None:
    data = (folder / "a.png").read_bytes()
    tar = pack(tmp_path / "x.tar", *((f"{name}.png", data) for name in "abc"))
    tar.write_bytes(tar.read_bytes()[: 2 * (512 + -(-len(data) // 512) * 512) + 512 + 7])
    results = encoded(tar, folder)
    assert [each.source.name for each in results if each.error] == ["x.tar", "c.png"]
    assert "x.tar is cut short or damaged behind 'c.png'" in str(results[0].error)
    rows = {row.output: row.status for row in encoded.rows() if row.output.startswith("x/")}
    assert rows == {"x/a.png.npz": "done", "x/b.png.npz": "done", "x/c.png.npz": "failed"}
    pack(tar, *((f"{name}.png", data) for name in "abc"))
    assert not any(each.error for each in encoded(tar, folder))


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tgz"])
def test_tar_files_that_are_compressed_are_called_so(
    encoded: Encoded, folder: Path, tmp_path: Path, name: str
) -> None:
    with tarfile.open(tmp_path / name, "w:gz") as archive:
        archive.add(folder / "a.png", "a.png")
    results = encoded(tmp_path / name, folder)
    assert f"{name} is a tar file that is compressed" in str(results[0].error)
    assert "unpack it" in str(results[0].error) and len(results) == 4
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "clips.txt").write_text(f"{name}\nin/a.png\n")
    assert str(results[0].error) == str(encoded(tmp_path / "lists" / "clips.txt")[0].error)


@pytest.mark.parametrize("name", ["x" * 253 + ".png", "y" * 256 + "/a.png", "ü" * 130 + ".mp4"])
def test_members_whose_outputs_would_have_too_long_names(
    encoded: Encoded, folder: Path, tmp_path: Path, name: str
) -> None:
    tar = pack(tmp_path / "x.tar", (name, (folder / "a.png").read_bytes()))
    for _ in range(2):
        (refused,) = encoded(tar)
        assert refused.status == "refused" and "longer than 255 bytes" in str(refused.error)
        (row,) = encoded.rows()
        assert row.status == "failed" and row.error == str(refused.error)
    assert not encoded.loaded  # nothing is tried for it


def test_parts_of_a_video_are_refused_once_and_noted(encoded: Encoded, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    parts = tmp_path / "lists" / "parts.csv"
    parts.write_text("path,start,end\nin/a.png,1,2\nin/a.png,3,4\nin/sub/b.png,,\nin/sub/b.png,1,\n")
    results = encoded(parts)
    assert [(each.source.name, each.status) for each in results] == [
        ("b.png", "refused"),
        ("a.png", "refused"),
        ("b.png", "done"),
    ]
    assert [(row.output, row.status) for row in encoded.rows()] == [
        ("in/a.png.npz", "failed"),
        ("in/sub/b.png.npz", "done"),
    ]
    parts.write_text("path\nin/a.png\nin/sub/b.png\n")
    assert statuses(encoded(parts)) == {"a.png": "done", "b.png": "skipped"}


def test_what_has_no_output_makes_no_folder(encoded: Encoded, tmp_path: Path) -> None:
    (refused,) = encoded(tmp_path / "gone.tar")
    assert "gone.tar does not exist" in str(refused.error) and not encoded.out.exists()
    refused, _ = encoded(tmp_path / "gone.tar", tmp_path / "gone.mp4")
    assert refused.error and not encoded.out.exists()


def test_what_is_missing_among_others_is_noted(encoded: Encoded, folder: Path, tmp_path: Path) -> None:
    for _ in range(2):
        results = encoded(folder, tmp_path / "gone.tar", tmp_path / "gone.mp4")
        assert {each.source.name for each in results if each.error} == {"gone.tar", "gone.mp4"}
        assert [row.output for row in encoded.rows() if row.status == "failed"] == ["gone.npz"]


def test_addresses_in_lists_are_told_by_their_line(encoded: Encoded, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    clips = tmp_path / "lists" / "clips.txt"
    clips.write_text("# two\n\nin/a.png\nhttps://host/clip.mp4\n")
    refused, done = encoded(clips)
    assert str(refused.error) == (
        "https://host/clip.mp4 is an address, and line 4 of clips.txt names it; fetch the file, and name "
        "that."
    )
    assert done.status == "done" and [row.output for row in encoded.rows()] == ["in/a.png.npz"]
