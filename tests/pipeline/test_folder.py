from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.pipeline.folder import plan_jobs


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "in/a.mp4",
        "in/sub/a.MOV",
        "in/sub/b.png",
        "in/notes.txt",
        "in/.hidden.mp4",
        "in/.git/c.mp4",
        "x.mkv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def outputs(plan: object, root: Path) -> dict[str, str]:
    return {str(job.source.relative_to(root)): str(job.output.relative_to(root)) for job in plan.jobs}  # type: ignore[attr-defined]


def test_one_file_becomes_one_file_beside_it(tree: Path) -> None:
    plan = plan_jobs([tree / "x.mkv"], None)
    assert not plan.batch
    assert outputs(plan, tree) == {"x.mkv": "x.npz"}


def test_one_file_to_a_name_or_a_folder(tree: Path) -> None:
    assert outputs(plan_jobs([tree / "x.mkv"], tree / "y.npz"), tree) == {"x.mkv": "y.npz"}
    assert outputs(plan_jobs([tree / "x.mkv"], tree / "in"), tree) == {"x.mkv": "in/x.npz"}
    assert outputs(plan_jobs([tree / "x.mkv"], tree / "new", True), tree) == {"x.mkv": "new/x.npz"}
    with pytest.raises(SweettokError, match=r"does not end in \.npz"):
        plan_jobs([tree / "x.mkv"], tree / "new")


def test_a_folder_keeps_its_structure(tree: Path) -> None:
    plan = plan_jobs([tree / "in"], tree / "out")
    assert plan.batch
    assert outputs(plan, tree) == {
        "in/a.mp4": "out/a.npz",
        "in/sub/a.MOV": "out/sub/a.npz",
        "in/sub/b.png": "out/sub/b.npz",
    }
    beside = outputs(plan_jobs([tree / "in"], None), tree)
    assert beside["in/sub/b.png"] == "in/sub/b.npz"


def test_several_inputs_are_placed_as_cp_does(tree: Path) -> None:
    plan = plan_jobs([tree / "in", tree / "x.mkv"], tree / "out")
    assert outputs(plan, tree)["in/sub/a.MOV"] == "out/in/sub/a.npz"
    assert outputs(plan, tree)["x.mkv"] == "out/x.npz"


def test_sources_that_differ_only_in_their_ending_do_not_meet(tree: Path) -> None:
    (tree / "in/a.png").touch()
    assert outputs(plan_jobs([tree / "in"], tree / "out"), tree) == {
        "in/a.mp4": "out/a.mp4.npz",
        "in/a.png": "out/a.png.npz",
        "in/sub/a.MOV": "out/sub/a.npz",
        "in/sub/b.png": "out/sub/b.npz",
    }


def test_no_output_is_made_twice(tree: Path) -> None:
    (tree / "sub").mkdir()
    (tree / "sub/x.mkv").touch()
    plan = plan_jobs([tree / "x.mkv", tree / "sub/x.mkv", tree / "x.mkv"], tree / "out")
    assert outputs(plan, tree) == {"x.mkv": "out/x.mkv.npz"}
    (refused,) = plan.refused
    assert (refused.source, refused.output, refused.status) == (tree / "sub/x.mkv", None, "refused")
    assert "another folder" in str(refused.error)


def test_what_is_missing_is_listed_and_the_rest_is_done(tree: Path) -> None:
    plan = plan_jobs([tree / "none.mp4", tree / "x.mkv"], None)
    assert outputs(plan, tree) == {"x.mkv": "x.npz"}
    assert plan.refused[0].source == tree / "none.mp4"


def test_a_folder_without_videos_and_a_file_as_folder(tree: Path) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(SweettokError, match="no video or image"):
        plan_jobs([tree / "empty"], None)
    with pytest.raises(SweettokError, match="is a file"):
        plan_jobs([tree / "in"], tree / "x.mkv")


def test_folders_that_cannot_be_read_are_listed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    # Not by file permissions, which hold nobody back who runs the tests as root.
    monkeypatch.setattr(os, "scandir", refuse)
    plan = plan_jobs([tree / "in"], None)
    assert outputs(plan, tree) == {"in/a.mp4": "in/a.npz"}
    assert plan.refused[0].source == tree / "in/sub"
    assert "Permission denied" in str(plan.refused[0].error)
