"""Text files, tables and objects that name clips: found beside them, cut where they say, wrong by line."""

from __future__ import annotations

import json
import math
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from small_run import write_clip

from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.entry import Facts
from sweettok_cli.data.sampler import Sampler, Sampling
from sweettok_cli.data.shards import Member, Packed, write_shard
from sweettok_cli.data.stretch import read_stretch
from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import ignore_progress
from sweettok_cli.video.reader import read_clip


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Clips a.mp4 to d.mp4 (of no content), two of them in two shards."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in "abcd":
        (folder / f"{name}.mp4").write_bytes(name.encode())
    for number, name in enumerate("cd"):
        with tarfile.open(folder / f"part-{number:03}.tar", "w") as shard:
            shard.add(folder / f"{name}.mp4", f"{name}.mp4")
        (folder / f"{name}.mp4").unlink()
    return folder


def names(*paths: Path) -> list[str]:
    return [entry.name for entry in find_entries(paths)]


def test_tables_and_objects_name_clips_shards_and_members(shelf: Path) -> None:
    table = shelf / "list.csv"
    table.write_text("﻿label, Video ,start,end\nx,b.mp4,,\n\ny,a.mp4,0.5,2\nz,part-{000..001}.tar,,\n")
    found = find_entries([table])
    assert [(entry.name, entry.start, entry.end) for entry in found] == [
        ("b.mp4", 0, math.inf),
        ("a.mp4", 0.5, 2),
        ("c.mp4", 0, math.inf),
        ("d.mp4", 0, math.inf),
    ]
    assert found[0].path == shelf / "b.mp4" and found[2].path == shelf / "part-000.tar"
    lines = shelf / "list.jsonl"
    rows = [
        {"path": "a.mp4", "caption": "a\u2028line"},
        {"file": "d.mp4", "shard": "part-001.tar", "start": 1},
    ]
    lines.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n")
    assert names(lines) == ["a.mp4", "d.mp4"]
    (shelf / "list.tsv").write_text("file\tcaption\na.mp4\tone, two\n")
    (shelf / "more.txt").write_text("part-001.tar\nb.mp4\n")
    assert names(shelf / "list.tsv", shelf / "more.txt", shelf / "b.mp4") == [
        "a.mp4",
        "d.mp4",
        "b.mp4",
        "b.mp4",
    ]


def test_remarks_and_blank_lines_name_nothing(shelf: Path) -> None:
    """Unless there is such a file."""
    (shelf / "#1.mp4").write_bytes(b"1")
    lines = [
        "# clips of today, see more.csv",
        "#a.mp4",
        "",
        "  # {0..99999999}",
        "#1.mp4",
        "./#1.mp4",
        "b.mp4",
        "#",
    ]
    (shelf / "list.txt").write_text("\r\n".join(lines))
    assert names(shelf / "list.txt") == ["#1.mp4", "./#1.mp4", "b.mp4"]
    (shelf / "list.txt").write_text("# nothing\n")
    with pytest.raises(SweettokError, match="No clips found"):
        find_entries([shelf / "list.txt"])


def test_addresses_are_of_no_list(shelf: Path) -> None:
    """And what of them is secret is not said."""
    address = "https://me:pass@host/far.mp4?sign=secret"
    (shelf / "list.csv").write_text(f"path\n{address}\nb.mp4\n")
    far, near = find_entries([shelf / "list.csv"])
    assert (far.name, near.name) == ("https://host/far.mp4", "b.mp4")
    assert far.lacking == "is an address, and line 2 of list.csv names it; fetch the file, and name that"
    (shelf / "list.txt").write_text(f"s3://bucket/a.mp4\n{address}\n")
    with pytest.raises(
        SweettokError, match=r"names s3://bucket/a\.mp4 and 1 more, .* line 1; it is an address"
    ):
        find_entries([shelf / "list.txt"])


def test_a_folder_in_a_list_costs_its_own_line(shelf: Path) -> None:
    listing = shelf / "list.txt"
    (shelf / "more").mkdir()
    listing.write_text("a.mp4\nmore\nb.mp4\n")
    found = find_entries([listing])
    assert [entry.name for entry in found if not entry.lacking] == ["a.mp4", "b.mp4"]
    (folder,) = (entry for entry in found if entry.lacking)
    assert folder.lacking == "is a folder, and line 2 of list.txt names it; name the files in it"
    listing.write_text("a.mp4\nhttps://example.org/b.mp4\nwords\n")
    with pytest.raises(SweettokError, match="names words and 1 more, which cannot be found: line 3"):
        find_entries([listing])


def test_the_column_that_names_a_file_is_the_one_that_is_read(shelf: Path) -> None:
    """As in tables that say where a clip was found, too."""
    (shelf / "list.csv").write_text("file,path\na.mp4,elsewhere/1.mp4\n")
    assert names(shelf / "list.csv") == ["a.mp4"]


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("l.csv", "id,label\n1,2\n", r"l\.csv, line 1, has no column that names files \('id, label'\)"),
        ("l.csv", "path,start\na.mp4\n", r"l\.csv, line 2, has 1 cells, and the header 2"),
        ("l.csv", "path\ny.mp4\n\nz.mp4\n", r"l\.csv names y\.mp4 and 1 more, which cannot be found: line 2"),
        ("l.csv", "path\na.mp4\n\n\nz\n", r"l\.csv names z, which cannot be found: line 5"),
        ("l.csv", "path\na.mp4\nq.tar\n", r"l\.csv names q\.tar, which cannot be found: line 3"),
        ("l.csv", "path\na.mp4\nz{0..9}.mp4\n", r"l\.csv names z\{0\.\.9\}\.mp4, which cannot be found"),
        ("l.csv", "path,start\na.mp4,soon\n", r"l\.csv, line 2: start = 'soon' is no number of seconds"),
        ("l.csv", "path,start\na.mp4,-1\n", r"start = '-1' is no number"),
        ("l.csv", "path,end\na.mp4,nan\n", r"end = 'nan' is no number"),
        ("l.csv", "path,start,end\na.mp4,2,1\n", r"line 2, ends at 1 s, and begins at 2 s"),
        ("l.csv", "path,shard\nq.mp4,part-000.tar\n", r"names part-000\.tar with q\.mp4, which cannot"),
        ("l.csv", f'path\n"{"x" * 200_000}"\n', r"l\.csv, line 2, is no line of a table"),
        ("l.csv", "path\nmore.txt\n", r"l\.csv, line 2, names another list, 'more\.txt'"),
        ("l.jsonl", '{"path": "a.mp4"}\n{"path": \n', r"l\.jsonl, line 2, is no JSON object"),
        ("l.jsonl", '["a.mp4"]\n', r"l\.jsonl, line 1, is no JSON object \(it is none\)"),
        ("l.jsonl", "[" * 100_000, r"l\.jsonl, line 1, is no JSON object"),
        ("l.jsonl", '{"video": 3}\n', r"l\.jsonl, line 1, names no file"),
        ("l.jsonl", '{"path": "a.mp4", "start": true}\n', r"line 1: start = True is no number"),
        ("l.jsonl", f'{{"path": "a.mp4", "end": {"9" * 400}}}\n', r"line 1: end = 9+\.\.\.9+ is no number"),
        ("l.txt", "part-{000..007}.tar\n", r"names part-\{000\.\.007\}\.tar, which cannot be found: line 1"),
        ("l.csv", "path\n", "No clips found"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_line(shelf: Path, name: str, text: str, wanted: str) -> None:
    (shelf / name).write_text(text)
    with pytest.raises(SweettokError, match=wanted) as raised:
        find_entries([shelf / name])
    assert str(raised.value).endswith(".") and len(str(raised.value)) < 1000


def test_a_clip_that_is_not_there_is_one_that_cannot_be_read(tmp_path: Path) -> None:
    """A video, a picture, a member of a shard: before the first step, or in it."""
    write_clip(tmp_path / "a.mp4", 0, frames=8, width=32, height=32)
    with tarfile.open(tmp_path / "s.tar", "w") as shard:
        shard.add(tmp_path / "a.mp4", "b.mp4")
    (tmp_path / "list.csv").write_text("path,shard\na.mp4,\ngone.mp4,\nb.mp4,s.tar\nc.mp4,s.tar\nd.png,\n")
    found, settings = find_entries([tmp_path / "list.csv"]), Sampling([[32.0, 4.0, 1.0]], frames=5)
    sampler, late = (Sampler(found, replace(settings, skip_unreadable=0.6)) for _ in range(2))
    sampler.check(ignore_progress)
    assert sampler.unreadable == {
        name: f"cannot be found, and line {line} of list.csv names it; correct the list"
        for name, line in (("gone.mp4", 3), ("s.tar with c.mp4", 5), ("d.png", 6))
    }
    assert set(late.batch(0).clips) <= {"a.mp4", "b.mp4"}
    assert late.unreadable.items() <= sampler.unreadable.items() and late.unreadable
    with pytest.raises(
        SweettokError, match=r"3 of 5 training clips cannot be read \(gone\.mp4: cannot be found"
    ):
        Sampler(found, settings).check(ignore_progress)


@pytest.mark.parametrize("packed", [False, True])
def test_a_part_behind_the_end_cannot_be_read(tmp_path: Path, packed: bool) -> None:
    """Of a file, and of a member whose length an index tells; found before the first step, or in it."""
    write_clip(tmp_path / "a.mp4", 0, frames=40, width=32, height=32)  # 1.6 s
    clip = "a.mp4"
    if packed:
        size = (tmp_path / "a.mp4").stat().st_size
        write_shard(
            tmp_path / "s.tar", [Packed(tmp_path / clip, None, Member(clip, 0, size, 40, 25, 32, 32))]
        )
    rows = "".join(f"{clip},{'s.tar' if packed else ''},{part}\n" for part in ("500,501", "0.4,1", "1.6,"))
    (tmp_path / "list.csv").write_text(f"path,shard,start,end\n{rows}")
    found = [
        replace(entry, name=str(place)) for place, entry in enumerate(find_entries([tmp_path / "list.csv"]))
    ]
    settings = Sampling([[32.0, 4.0, 1.0]], frames=5, skip_unreadable=0.7)
    whys = {
        str(place): f"it ends at 1.6 s, before the part that begins at {start} s; correct the list"
        for place, start in ((0, 500), (2, 1.6))
    }
    sampler, late = Sampler(found, settings), Sampler(found, settings)
    sampler.check(ignore_progress)
    assert sampler.unreadable == whys
    assert set(late.batch(0).clips) == {"1"} and late.unreadable == whys
    wanted = "2 of 3 training clips cannot be read .*500 s.* skip_unreadable=0.67"
    with pytest.raises(SweettokError, match=wanted):
        Sampler(found, replace(settings, skip_unreadable=0.5)).check(ignore_progress)


def test_samples_stay_inside_the_part_that_a_list_cuts_out(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", 0, frames=40, width=32, height=32)  # 25 a second
    (tmp_path / "list.csv").write_text(
        "path,start,end\na.mp4,0.4,1.0\na.mp4,0.4,0.5\na.mp4,1.4,\na.mp4,1.59,10\n"
    )
    whole = read_clip(tmp_path / "a.mp4", 0, 40)
    found = find_entries([tmp_path / "list.csv"])
    assert [entry.part(Facts(40, 25.0)) for entry in found] == [(10, 15), (10, 3), (35, 5), (39, 1)]

    def starts(entry_number: int, frames: int, fps: float = 0) -> set[int]:
        cut = [read_stretch(found[entry_number], Facts(40, 25.0), p / 8, frames, fps) for p in range(8)]
        for sample in cut:
            places = [t for t in range(40) if (whole[t] == sample[0]).all()]
            last = [t for t in range(40) if (whole[t] == sample[-1]).all()]
            first, length = found[entry_number].part(Facts(40, 25.0))
            assert len(sample) == frames and places and last and last[0] < first + length
        return {t for sample in cut for t in range(40) if (whole[t] == sample[0]).all()}

    assert starts(0, 9) == {*range(10, 17)}
    assert starts(1, 9) == {10} and starts(1, 9, fps=12.5) == {10}
    assert starts(2, 3) == {35, 36, 37} and starts(3, 2) == {39}
    batch = Sampler(found, Sampling([[32.0, 4.0, 1.0]], frames=5)).batch(0)
    assert batch.frames.shape == (4, 5, 32, 32, 3)
