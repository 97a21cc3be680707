"""Shards and lists that are damaged, or made to do harm: one sentence, in no time and little memory."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from sweettok_cli.data.clips import find_entries, without
from sweettok_cli.errors import SweettokError


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytearray:
    """The 512 bytes before a member (POSIX.1-1988), the size as GNU writes a long one."""
    member = tarfile.TarInfo(name)
    member.type = kind
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = (
        (size % (1 << 96)).to_bytes(12, "big") if size < 0 else b"\x80" + size.to_bytes(11, "big")
    )
    return signed(block)


def signed(block: bytearray) -> bytearray:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return block


SHARDS: dict[str, bytes] = {
    "a member that is followed by itself": header("a.mp4", size=-512),
    "a place before the file": header("a.mp4", size=-(1 << 62)),
    "a place beyond all files": header("a.mp4", size=1 << 80),
    "a name of terabytes": header("././@LongLink", tarfile.GNUTYPE_LONGNAME, 1 << 50),
    "a name of no length": header("././@LongLink", tarfile.GNUTYPE_LONGNAME, -512),
    "names of names": header("././@LongLink", tarfile.GNUTYPE_LONGNAME, 0) * 5000,
}


@pytest.mark.parametrize("content", SHARDS.values(), ids=SHARDS)
def test_what_a_shard_states_is_not_believed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(content + bytes(1024))
    with pytest.raises(
        SweettokError, match=r"a\.tar is not a readable tar file \(.*\); unpack or replace it"
    ):
        find_entries([tmp_path / "a.tar"])


def test_members_with_holes_cannot_be_read(tmp_path: Path) -> None:
    """Their bytes do not lie as they are counted, and may be said to be any number."""
    holes = header("a.mp4", tarfile.GNUTYPE_SPARSE)
    holes[483:495] = b"77777777777\0"
    with tarfile.open(tmp_path / "b.tar", "w") as shard:
        shard.addfile(tarfile.TarInfo("b.mp4"), io.BytesIO())
    (tmp_path / "b.tar").write_bytes(signed(holes) + (tmp_path / "b.tar").read_bytes())
    found = find_entries([tmp_path / "b.tar"])
    assert [(entry.name, "a file with holes" in entry.lacking) for entry in found] == [
        ("a.mp4", True),
        ("b.mp4", False),
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tar")
    with pytest.raises(SweettokError, match=r"a\.tar is not a readable tar file \(not a regular file\)"):
        find_entries([tmp_path])


@pytest.mark.parametrize("name", ["x" * 5000, "x/" * 3000, "a\0b"])
def test_lists_may_hold_what_is_no_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "list.txt").write_text(f"{name}.mp4 3\n")
    with pytest.raises(SweettokError, match=r"list\.txt names .*which cannot be found"):
        find_entries([folder / "list.txt"])


def test_what_a_run_has_drawn_is_no_clip(tmp_path: Path) -> None:
    """Neither where it lies among the clips nor where it writes into their folder; unless it is asked for."""
    names = ("a.mp4", "recipe.toml", "b/recipe.toml", "b/c.png", "samples/d.png")
    run = ("recipe.toml", "run.json", "samples/step.png", "samples/step-clip.mp4", "more/e.mp4")
    for name in (*names, *(f"runs/one/{name}" for name in run)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "linked").symlink_to(tmp_path / "runs")

    def found(folder: Path) -> list[str]:
        return [entry.name for entry in find_entries([folder])]

    assert found(tmp_path) == ["a.mp4", "b/c.png", "samples/d.png"]
    assert found(tmp_path / "runs" / "one") == ["more/e.mp4"]
    assert found(tmp_path / "runs" / "one" / "samples") == ["step-clip.mp4", "step.png"]
    (tmp_path / "run.json").touch()
    assert found(tmp_path) == ["a.mp4", "b/c.png"]


def test_what_is_set_aside_is_known_again_under_other_names(clips: Path, tmp_path: Path) -> None:
    """A link, a path over another folder, a member of a shard; parts of a clip only where they overlap."""
    (tmp_path / "linked").symlink_to(clips, target_is_directory=True)
    (tmp_path / "one.mp4").symlink_to(clips / "inner" / "loose1.mp4")
    entries = find_entries([clips])

    def left(*aside: Path) -> list[str]:
        return [Path(entry.name).stem for entry in without(entries, find_entries(aside))]

    assert left(tmp_path / "linked" / "inner") == ["packed0", "packed1", "packed2"]
    assert left(tmp_path / "one.mp4", clips / "inner" / ".." / "shard.tar") == ["loose0", "loose2"]
    assert left(tmp_path / "linked") == []
    (tmp_path / "member.csv").write_text(f"path,shard\npacked1.mp4,{clips / 'shard.tar'}\n")
    assert left(tmp_path / "member.csv") == ["loose0", "loose1", "loose2", "packed0", "packed2"]
    (tmp_path / "parts.csv").write_text("path,start,end\none.mp4,0,0.5\none.mp4,0.5,1\none.mp4,0.7,\n")
    (tmp_path / "part.csv").write_text("path,start,end\none.mp4,0.5,0.7\n")
    parts = without(find_entries([tmp_path / "parts.csv"]), find_entries([tmp_path / "part.csv"]))
    assert [entry.start for entry in parts] == [0, 0.7]
