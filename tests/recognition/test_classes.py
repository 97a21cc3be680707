from __future__ import annotations

from pathlib import Path

import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.recognition.classes import find_classes, read_groups


def made(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_each_folder_is_a_class(tmp_path: Path) -> None:
    made(tmp_path, "b/2.mp4", "b/1.avi", "a/deep/x.npz", "a/deep/x.mp4", ".git/x.mp4", "notes.txt")
    found = find_classes(tmp_path)
    assert {label: [file.name for file in each] for label, each in found.items()} == {
        "a": ["a/deep/x.npz"],  # tokens where there are any
        "b": ["b/1.avi", "b/2.mp4"],
    }


def test_groups_of_a_table_stand_for_paths_and_names(tmp_path: Path) -> None:
    folder = made(tmp_path / "data", "a/1.mp4", "a/2.mp4", "b/1.mp4", "b/3.mp4")
    table = tmp_path / "groups.csv"
    table.write_text("file,group,more\na/1.mp4,x,\nb/1,y,\n2.mp4,x,\n3.mp4.npz,z,\n")
    found = find_classes(folder, read_groups(table))
    assert [file.group for each in found.values() for file in each] == ["x", "x", "y", "z"]
    table.write_text("file,group\na/1.mp4,x\n")
    with pytest.raises(SweettokError, match=r"a/2\.mp4 is not in the list of groups"):
        find_classes(folder, read_groups(table))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,group\na,b\n", "has no column 'file'"),
        ("file\na\n", "has no column 'group'"),
        ("file,group\na.mp4,x\na.npz,y\n", "a has two groups"),
    ],
)
def test_a_table_that_says_no_groups_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "groups.csv").write_text(text)
    with pytest.raises(SweettokError, match=said):
        read_groups(tmp_path / "groups.csv")
    with pytest.raises(SweettokError, match="is no list of groups"):
        read_groups(tmp_path / "absent.csv")


@pytest.mark.parametrize("names", [("a/1.mp4",), ("1.mp4",), ()])
def test_a_folder_of_fewer_than_two_classes_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    made(tmp_path, *names)
    with pytest.raises(SweettokError, match="does not hold one folder a class"):
        find_classes(tmp_path)
    with pytest.raises(SweettokError, match="does not hold one folder a class"):
        find_classes(tmp_path / "absent")


def test_an_empty_class_is_refused(tmp_path: Path) -> None:
    (made(tmp_path, "a/1.mp4") / "b").mkdir()
    with pytest.raises(SweettokError, match="b holds no token file, video or picture"):
        find_classes(tmp_path)
