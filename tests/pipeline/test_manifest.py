from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sweettok_cli.errors import SweettokError, WrongUsage
from sweettok_cli.pipeline.manifest import Manifest
from sweettok_cli.pipeline.manifest_table import write_table
from sweettok_cli.pipeline.row import Row, key_of, spelt_options
from sweettok_cli.pipeline.share import Share


def row(output: str, key: str = "k", status: str = "done", **facts: object) -> Row:
    return Row(f"in/{output}", output, status, key=key, **facts)  # type: ignore[arg-type]


def test_the_last_line_of_a_token_file_counts(tmp_path: Path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.add(row("a.npz", "1", "begun"))
        manifest.add(row("a.npz", "1", frames=7))
        manifest.add(row("b.npz", "2", "begun"))
        known = manifest.row("a.npz")
        assert known is not None and (known.status, known.frames) == ("done", 7) and known.at > 0
        assert [each.output for each in manifest.rows()] == ["a.npz"]
        assert manifest.made("1") == known and manifest.made("2") is None
        manifest.add(row("a.npz", "3", "begun"))
        assert manifest.made("1") is None  # what is there is about to be another
    with Manifest(tmp_path) as manifest:
        assert manifest.row("c.npz") is None
        assert (begun := manifest.row("a.npz")) is not None and begun.status == "begun"


def test_a_torn_line_is_dropped_and_costs_no_other(tmp_path: Path) -> None:
    with Manifest(tmp_path) as manifest:
        for name in ("a.npz", "b.npz"):
            manifest.add(row(name))
    lines = (tmp_path / "manifest.jsonl").read_bytes()
    for length in range(lines.index(b"\n") + 1, len(lines)):
        (tmp_path / "manifest.jsonl").write_bytes(lines[:length])
        with Manifest(tmp_path) as manifest:
            assert manifest.row("b.npz") is None and manifest.damage is None
            manifest.add(row("c.npz"))
        with Manifest(tmp_path) as manifest:
            whole = {each.output for each in manifest.rows()}
            assert manifest.damage is None
            assert whole - {"b.npz"} == {"a.npz", "c.npz"}
            assert ("b.npz" in whole) == (length == len(lines) - 1)  # of which but the end of line was lost


def test_several_append_to_one_and_see_each_other(tmp_path: Path) -> None:
    with Manifest(tmp_path) as one, Manifest(tmp_path) as two:
        one.add(row("a.npz"))
        two.add(row("b.npz"))
        assert one.row("b.npz") is None
        one.refresh()
        assert one.row("b.npz") is not None and two.row("a.npz") is not None
        assert [each.output for each in one.rows()] == ["a.npz", "b.npz"]


def test_parts_are_read_by_all_and_the_later_line_counts(tmp_path: Path) -> None:
    with Manifest(tmp_path, Share(1, 2)) as part:
        part.add(row("a.npz", "old"))
    with Manifest(tmp_path, Share(3, 3)) as part:
        part.add(row("a.npz", "new"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "manifest-1-of-2.jsonl",
        "manifest-3-of-3.jsonl",
    ]
    (first, last) = sorted(tmp_path.iterdir())
    for _ in range(2):  # whichever is read first
        with Manifest(tmp_path) as manifest:
            known = manifest.row("a.npz")
            assert known is not None and known.key == "new"
        first.rename(tmp_path / "x")
        last.rename(first)
        (tmp_path / "x").rename(last)


def test_a_file_of_others_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text('{"path": "a.mp4"}\n{"path": "b.mp4"}\n')
    with pytest.raises(SweettokError, match="is no manifest of"):
        Manifest(tmp_path)
    assert (tmp_path / "manifest.jsonl").read_text().count("\n") == 2


@pytest.mark.parametrize(
    "content", [b"\x00\xff" * 3000, b"one line\n", b"no line", b"{}\n", b'{"source": "a"}', b"[]\n\n[]"]
)
def test_a_file_of_something_else_is_not_written_into(tmp_path: Path, content: bytes) -> None:
    for name in ("manifest.jsonl", "manifest-2-of-3.jsonl"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SweettokError, match=rf"{name} is no manifest of .*; move it, or name another"):
            Manifest(tmp_path)
        assert (tmp_path / name).read_bytes() == content
        (tmp_path / name).unlink()
        assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} in (
            {},
            {"manifest.jsonl": 0},
        )


@pytest.mark.parametrize("content", [b"", b"\n", b'{"sou', b'{"source": "in/\\u00', b'{"source": "a\n{"s'])
def test_a_file_that_was_only_begun_is_gone_on_with(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.jsonl").write_bytes(content)
    for name in ("a.npz", "b.npz"):
        with Manifest(tmp_path) as manifest:
            assert manifest.damage is None
            manifest.add(row(name))
    with Manifest(tmp_path) as manifest:
        assert [each.output for each in manifest.rows()] == ["a.npz", "b.npz"] and manifest.damage is None


@pytest.mark.parametrize(
    "garbage", [b"x\n\xff\n", b'{"source": "a"}\n[]\n', b"\x00" * 900 + b"\n{}\n", b"a\n\n\nb"]
)
def test_lines_that_are_no_rows_are_counted_and_cost_no_other(tmp_path: Path, garbage: bytes) -> None:
    for share in (Share(1, 2), Share(2, 2)):
        with Manifest(tmp_path, share) as manifest:
            manifest.add(row(f"{share.number}.npz"))
    part = tmp_path / "manifest-1-of-2.jsonl"
    part.write_bytes(part.read_bytes() + garbage)
    for n in (2, 3):
        with Manifest(tmp_path, Share(1, 2)) as manifest:
            assert f"lines that are no rows are not read: {part} (2); token files" in str(manifest.damage)
            manifest.add(row(f"later{n}.npz"))
    with Manifest(tmp_path) as manifest:
        names = [each.output for each in manifest.rows()]
    assert names == ["1.npz", "2.npz", "later2.npz", "later3.npz"]


@pytest.mark.parametrize("name", ["manifest.jsonl", "manifest-2-of-3.jsonl"])
def test_what_is_no_file_in_its_place_is_called_so(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(SweettokError, match=rf"{name} is a folder, and the manifest .*; move it"):
        Manifest(tmp_path)
    (tmp_path / name).rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(SweettokError, match=rf"{name} is no plain file"):
            Manifest(tmp_path)


def test_one_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    # Not by file permissions, which hold nobody back who runs the tests as root.
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SweettokError, match=r"manifest\.jsonl cannot be opened .*change its permissions"):
        Manifest(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"source": "a"}',
        b'{"source": "a", "output": "b", "status": "away"}',
        b'{"source": "a", "output": "b", "status": "done", "frames": "7"}',
        b'{"source": "a", "output": "b", "status": "done", "other": 7}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_a_line_that_is_no_row(tmp_path: Path, line: bytes) -> None:
    assert Row.read(line) is None
    with Manifest(tmp_path) as manifest:
        manifest.add(row("a.npz"))
    with open(tmp_path / "manifest.jsonl", "ab") as stream:
        stream.write(line + b"\n")
    with Manifest(tmp_path) as manifest:
        assert [each.output for each in manifest.rows()] == ["a.npz"]
        assert manifest.row("b") is None


def test_a_row_is_read_as_it_was_written() -> None:
    name = os.fsdecode(b"\xff\xc3\xbc.mp4")  # a name need not be text
    given = Row(f"in/{name}", f"{name}.npz", "failed", error="ü\n", rate=29.97, inode=1 << 60)
    assert Row.read(given.line()) == given
    assert given.line().isascii() and given.line().count(b"\n") == 1


def test_the_table_has_a_row_for_every_token_file(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with Manifest(tmp_path, Share(1, 2)) as manifest:
        manifest.add(row(os.fsdecode(b"\xff.npz"), status="failed", error="it is empty"))
        write_table(manifest)
    with Manifest(tmp_path, Share(2, 2)) as manifest:
        manifest.add(row("a.npz", bits=1.5, frames=3))
        manifest.add(row("b.npz", status="begun"))
        write_table(manifest)
    table = parquet.read_table(tmp_path / "manifest.parquet").to_pylist()
    assert [(each["output"], each["status"], each["error"]) for each in table] == [
        ("a.npz", "done", ""),
        ("\\udcff.npz", "failed", "it is empty"),
    ]
    assert (table[0]["bits"], table[0]["frames"], table[0]["source"]) == (1.5, 3, "in/a.npz")


def test_a_folder_in_the_place_of_the_table_is_said(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "manifest.parquet").mkdir()
    with Manifest(tmp_path) as manifest, pytest.raises(SweettokError, match="parquet is a folder; move it"):
        write_table(manifest)


def test_without_pyarrow_a_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with Manifest(tmp_path) as manifest, pytest.raises(SweettokError, match="needs pyarrow"):
        write_table(manifest)


def test_a_key_depends_on_content_weights_and_options_alone() -> None:
    keys = {key_of(*each) for each in [("a", "b", "c"), ("x", "b", "c"), ("a", "x", "c"), ("a", "b", "x")]}
    assert len(keys) == 4
    usual = {"overlap": 0, "fps": None, "fixed": False, "sample": ""}
    assert spelt_options(usual) == "" and spelt_options({**usual, "b": 2, "a": "x"}) == "a=x, b=2"


def test_parts_are_disjoint_and_complete(tmp_path: Path) -> None:
    names = [Path(f"folder/ü {number}.mp4.npz") for number in range(500)]
    for count in (1, 2, 3, 7, 600):
        parts = [{name for name in names if Share(n, count).owns(name)} for n in range(1, count + 1)]
        assert sum(map(len, parts)) == len(names) and set().union(*parts) == {*names}
        if count <= 7:  # about as large as each other
            assert min(map(len, parts)) > len(names) / count / 2


def test_a_part_is_read_or_told_by_the_launcher() -> None:
    assert Share.read("2/8") == Share(2, 8) and str(Share(2, 8)) == "2/8"
    assert Share.told({}) == Share() == Share.told({"RANK": "0", "WORLD_SIZE": "1"})
    assert Share.told({"RANK": "3", "WORLD_SIZE": "4"}) == Share(4, 4)
    assert Share.told({"RANK": "x"}) == Share()  # of another program
    for rank, world in (("x", "2"), ("0", "two"), ("4", "4"), ("-1", "2"), ("²", "2")):
        with pytest.raises(WrongUsage, match=r"no part"):
            Share.told({"RANK": rank, "WORLD_SIZE": world})
    for wrong in ("0/8", "9/8", "2", "1/0", "a/b", "-1/2", "1/2/3", "1.0/2", ""):
        with pytest.raises(WrongUsage):
            Share.read(wrong)


def test_lines_hold_what_is_said_and_no_more(tmp_path: Path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.add(row("a.npz", frames=3))
    (line,) = (tmp_path / "manifest.jsonl").read_text().splitlines()
    values = json.loads(line)
    assert values.pop("at") > 0
    assert values == {"source": "in/a.npz", "output": "a.npz", "status": "done", "key": "k", "frames": 3}
