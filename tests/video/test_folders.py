from __future__ import annotations

from pathlib import Path

import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.video.source import MEDIA, PICTURES, find_files


def test_all_below_are_found_in_order_but_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b.MP4", "a.png", ".c.mp4", "notes.txt", "below/d.gif", ".hidden/e.mp4", "below/.f/g.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_files(tmp_path, MEDIA) == [tmp_path / name for name in ("a.png", "b.MP4", "below/d.gif")]
    assert find_files(tmp_path, PICTURES) == [tmp_path / "a.png"]
    assert find_files(tmp_path, {".npz"}) == []


def test_a_folder_that_cannot_be_read_is_one_sentence_or_handed_over(tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match=r"gone cannot be read \(No such file or directory\); check"):
        find_files(tmp_path / "gone", MEDIA)
    errors: list[OSError] = []
    assert find_files(tmp_path / "gone", MEDIA, errors.append) == []
    assert [error.filename for error in errors] == [str(tmp_path / "gone")]


def test_linked_folders_are_gone_through_once(tmp_path: Path) -> None:
    (tmp_path / "videos" / "inner").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "far.mp4").touch()
    (tmp_path / "videos" / "near.mp4").touch()
    (tmp_path / "videos" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "videos" / "inner" / "back").symlink_to(tmp_path / "videos")
    found = find_files(tmp_path / "videos", MEDIA)
    assert found == [tmp_path / "videos" / name for name in ("linked/far.mp4", "near.mp4")]


def test_what_ends_otherwise_is_told(tmp_path: Path) -> None:
    for name in ("a.mts", "b.wmv", "c.heic", "d.vob", "notes.txt", "sheet.xlsx", ".hidden.mp4"):
        (tmp_path / name).touch()
    others: list[Path] = []
    assert [path.name for path in find_files(tmp_path, MEDIA, others=others)] == [
        *("a.mts", "b.wmv", "c.heic", "d.vob")
    ]
    assert sorted(path.name for path in others) == ["notes.txt", "sheet.xlsx"]
