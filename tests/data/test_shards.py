"""Shards by the dozen: names in braces, and indexes of which nothing is believed."""

from __future__ import annotations

import dataclasses
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.entry import Facts
from sweettok_cli.data.shards import Member, as_index, index_of, shard_entries, spelt_out
from sweettok_cli.errors import SweettokError


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("clips-{008..010}.tar", ["clips-008.tar", "clips-009.tar", "clips-010.tar"]),
        ("{a,b}/{0..1}.tar", ["a/0.tar", "a/1.tar", "b/0.tar", "b/1.tar"]),
        ("{name}.tar", ["{name}.tar"]),
        ("{3..1}.tar", []),
        ("plain.tar", ["plain.tar"]),
    ],
)
def test_braces_stand_for_names(pattern: str, names: list[str]) -> None:
    assert spelt_out(pattern) == names


@pytest.mark.parametrize("pattern", ["{0..99999999999999}.tar", "{0..9999}/{0..9999}.tar"])
def test_braces_that_stand_for_too_much_are_refused(pattern: str) -> None:
    with pytest.raises(SweettokError, match="stands for more than 1000000 files"):
        spelt_out(pattern)


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """A shard of three files that are no clips."""
    for number in range(3):
        (tmp_path / f"{number}.mp4").write_bytes(b"x" * (number + 1))
        with tarfile.open(tmp_path / f"s-{number}.tar", "w") as archive:
            archive.add(tmp_path / f"{number}.mp4", f"{number}.mp4")
            archive.add(tmp_path / f"{number}.mp4", f"{number}.json")
    return tmp_path / "s-1.tar"


def test_a_pattern_is_all_its_shards_or_an_error(shard: Path) -> None:
    found = find_entries([shard.with_name("s-{0..2}.tar")])
    assert [(entry.name, entry.size) for entry in found] == [("0.mp4", 1), ("1.mp4", 2), ("2.mp4", 3)]
    with pytest.raises(
        SweettokError, match=r"2 of the 5 files that .*s-\{0\.\.4\}\.tar stands for .*s-3\.tar"
    ):
        find_entries([shard.with_name("s-{0..4}.tar")])


def test_an_index_stands_in_for_the_headers(shard: Path) -> None:
    (scanned,) = shard_entries(shard)
    member = Member("other.mp4", scanned.offset, scanned.size, 40, 12.5, 64, 48)
    index_of(shard).write_text(as_index([member], shard.stat().st_size))
    (found,) = shard_entries(shard)
    assert found == dataclasses.replace(scanned, name="other.mp4", facts=Facts(40, 12.5))
    assert found.declared() == Facts(40, 12.5)  # and nothing is opened: there is no video


@pytest.mark.parametrize(
    "change",
    [
        {"bytes": 5},
        {"sweettok_index": 2},
        {"clips": None},
        {"clips": "ab"},
        {"clips": [{"name": "a.mp4"}]},
        *({"clips": [{name: -1}]} for name in ("offset", "size", "frames", "width")),
        *({"clips": [{name: 1 << 80}]} for name in ("offset", "size", "frames", "height")),
        *({"clips": [{name: "1"}]} for name in ("offset", "size", "frames", "height")),
        *({"clips": [{"rate": value}]} for value in (0, -1.0, 1e300, "25", True)),
        *({"clips": [{"name": value}]} for value in ("", 3, "\ud800", "x" * 5000)),
    ],
)
def test_nothing_in_an_index_is_believed(shard: Path, change: dict[str, Any]) -> None:
    good = json.loads(as_index([Member("a.mp4", 512, 2, 4, 25, 64, 48)], shard.stat().st_size))
    (clip,) = good["clips"]
    clips = change.get("clips")
    if isinstance(clips, list) and len(clips[0]) == 1 and change["clips"] != [{"name": "a.mp4"}]:
        change = {"clips": [{**clip, **clips[0]}]}
    index_of(shard).write_text(json.dumps({**good, **change}))
    with pytest.raises(SweettokError, match=r"s-1\.index\.json is no index of s-1\.tar \(.*\); delete it"):
        shard_entries(shard)


def test_an_index_that_is_no_json_is_one_sentence(shard: Path) -> None:
    index_of(shard).write_text("{")
    with pytest.raises(SweettokError, match=r"s-1\.index\.json .*delete it, or pack the clips again\."):
        shard_entries(shard)
