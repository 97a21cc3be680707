from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from torch import Tensor

from sweettok_cli.errors import SweettokError
from sweettok_cli.pipeline.folder import Job, Result, decoded_path, encode_folder, encode_job, plan_jobs
from sweettok_cli.runtime import OnProgress
from sweettok_cli.tokens import read_tokens
from sweettok_cli.video import write_image


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


def outputs(plan: tuple[list[Job], list[Result]], root: Path) -> dict[str, str]:
    return {str(job.source.relative_to(root)): str(job.output.relative_to(root)) for job in plan[0]}


def test_one_file_becomes_one_file_beside_it(tree: Path) -> None:
    plan = plan_jobs([tree / "x.mkv"], None)
    assert outputs(plan, tree) == {"x.mkv": "x.npz"}


def test_one_file_to_a_name_or_a_folder(tree: Path) -> None:
    assert outputs(plan_jobs([tree / "x.mkv"], tree / "y.npz"), tree) == {"x.mkv": "y.npz"}
    assert outputs(plan_jobs([tree / "x.mkv"], tree / "in"), tree) == {"x.mkv": "in/x.npz"}
    assert outputs(plan_jobs([tree / "x.mkv"], tree / "new", True), tree) == {"x.mkv": "new/x.npz"}
    with pytest.raises(SweettokError, match=r"does not end in \.npz"):
        plan_jobs([tree / "x.mkv"], tree / "new")


def test_a_folder_keeps_its_structure(tree: Path) -> None:
    plan = plan_jobs([tree / "in"], tree / "out")
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
    (refused,) = plan[1]
    assert (refused.source, refused.output, refused.status) == (tree / "sub/x.mkv", None, "refused")
    assert "another folder" in str(refused.error)


def test_what_is_missing_is_listed_and_the_rest_is_done(tree: Path) -> None:
    plan = plan_jobs([tree / "none.mp4", tree / "x.mkv"], None)
    assert outputs(plan, tree) == {"x.mkv": "x.npz"}
    assert plan[1][0].source == tree / "none.mp4"


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
    assert plan[1][0].source == tree / "in/sub"
    assert "Permission denied" in str(plan[1][0].error)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures, one of them below, and a text that says it is a third."""
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    for name, grey in (("a.png", 40), ("sub/c.png", 99)):
        write_image(root / name, np.full((40, 70, 3), grey, np.uint8))
    (root / "b.png").write_text("text, renamed")
    return root


def test_a_folder_is_encoded_and_what_fails_costs_no_other(pictures: Path) -> None:
    out = pictures.parent / "out"
    given = [pictures, pictures / "none.mp4"]
    seen: list[object] = []

    @contextmanager
    def watch(place: int, jobs: int, name: str) -> Iterator[OnProgress]:
        seen.append((place, jobs, name))
        yield lambda done, total: seen.append((done, total))

    missing, first, broken, last = encode_folder(given, out, BlockTokenizer, watch=watch)
    assert (missing.source, missing.output, missing.status) == (given[1], None, "refused")
    assert (first.source, first.output) == (pictures / "a.png", out / "in" / "a.npz")
    assert (broken.source, broken.status) == (pictures / "b.png", "failed")
    assert isinstance(broken.error, SweettokError) and "b.png" in str(broken.error)
    assert not (out / "in" / "b.npz").exists()
    for result in (first, last):
        assert result.status == "encoded" and result.error is None and result.seconds > 0
        assert result.output is not None and read_tokens(result.output).meta == result.meta
    assert seen == [(0, 3, "a.png"), (1, 1), (1, 3, "b.png"), (2, 3, "c.png"), (1, 1)]


def test_the_model_is_loaded_once_and_only_for_work(pictures: Path) -> None:
    (pictures / "b.png").unlink()
    loaded: list[BlockTokenizer] = []

    def load() -> BlockTokenizer:
        loaded.append(BlockTokenizer())
        return loaded[-1]

    assert [result.status for result in encode_folder([pictures], None, load)] == ["encoded"] * 2
    assert [result.status for result in encode_folder([pictures], None, load)] == ["refused"] * 2
    (pictures / "a.npz").unlink()
    resumed = list(encode_folder([pictures], None, load, skip_existing=True))
    assert [(result.source.name, result.status) for result in resumed] == [
        ("c.png", "skipped"),
        ("a.png", "encoded"),
    ]
    assert len(loaded) == 2
    assert [result.status for result in encode_folder([pictures], None, load, force=True)] == ["encoded"] * 2


def test_a_job_of_its_own_takes_its_settings(examples: Path, tmp_path: Path) -> None:
    tokenizer = BlockTokenizer()
    job = Job(examples / "intel-iot-devkit+sample-videos__001.mp4", tmp_path / "clip.npz")
    result = encode_job(job, tokenizer, batch_clips=1, overlap=12)
    assert result.meta is not None and (result.meta.overlap, result.meta.frames) == (12, 20)
    assert tokenizer.batches == [(1, 17, 256, 512, 3)] * 2
    again = encode_job(job, tokenizer)
    assert again.status == "failed" and "exists" in str(again.error)
    assert encode_job(job, tokenizer, force=True).status == "encoded"


def test_what_fails_unforeseen_is_kept_without_its_pixels(pictures: Path) -> None:
    class Lost(BlockTokenizer):
        """A device that goes away in the middle of a clip."""

        def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
            held.append(weakref.ref(clips))
            raise RuntimeError("device lost")

    held: list[weakref.ref[Tensor]] = []
    result = encode_job(Job(pictures / "a.png", pictures / "a.npz"), Lost())
    gc.collect()
    assert (result.status, str(result.error)) == ("failed", "device lost")
    assert [clips() for clips in held] == [None]


@pytest.mark.parametrize(
    ("output", "image", "expected"),
    [
        (None, False, "clip.decoded.mp4"),
        (None, True, "clip.decoded.png"),
        ("out", False, "out/clip.decoded.mp4"),
        ("back.MOV", False, "back.MOV"),
        ("back.webp", True, "back.webp"),
        ("back.npy", True, "back.npy"),
    ],
)
def test_a_decoded_file_goes_beside_its_tokens_or_where_it_is_told(
    tmp_path: Path, output: str | None, image: bool, expected: str
) -> None:
    (tmp_path / "out").mkdir()
    found = decoded_path(tmp_path / "clip.npz", None if output is None else tmp_path / output, image)
    assert found == tmp_path / expected


@pytest.mark.parametrize(("name", "image", "remedy"), [("a.gif", False, ".mp4"), ("a.mp4", True, ".png")])
def test_a_decoded_file_has_an_ending_that_is_written(name: str, image: bool, remedy: str) -> None:
    with pytest.raises(SweettokError, match=f"name it {remedy}"):
        decoded_path(Path("clip.npz"), Path(name), image)


def test_nothing_to_encode_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match="nothing to encode"):
        list(encode_folder([], tmp_path, lambda: pytest.fail("no model is needed")))


def encoded_by(folder: Path, weights: str = "b10c" * 16, **options: Any) -> list[Result]:
    (folder / "b.png").unlink(missing_ok=True)
    return list(encode_folder([folder], None, lambda: BlockTokenizer(weights_sha256=weights), **options))


def test_only_what_this_model_made_of_this_source_is_skipped(pictures: Path) -> None:
    assert [result.status for result in encoded_by(pictures)] == ["encoded"] * 2
    assert [result.status for result in encoded_by(pictures, skip_existing=True)] == ["skipped"] * 2
    other = encoded_by(pictures, "ab" * 32, skip_existing=True)
    assert [result.status for result in other] == ["refused"] * 2
    assert "other weights" in str(other[0].error) and "--force" in str(other[0].error)
    assert [r.status for r in encoded_by(pictures, "ab" * 32, skip_existing=True, force=True)] == [
        "encoded"
    ] * 2

    first, second = (result.output for result in encoded_by(pictures, "ab" * 32, skip_existing=True))
    assert first is not None and second is not None
    first.write_bytes(b"")
    later = second.stat().st_mtime + 10
    source = next(path for path in pictures.rglob("*") if path.stem == second.stem and path.suffix != ".npz")
    os.utime(source, (later, later))
    empty, changed = encoded_by(pictures, "ab" * 32, skip_existing=True)
    assert "is empty" in str(empty.error) and "has changed since" in str(changed.error)
    done = encoded_by(pictures, "ab" * 32, skip_existing=True, force=True)
    assert [result.status for result in done] == ["encoded"] * 2


def test_what_another_program_wrote_meanwhile_is_kept(pictures: Path) -> None:
    class Slow(BlockTokenizer):
        """While it encodes, another program writes what it is about to write."""

        def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
            for source in pictures.rglob("*.png"):
                source.with_suffix(".npz").write_bytes(b"of the other")
            return super().encode_batch(clips)

    (pictures / "b.png").unlink()
    results = list(encode_folder([pictures], None, Slow, skip_existing=True))
    assert "skipped" in {result.status for result in results}
    assert all(path.read_bytes() == b"of the other" for path in pictures.rglob("*.npz"))
    assert not [path for path in pictures.iterdir() if path.name.startswith(".")]


def test_a_link_that_leads_nowhere_is_not_replaced(pictures: Path) -> None:
    link = next(pictures.glob("*.png")).with_suffix(".npz")
    link.symlink_to(pictures / "gone")
    assert sorted(result.status for result in encoded_by(pictures)) == ["encoded", "refused"]
    assert link.is_symlink()
