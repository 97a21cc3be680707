"""Data sets: what is encoded, what is known again, what is refused."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from torch import Tensor

from sweettok_cli.errors import SweettokError
from sweettok_cli.holding import claimed
from sweettok_cli.models.common.budget import Budget
from sweettok_cli.pipeline.batch import Result
from sweettok_cli.pipeline.dataset import Settings
from sweettok_cli.pipeline.encode_dataset import Sources, Workforce, encode_dataset
from sweettok_cli.pipeline.folder import encode_folder
from sweettok_cli.pipeline.manifest import Manifest
from sweettok_cli.pipeline.plan import Job
from sweettok_cli.pipeline.row import Row
from sweettok_cli.pipeline.share import Share
from sweettok_cli.tokens import read_tokens
from sweettok_cli.video import write_image

WEIGHTS = "b10c" * 16


class Look:
    """Who looks on, and keeps what is told."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, int]] = []
        self.ended: list[tuple[str, int]] = []

    def begin(self, jobs: int, size: int) -> None:
        self.begun.append((jobs, size))

    def part(self, job: Job, done: float, total: int | None) -> None:
        assert done

    def over(self, result: Result, size: int) -> None:
        self.ended.append((result.source.name, size))

    def tick(self) -> None: ...


def picture(path: Path, grey: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.full((16, 32, 3), grey, np.uint8), force=True)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("a.png", "sub/b.png", "sub/ü c.png")):
        picture(tmp_path / "in" / name, 40 * number)
    return tmp_path / "in"


class Encoded:
    """A data set in ``out`` beside what is encoded, and the tokenizers that were loaded for it."""

    def __init__(self, out: Path) -> None:
        self.out, self.loaded, self.look = out, [], Look()
        self.kind: Callable[..., BlockTokenizer] = BlockTokenizer

    def __call__(
        self, *inputs: Path, weights: str = WEIGHTS, share: Share | None = None, **how: Any
    ) -> list[Result]:
        def load(device: str) -> BlockTokenizer:
            assert device == "cpu"
            self.loaded.append(self.kind(weights_sha256=weights))
            return self.loaded[-1]

        options = {
            name: how.pop(name) for name in ("overlap", "budget", "strict", "keep_going") if name in how
        }
        spec = BlockTokenizer(weights_sha256=weights).spec
        return list(
            encode_dataset(
                Sources(inputs, self.out, **{name: how.pop(name) for name in ("frames",) if name in how}),
                Settings(spec, options, **how),
                Workforce(load, share=share or Share()),
                self.look,
                lambda text: pytest.fail(text),
            )
        )

    def rows(self) -> list[Row]:
        with Manifest(self.out) as manifest:
            return list(manifest.rows())

    def batches(self) -> int:
        return sum(len(tokenizer.batches) for tokenizer in self.loaded)


@pytest.fixture
def encoded(tmp_path: Path) -> Encoded:
    return Encoded(tmp_path / "out")


def statuses(results: list[Result]) -> dict[str, str]:
    return {result.source.name: result.status for result in results}


def test_a_manifest_says_what_was_made_and_the_same_again_goes_on(encoded: Encoded, folder: Path) -> None:
    first = encoded(folder)
    assert [result.status for result in first] == ["done"] * 3
    rows = {row.output: row for row in encoded.rows()}
    assert list(rows) == ["a.png.npz", "sub/b.png.npz", "sub/ü c.png.npz"]
    row = rows["sub/b.png.npz"]
    assert (row.source, row.status, row.error) == (str(folder / "sub/b.png"), "done", "")
    assert (row.frames, row.width, row.height, row.clips, row.tokens) == (1, 32, 16, 1, 16)
    assert (row.model, row.weights, row.bits) == ("blocks", WEIGHTS, 16 * 24)
    assert row.source_bytes == (folder / "sub/b.png").stat().st_size
    assert row.file_bytes == (encoded.out / row.output).stat().st_size
    assert encoded.look.begun == [(3, sum(row.source_bytes for row in rows.values()))]
    assert [name for name, _ in encoded.look.ended] == ["a.png", "b.png", "ü c.png"]

    assert [result.status for result in encoded(folder)] == ["skipped"] * 3
    assert len(encoded.loaded) == 1 and encoded.rows() == list(rows.values())


def test_content_decides_and_not_when_it_was_touched(encoded: Encoded, folder: Path) -> None:
    encoded(folder)
    os.utime(folder / "a.png", (4e9, 4e9))
    same = picture(folder / "sub/b.png", 200)
    before = (encoded.out / "sub/b.png.npz").read_bytes()
    assert statuses(encoded(folder)) == {"a.png": "skipped", "b.png": "done", "ü c.png": "skipped"}
    assert (encoded.out / "sub/b.png.npz").read_bytes() != before
    assert encoded.batches() == 4
    # What was touched need not be read again.
    assert encoded.rows()[0].mtime_ns == (folder / "a.png").stat().st_mtime_ns
    stat = same.stat()
    picture(same, 201)
    assert same.stat().st_size == stat.st_size
    assert statuses(encoded(folder))["b.png"] == "done"


def test_what_was_moved_is_not_encoded_again(encoded: Encoded, folder: Path) -> None:
    encoded(folder)
    tokens = read_tokens(encoded.out / "a.png.npz")
    (folder / "new").mkdir()
    (folder / "a.png").rename(folder / "new" / "z.png")
    shutil.copy(folder / "sub/b.png", folder / "copy.png")
    assert statuses(encoded(folder))["z.png"] == "done"
    assert encoded.batches() == 3
    moved = read_tokens(encoded.out / "new/z.png.npz")
    assert moved.meta == replace(tokens.meta, source="z.png")
    assert all(np.array_equal(moved.arrays[name], tokens.arrays[name]) for name in tokens.arrays)
    assert (encoded.out / "a.png.npz").exists()  # nothing is removed
    # Byte for byte what encoding it gives.
    list(encode_folder([folder / "copy.png"], folder / "copy.npz", BlockTokenizer))
    assert (folder / "copy.npz").read_bytes() == (encoded.out / "copy.png.npz").read_bytes()


def test_tokens_that_were_lost_or_cut_are_made_again(encoded: Encoded, folder: Path) -> None:
    encoded(folder)
    whole = (encoded.out / "a.png.npz").read_bytes()
    (encoded.out / "a.png.npz").write_bytes(whole[:-1])
    (encoded.out / "sub/b.png.npz").unlink()
    done = encoded(folder)
    assert statuses(done) == {"a.png": "done", "b.png": "done", "ü c.png": "skipped"}
    assert (encoded.out / "a.png.npz").read_bytes() == whole


def test_other_weights_or_options_are_refused_before_anything_is_done(encoded: Encoded, folder: Path) -> None:
    encoded(folder)
    with pytest.raises(SweettokError, match="by blocks with weights b10cb10cb10c; pass force=True"):
        encoded(folder, weights="ab" * 32)
    with pytest.raises(SweettokError, match="with the usual options; pass force=True"):
        encoded(folder, also={"dtype": "float16"})
    with pytest.raises(SweettokError, match="with the usual options"):
        encoded(folder, budget=Budget(fixed=True))
    assert len(encoded.loaded) == 1
    assert [result.status for result in encoded(folder, weights="ab" * 32, force=True)] == ["done"] * 3
    assert {row.weights for row in encoded.rows()} == {"ab" * 32}
    how = {"weights": "ab" * 32, "force": True}
    assert {result.status for result in encoded(folder, **how)} == {"done"}
    assert {result.status for result in encoded(folder, **how, skip_existing=True)} == {"skipped"}


def test_files_that_no_manifest_lists_are_kept(encoded: Encoded, folder: Path) -> None:
    list(encode_folder([folder], encoded.out, BlockTokenizer))
    (encoded.out / "sub/b.png.npz").write_bytes(b"mine")
    refused = encoded(folder)
    assert {result.status for result in refused} == {"refused"}
    assert "a.png.npz exists, and manifest.jsonl does not list it; pass skip_existing=True" in str(
        refused[0].error
    )
    assert encoded.rows() == []
    taken = encoded(folder, skip_existing=True)
    assert statuses(taken) == {"a.png": "skipped", "b.png": "refused", "ü c.png": "skipped"}
    assert (encoded.out / "sub/b.png.npz").read_bytes() == b"mine" and encoded.batches() == 0
    assert [row.output for row in encoded.rows()] == ["a.png.npz", "sub/ü c.png.npz"]
    assert statuses(encoded(folder, skip_existing=True, force=True))["b.png"] == "done"
    assert {result.status for result in encoded(folder)} == {"skipped"}


def test_files_of_another_overlap_are_not_taken_in(encoded: Encoded, examples: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(examples / "intel-iot-devkit+sample-videos__001.mp4", tmp_path / "in" / "a.mp4")
    list(encode_folder([tmp_path / "in"], encoded.out, BlockTokenizer, overlap=3))
    (refused,) = encoded(tmp_path / "in", skip_existing=True)
    assert "was encoded with an overlap of 3 frames; pass force=True too" in str(refused.error)
    assert statuses(encoded(tmp_path / "in", skip_existing=True, overlap=3)) == {"a.mp4": "skipped"}
    (row,) = encoded.rows()
    assert (row.options, row.clips, row.rate) == ("overlap=3", 2, 10.0)


class Sick(BlockTokenizer):
    """A tokenizer that cannot do dark pictures."""

    def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
        if clips.max() < 30:
            raise RuntimeError("too dark")
        return super().encode_batch(clips)


def test_what_failed_is_listed_and_tried_again_when_asked(encoded: Encoded, folder: Path) -> None:
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("text")
    encoded.kind = Sick
    assert statuses(encoded(folder)) == {
        "empty.mp4": "refused",
        "a.png": "failed",
        "b.png": "done",
        "ü c.png": "done",
        "text.mp4": "failed",
    }
    failed = {row.output: row.error for row in encoded.rows() if row.status == "failed"}
    assert list(failed) == ["a.png.npz", "empty.npz", "text.npz"]
    assert failed["a.png.npz"] == "too dark" and "is empty" in failed["empty.npz"]

    tried = encoded.batches()
    again = encoded(folder)
    assert len([result for result in again if result.error]) == 3 and encoded.batches() == tried
    assert len(encoded.loaded) == 1
    assert "too dark (it was tried before; retry_failed=True tries again)." in str(
        next(result.error for result in again if result.source.name == "a.png")
    )
    encoded.kind = BlockTokenizer
    shutil.copy(folder / "a.png", folder / "empty.mp4")  # what has changed is tried unasked
    assert statuses(encoded(folder))["empty.mp4"] == "done"
    retried = statuses(encoded(folder, retry_failed=True))
    assert (retried["a.png"], retried["text.mp4"]) == ("done", "failed")
    assert [row.output for row in encoded.rows() if row.status == "failed"] == ["text.npz"]


def test_what_stays_of_a_source_that_fails_now_is_replaced_later(encoded: Encoded, folder: Path) -> None:
    encoded(folder)
    (folder / "a.png").write_text("no picture any more")
    assert statuses(encoded(folder))["a.png"] == "failed"
    assert (encoded.out / "a.png.npz").exists()
    picture(folder / "a.png", 77)
    assert statuses(encoded(folder))["a.png"] == "done"


def test_a_source_that_changes_while_it_is_read(encoded: Encoded, folder: Path) -> None:
    class Late(BlockTokenizer):
        def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
            picture(folder / "a.png", 250)
            return super().encode_batch(clips)

    encoded.kind = Late
    results = encoded(folder)
    assert statuses(results)["a.png"] == "failed" and "was changed while" in str(results[0].error)
    encoded.kind = BlockTokenizer
    assert statuses(encoded(folder))["a.png"] == "done"
    assert read_tokens(encoded.out / "a.png.npz").arrays["spatial"].max() == 250


def test_an_interruption_leaves_a_line_that_says_so(encoded: Encoded, folder: Path) -> None:
    class Interrupted(BlockTokenizer):
        def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
            if clips.max() == 40:
                raise KeyboardInterrupt
            return super().encode_batch(clips)

    encoded.kind = Interrupted
    with pytest.raises(KeyboardInterrupt):
        encoded(folder)
    # As if it had been killed after the file had its name, and before that was noted.
    (encoded.out / "sub").mkdir(exist_ok=True)
    (encoded.out / "sub/b.png.npz").write_bytes(b"half of it")
    encoded.kind = BlockTokenizer
    assert statuses(encoded(folder)) == {"a.png": "skipped", "b.png": "done", "ü c.png": "done"}


def pack(tar: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(tar, "w") as archive:
        for name, data in members:
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return tar


def test_members_of_tar_files_are_read_where_they_lie(
    encoded: Encoded, folder: Path, tmp_path: Path, examples: Path
) -> None:
    clip_file = examples / "intel-iot-devkit+sample-videos__001.mp4"
    members = (
        ("one/clip.mp4", clip_file.read_bytes()),
        ("one/clip.json", b"{}"),
        ("bad.mp4", b"text"),
        ("../up/p.png", b""),
    )
    tar = pack(tmp_path / "shard-0.tar", *members)
    shutil.copy(tar, folder / "sub" / "inner.tar")
    results = encoded(tar, folder)
    assert {row.output: row.status for row in encoded.rows()} == {
        "in/a.png.npz": "done",
        "in/sub/b.png.npz": "done",
        "in/sub/inner/bad.npz": "failed",
        "in/sub/inner/one/clip.npz": "done",
        "in/sub/ü c.png.npz": "done",
        "shard-0/bad.npz": "failed",
        "shard-0/one/clip.npz": "done",
    } | dict.fromkeys(("shard-0/up/p.png.npz", "in/sub/inner/up/p.png.npz"), "failed")
    bad = next(result for result in results if str(result.source) == f"{tar}/bad.mp4")
    assert str(bad.error).startswith(f"{tar}/bad.mp4 cannot be read as a video")
    made = encoded.out / "shard-0/one/clip.npz"
    list(
        encode_folder(
            [examples / "intel-iot-devkit+sample-videos__001.mp4"], tmp_path / "c.npz", BlockTokenizer
        )
    )
    alone = read_tokens(tmp_path / "c.npz")
    assert read_tokens(made).meta == replace(alone.meta, source="clip.mp4")
    assert not list(encoded.out.rglob(".*"))  # nothing unpacked is left
    assert not {result.status for result in encoded(tar, folder)} - {"skipped", "refused", "failed"}

    pack(tar, *members[1:], members[0])  # another place in the file is no other content
    assert statuses(encoded(tar))["clip.mp4"] == "skipped"


def test_what_is_no_tar_file_costs_no_other(encoded: Encoded, folder: Path) -> None:
    (folder / "broken.tar").write_bytes(b"x" * 2000)
    results = encoded(folder)
    assert results[0].status == "refused" and "is not a readable tar file" in str(results[0].error)
    assert [result.status for result in results[1:]] == ["done"] * 3


def test_lists_keep_the_folders_that_they_name(encoded: Encoded, folder: Path, tmp_path: Path) -> None:
    far = picture(tmp_path / "far/away/d.png", 90)
    lines = ["path,label", "in/a.png,0", "sub/b.png,1", f"{far},2", "in/gone.png,3", "in/a.png,4"]
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "clips.csv").write_text("\n".join(lines))
    results = encoded(tmp_path / "lists" / "clips.csv")
    placed = {row.output: row.status for row in encoded.rows()}
    assert placed.pop("in/gone.png.npz") == "failed"
    root = Path(*far.parent.parts[1:])
    assert placed == {
        "in/a.png.npz": "done",
        "sub/b.png.npz": "done",
        (root / "d.png.npz").as_posix(): "done",
    }
    assert "does not exist" in str(next(each.error for each in results if each.source.name == "gone.png"))
    (tmp_path / "parts.csv").write_text("path,start,end\nin/a.png,1,2\nin/sub/b.png,,\n")
    part, whole = encoded(tmp_path / "parts.csv")
    assert part.status == "refused" and "names a part of in/a.png" in str(part.error)
    assert whole.status == "done"
    (tmp_path / "none.csv").write_text("name\nx\n")
    (refused,) = encoded(tmp_path / "none.csv")
    assert "has no column that names files" in str(refused.error)


def test_two_sources_of_one_output_and_links(encoded: Encoded, folder: Path) -> None:
    picture(folder / "a.png", 9).rename(folder / "x.mp4")
    shutil.copy(folder / "x.mp4", folder / "x.MP4")
    shutil.copy(folder / "x.mp4", folder / "x.avi")
    (folder / "link.png").symlink_to(folder / "sub/b.png")
    (folder / "around").symlink_to(folder)
    results = encoded(folder)
    assert [row.output for row in encoded.rows()] == [
        "link.png.npz",
        "sub/b.png.npz",
        "sub/ü c.png.npz",
        "x.avi.npz",
        "x.npz",
    ]
    (refused,) = [result for result in results if result.error]
    assert "would become" in str(refused.error) and refused.status == "refused"


def test_parts_by_several_processes_are_what_one_makes(
    encoded: Encoded, tmp_path: Path, folder: Path
) -> None:
    for number in range(20):
        picture(folder / "more" / f"{number}.png", number)
    encoded(folder)
    parts = Encoded(tmp_path / "parts")
    counts = [len(parts(folder, share=Share(n, 3))) for n in (1, 2, 3)]
    assert sum(counts) == 23 and min(counts) > 2
    assert tree(parts.out) == tree(encoded.out)
    assert [same(row) for row in parts.rows()] == [same(row) for row in encoded.rows()]
    # Another number of parts goes on where these were.
    assert {result.status for n in (1, 2) for result in parts(folder, share=Share(n, 2))} == {"skipped"}


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.npz"))}


def same(row: Row) -> Row:
    """A row but for its times."""
    return replace(row, seconds=0.0, at=0.0)


def test_what_another_program_is_at_comes_last_and_is_left_to_it(encoded: Encoded, folder: Path) -> None:
    (encoded.out / "sub").mkdir(parents=True)
    with claimed(encoded.out / "a.png.npz") as mine:
        assert mine
        results = encoded(folder)
    assert [(each.source.name, each.status) for each in results] == [
        ("b.png", "done"),
        ("ü c.png", "done"),
        ("a.png", "skipped"),
    ]
    assert results[-1].busy and len(encoded.rows()) == 2
    assert statuses(encoded(folder))["a.png"] == "done"


def test_without_a_folder_to_write_into_outputs_lie_beside(folder: Path, tmp_path: Path) -> None:
    tar = pack(tmp_path / "x.tar", ("one/p.png", (folder / "a.png").read_bytes()))
    (tmp_path / "list.txt").write_text("in/a.png\n")
    results = list(encode_folder([tar, tmp_path / "list.txt"], None, BlockTokenizer))
    assert [result.output for result in results] == [tmp_path / "x/one/p.png.npz", folder / "a.png.npz"]
    again = encode_folder([tar], None, BlockTokenizer, skip_existing=True)
    assert [result.status for result in again] == ["skipped"]


def test_numbered_pictures_are_known_by_all_of_them(encoded: Encoded, tmp_path: Path) -> None:
    for number in range(20):
        for name in ("one", "two"):
            picture(tmp_path / "shots" / name / f"{number:02}.png", number)
    assert set(statuses(encoded(tmp_path / "shots", frames=True)).values()) == {"done"}
    assert [row.output for row in encoded.rows()] == ["one.frames.npz", "two.frames.npz"]
    picture(tmp_path / "shots/two/07.png", 99)
    assert statuses(encoded(tmp_path / "shots", frames=True)) == {"one": "skipped", "two": "done"}
