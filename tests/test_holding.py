"""What a living program holds stays; what a killed one left is nobody's."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sweettok_cli import holding
from sweettok_cli.files import FolderKind, atomic_folder, atomic_output
from sweettok_cli.holding import claimed, clear_folder, sweep, temporary_file

# Claims, and is in the middle of writing a file and a folder, until its stdin ends.
PROGRAM = """
import sys
from pathlib import Path
from sweettok_cli.files import FolderKind, atomic_folder, atomic_output
from sweettok_cli.holding import claimed

place = Path(sys.argv[1])
with (
    claimed(place / "a.npz") as mine,
    atomic_output(place / "a.npz") as file,
    atomic_folder(place / "m", FolderKind("model", frozenset({"x"}), "x")) as folder,
):
    print(mine, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "True\n"
    return process


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_what_a_killed_program_left_goes_and_what_a_living_one_holds_stays(
    other: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert len(hidden(tmp_path)) == 3
    with atomic_output(tmp_path / "b.npz") as part:
        assert len(hidden(tmp_path)) == 4
        part.write_bytes(b"b")
    with claimed(tmp_path / "a.npz") as mine:
        assert not mine
    assert len(hidden(tmp_path)) == 3

    other.send_signal(signal.SIGKILL)
    other.communicate()
    assert len(hidden(tmp_path)) == 3
    with claimed(tmp_path / "a.npz") as mine:
        assert mine
    assert len(hidden(tmp_path)) == 2  # a folder is cleared once a process: this one has been here before
    sweep()
    assert [path.name for path in tmp_path.iterdir()] == ["b.npz"]


def test_a_program_that_is_ended_sweeps_away_what_it_has_just_made(
    other: subprocess.Popen[str], tmp_path: Path
) -> None:
    part, _ = temporary_file(tmp_path / "b.npz")  # and before it is known outside, the signal comes
    claim = claimed(tmp_path / "c.npz")
    assert claim.__enter__()
    assert part.exists() and len(hidden(tmp_path)) == 5
    sweep()
    assert len(hidden(tmp_path)) == 3  # the other program goes on
    other.communicate("")
    assert hidden(tmp_path) == []


def test_what_others_left_is_not_ours(tmp_path: Path) -> None:
    names = [".left.part.mp4", ".video.mp4.part", "a.abcdefgh.part.npz", ".a.abcdefgh.part.b.npz", ".a.claim"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".a.abcdefgh.part.npz").symlink_to(tmp_path / names[0])
    clear_folder(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, ".a.abcdefgh.part.npz"])


def test_without_locks_nothing_is_held_and_nothing_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some mounted file systems."""

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(holding.fcntl, "flock", refuse)
    left = tmp_path / ".x.abcdefgh.part.npz"
    left.touch()
    with claimed(tmp_path / "a.npz") as first, claimed(tmp_path / "a.npz") as second:
        assert first and second
    with atomic_output(tmp_path / "a.npz") as part:
        part.write_bytes(b"a")
    with atomic_folder(tmp_path / "m", FolderKind("model", frozenset({"x"}), "x")) as folder:
        (folder / "x").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == [left.name, "a.npz", "m"]


def test_a_claim_on_a_long_name_is_of_that_name_alone(tmp_path: Path) -> None:
    one, two = (tmp_path / ("é" * 124 + f"{end}.npz") for end in "12")
    with claimed(one) as first, claimed(two) as second, claimed(one) as again:
        assert (first, second, again) == (True, True, False)
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_claimed_the_writer_says_why(tmp_path: Path) -> None:
    with claimed(tmp_path / "no such folder" / "a.npz") as mine:
        assert mine
