"""Journals of actors: what they say is known at once, and taken in when nobody writes them any more."""

from __future__ import annotations

from pathlib import Path

from sweettok_cli.holding import claimed, let_go, temporary_file
from sweettok_cli.pipeline.manifest import Manifest, is_manifest, journal_in, journals, take_in
from sweettok_cli.pipeline.row import Row


def write(folder: Path, run: str, number: str, *rows: Row) -> Path:
    path = journal_in(folder, run, number)
    with Manifest(folder, journal=path) as journal:
        for row in rows:
            journal.add(row)
    return path


def made(name: str, status: str = "done", key: str = "k") -> Row:
    return Row(f"in/{name}", f"{name}.npz", status, "h", key)  # type: ignore[arg-type]


def test_what_journals_say_is_known_and_taken_in_once(tmp_path: Path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.add(made("old", "failed"))
    one = write(tmp_path, "ab", "01", made("a", "begun"), made("a"), made("b", "begun"))
    two = write(tmp_path, "cd", "02", made("old", "begun"), made("old", key="new"))
    assert is_manifest(one.name) and journals(tmp_path) == [one, two] and journals(tmp_path, "ab") == [one]
    with Manifest(tmp_path) as manifest:
        assert [row.output for row in manifest.rows()] == ["a.npz", "old.npz"]
        assert manifest.file_of("a.npz") == one and manifest.file_of("none.npz") is None
        assert take_in(manifest)
        assert journals(tmp_path) == []
        known = [manifest.row(name) for name in ("a.npz", "b.npz", "old.npz")]
        assert [(row.status, row.key) for row in known if row] == [
            ("done", "k"),
            ("begun", "k"),
            ("done", "new"),
        ]
        before = manifest.path.read_bytes()
        assert take_in(manifest) and manifest.path.read_bytes() == before
    with Manifest(tmp_path) as manifest:
        assert [manifest.row(name) for name in ("a.npz", "b.npz", "old.npz")] == known


def test_what_the_manifest_has_by_now_is_not_told_again(tmp_path: Path) -> None:
    path = write(tmp_path, "ab", "01", made("a", "begun"), made("a"))
    with Manifest(tmp_path) as manifest:
        manifest.add(made("a"))
        before = manifest.path.read_bytes()
        assert take_in(manifest) and not path.exists() and manifest.path.read_bytes() == before


def test_a_journal_that_is_written_stays(tmp_path: Path) -> None:
    path = write(tmp_path, "ab", "01", made("a"))
    with Manifest(tmp_path) as manifest, claimed(path) as mine:
        assert mine and not take_in(manifest) and path.exists()
        assert [row.output for row in manifest.rows()] == ["a.npz"]


def test_what_was_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    part, held = temporary_file(tmp_path / "sub" / "b.npz")
    write(tmp_path, "ab", "01", made("sub/b", "begun"))
    let_go(held)  # as the end of a process does
    with Manifest(tmp_path) as manifest:
        assert part.exists() and take_in(manifest) and not part.exists()
