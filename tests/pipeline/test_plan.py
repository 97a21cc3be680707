"""Where outputs go: told by the source's own name, whatever lies beside it."""

from __future__ import annotations

import os
import tarfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.pipeline.plan import Job, Outputs, Refusal, plan_jobs, token_stem
from sweettok_cli.video import write_image
from sweettok_cli.video.sequence import FrameSequence


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


def outputs(plan: tuple[list[Job], list[Refusal]], root: Path) -> dict[str, str]:
    return {os.path.relpath(str(job.source), root): str(job.output.relative_to(root)) for job in plan[0]}


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("clip.mp4", "clip"),
        ("clip.v2.mp4", "clip.v2"),
        ("clip.avi", "clip.avi"),
        ("clip.png", "clip.png"),
        ("clip.avi.mp4", "clip.avi.mp4"),
        ("clip.mp4.mp4", "clip.mp4.mp4"),
        ("clip.MP4", "clip"),
        ("clip.AVI.MP4", "clip.AVI.MP4"),
        ("clip.MOV", "clip.MOV"),
        ("clip", "clip"),
    ],
)
def test_a_name_is_a_function_of_the_source_alone(name: str, stem: str) -> None:
    assert token_stem(Path("folder") / name) == stem


def test_no_name_changes_when_another_source_comes(tree: Path) -> None:
    alone = outputs(plan_jobs([tree / "in/a.mp4"], None), tree)
    for name in ("a.avi", "a.png", "a.avi.mp4", "a.mp4.mp4", "a.MOV", "a.gif"):
        (tree / "in" / name).touch()
        together = outputs(plan_jobs([tree / "in"], None), tree)
        assert alone.items() <= together.items()
        assert len(set(together.values())) == len(together)
        alone = together
    for source, target in alone.items():  # nor by how it is named
        assert outputs(plan_jobs([tree / source], None), tree) == {source: target}
        assert outputs(plan_jobs([tree / source, tree / "x.mkv"], None), tree)[source] == target


def test_two_spellings_of_one_name_do_not_share_an_output(tree: Path) -> None:
    if (tree / "in/a.MP4").exists():
        pytest.skip("this file system holds one of them")
    (tree / "in/a.MP4").touch()
    jobs, refused = plan_jobs([tree / "in/a.mp4", tree / "in/a.MP4"], None)
    assert [job.source.name for job in jobs] == ["a.mp4"]
    assert "a.MP4 would become" in str(refused[0].error)
    assert "another folder" in str(refused[0].error)


def test_one_file_to_a_name_or_a_folder(tree: Path) -> None:
    assert outputs(plan_jobs([tree / "x.mkv"], tree / "y.npz"), tree) == {"x.mkv": "y.npz"}
    for output, slash in (("in", False), ("new", True), ("new", False), ("v1.2", False), ("y.npz", True)):
        plan = plan_jobs([tree / "x.mkv"], tree / output, slash)
        assert outputs(plan, tree) == {"x.mkv": f"{output}/x.mkv.npz"}


@pytest.mark.parametrize("name", ["photos.npz", "photos.zip", "photos.mp4"])
def test_a_files_name_is_none_of_a_folder_for_one_and_for_many(tree: Path, name: str) -> None:
    for given in ([tree / "in"], [tree / "x.mkv", tree / "in/a.mp4"], [tree / "x.mkv"]):
        if name.endswith(".npz") and given == [tree / "x.mkv"]:
            continue
        with pytest.raises(SweettokError, match=rf"{name} .* or end it with / to make it"):
            plan_jobs(given, tree / name)
        assert plan_jobs(given, tree / name, True)[0]
    (tree / name).mkdir()
    for given in ([tree / "in"], [tree / "x.mkv"]):
        assert all(job.output.is_relative_to(tree / name) for job in plan_jobs(given, tree / name)[0])


def test_a_file_is_no_folder(tree: Path) -> None:
    for output, slash in (("x.mkv", False), ("in/notes.txt", False), ("x.mkv", True)):
        with pytest.raises(SweettokError, match="is a file"):
            plan_jobs([tree / "in"], tree / output, slash)
    assert Outputs.named(None, (".npz",), False, True) == Outputs()


def test_a_folder_keeps_its_structure(tree: Path) -> None:
    plan = plan_jobs([tree / "in"], tree / "out")
    assert outputs(plan, tree) == {
        "in/a.mp4": "out/a.npz",
        "in/sub/a.MOV": "out/sub/a.MOV.npz",
        "in/sub/b.png": "out/sub/b.png.npz",
    }
    beside = outputs(plan_jobs([tree / "in"], None), tree)
    assert beside["in/sub/b.png"] == "in/sub/b.png.npz"


def test_several_inputs_are_placed_as_cp_does(tree: Path) -> None:
    plan = plan_jobs([tree / "in", tree / "x.mkv"], tree / "out")
    assert outputs(plan, tree)["in/sub/a.MOV"] == "out/in/sub/a.MOV.npz"
    assert outputs(plan, tree)["x.mkv"] == "out/x.mkv.npz"


def test_no_output_is_made_twice(tree: Path) -> None:
    (tree / "sub").mkdir()
    (tree / "sub/x.mkv").touch()
    plan = plan_jobs([tree / "x.mkv", tree / "sub/x.mkv", tree / "x.mkv"], tree / "out")
    assert outputs(plan, tree) == {"x.mkv": "out/x.mkv.npz"}
    (refused,) = plan[1]
    assert refused.source == tree / "sub/x.mkv"
    assert "another folder" in str(refused.error)


def test_a_member_of_a_tar_file_and_a_file_beside_it_meet(tree: Path) -> None:
    (tree / "in/x").mkdir()
    (tree / "in/x/a.png").touch()
    with tarfile.open(tree / "in/x.tar", "w") as archive:
        archive.add(tree / "in/x/a.png", "a.png")
    jobs, refused = plan_jobs([tree / "in"], tree / "out")
    assert len(jobs) == 4 and str(refused[0].error).endswith("does; rename one of them.")
    assert refused[0].output is None  # it is the other's


def test_what_is_missing_is_listed_and_the_rest_is_done(tree: Path) -> None:
    (tree / "broken.mp4").symlink_to(tree / "gone.mp4")
    plan = plan_jobs([tree / "none.mp4", tree / "broken.mp4", tree / "x.mkv"], None)
    assert outputs(plan, tree) == {"x.mkv": "x.mkv.npz"}
    assert [refused.source.name for refused in plan[1]] == ["none.mp4", "broken.mp4"]
    assert "does not exist; check the name" in str(plan[1][0].error)
    assert "is a broken link" in str(plan[1][1].error) and "gone.mp4" in str(plan[1][1].error)


def test_a_folder_without_videos(tree: Path) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(SweettokError, match="no video or image"):
        plan_jobs([tree / "empty"], None)


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
    assert plan[1][0].source == tree / "in/sub"
    assert "Permission denied" in str(plan[1][0].error)


def test_folders_of_numbered_pictures_are_videos_where_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("shots/one", "shots/deep/two"):
        (tmp_path / folder).mkdir(parents=True)
        for number in (1, 2):
            write_image(tmp_path / folder / f"{number}.png", np.zeros((8, 8, 3), np.uint8))
    write_image(tmp_path / "shots/deep/two/cover.png", np.zeros((8, 8, 3), np.uint8))
    jobs, refused = plan_jobs([tmp_path / "shots"], tmp_path / "out", frames=True, rate=Fraction(12))
    assert outputs((jobs, refused), tmp_path) == {"shots/one": "out/one.frames.npz"}
    assert isinstance(jobs[0].source, FrameSequence) and jobs[0].source.rate == 12
    assert "1.png and cover.png" in str(refused[0].error) and refused[0].source.name == "two"
    assert len(plan_jobs([tmp_path / "shots"], None)[0]) == 5  # unasked, they are pictures

    pattern = tmp_path / "shots/deep/two/%d.png"
    assert outputs(plan_jobs([pattern], None), tmp_path) == {
        "shots/deep/two/%d.png": "shots/deep/two/%d.png.npz"
    }
    monkeypatch.chdir(tmp_path / "shots/one")
    (job,), _ = plan_jobs([Path()], None, frames=True)
    assert job.output == tmp_path / "shots/one.frames.npz"
    _, (video,) = plan_jobs([tmp_path / "a.mp4", Path()], None, frames=True)
    assert "does not exist" in str(video.error)
