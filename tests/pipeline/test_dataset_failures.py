"""Data sets: what fails, what is said of it the next time, and what stays."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from block_tokenizer import BlockTokenizer
from encoded_dataset import Encoded, pack, picture, statuses
from torch import Tensor

from sweettok_cli.tokens import read_tokens


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


def incomplete(folder: Path) -> Path:
    """Numbered pictures, of which one is missing."""
    for number in (1, 2, 4):
        picture(folder / f"{number}.png", number)
    return folder


def test_strict_refuses_tokens_of_what_is_not_whole_and_leaves_them_as_they_are(
    encoded: Encoded, tmp_path: Path
) -> None:
    shots = incomplete(tmp_path / "shots" / "one").parent
    assert [result.status for result in encoded(shots, frames=True)] == ["done"]
    (row,) = encoded.rows()
    tokens = (encoded.out / "one.frames.npz").read_bytes()
    assert row.lost
    for force in (False, True):  # with it, they would be made again
        (refused,) = encoded(shots, frames=True, strict=True, force=force)
        assert refused.error is not None and row.lost in str(refused.error)
        assert "leave out strict=True" in str(refused.error)
        (kept,) = encoded.rows()
        assert replace(kept, at=0.0) == replace(row, at=0.0)
        assert (encoded.out / "one.frames.npz").read_bytes() == tokens
    assert len(encoded.loaded) == 2  # without force, nothing had to be read
    assert [result.status for result in encoded(shots, frames=True)] == ["skipped"]
    picture(shots / "one" / "3.png", 3)
    assert [result.status for result in encoded(shots, frames=True, strict=True)] == ["done"]


def test_strict_from_the_beginning_gives_a_failure_and_no_tokens(encoded: Encoded, tmp_path: Path) -> None:
    shots = incomplete(tmp_path / "shots" / "one").parent
    assert [result.status for result in encoded(shots, frames=True, strict=True)] == ["failed"]
    (row,) = encoded.rows()
    assert row.status == "failed" and not list(encoded.out.rglob("*.npz"))
    assert [result.status for result in encoded(shots, frames=True, retry_failed=True)] == ["done"]


def test_encoding_again_that_fails_leaves_tokens_of_the_same_content_and_their_row(
    encoded: Encoded, folder: Path
) -> None:
    encoded(folder)
    before = [replace(row, at=0.0) for row in encoded.rows()]
    encoded.kind = Sick
    assert statuses(encoded(folder, force=True))["a.png"] == "failed"
    assert [replace(row, at=0.0, seconds=0.0) for row in encoded.rows()] == [
        replace(row, seconds=0.0) for row in before
    ]
    # Of other weights they are not what was asked for, and so it has failed.
    assert statuses(encoded(folder, force=True, weights="ab" * 32))["a.png"] == "failed"
    failed = encoded.rows()[0]
    assert failed.status == "failed" and failed.file_bytes == (encoded.out / failed.output).stat().st_size


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_source_that_cannot_be_read_any_more(encoded: Encoded, folder: Path, how: str) -> None:
    clips = folder.parent / "lists" / "clips.txt"
    clips.parent.mkdir()
    clips.write_text("in/a.png\nin/sub/b.png\n")
    encoded(clips)
    if how == "gone":
        (folder / "a.png").unlink()
    else:
        (folder / "a.png").write_bytes(b"")
    for _ in range(2):
        assert statuses(encoded(clips)) == {"a.png": "refused", "b.png": "skipped"}
        # What is there is of what it held when it was there; of one that was emptied it is no more.
        assert encoded.rows()[0].status == ("done" if how == "gone" else "failed")
    picture(folder / "a.png", 77)
    assert statuses(encoded(clips))["a.png"] == "done"


def test_what_failed_and_is_gone_no_longer_counts(encoded: Encoded, folder: Path, tmp_path: Path) -> None:
    good, bad = (folder / "a.png").read_bytes(), b"text"
    tar = pack(folder / "x.tar", ("good.png", good), ("bad.png", bad))
    for name in ("bad.mp4", "sub/worse.mp4", "stays.mp4"):
        (folder / name).write_bytes(bad)
    encoded(folder)
    pack(tar, ("good.png", good))
    encoded(folder / "sub")  # in which the tar file does not lie
    assert encoded.heard() == []
    (folder / "bad.mp4").unlink()
    (folder / "a.png").unlink()
    results = encoded(folder)
    (said,) = encoded.heard()
    assert "and 1 more could not be encoded before and are no longer there" in said
    assert {each.source.name for each in results if each.error} == {"worse.mp4", "stays.mp4"}
    rows = {row.output: row.status for row in encoded.rows()}
    failed = {name for name, status in rows.items() if status == "failed"}
    assert failed == {"sub/worse.npz", "stays.npz", "worse.npz"}
    assert rows["a.png.npz"] == "done"  # its tokens are there
    encoded(folder)
    assert encoded.heard() == []  # once
    (folder / "bad.mp4").write_bytes(bad)
    assert statuses(encoded(folder))["bad.mp4"] == "failed"


def test_what_was_listed_and_is_gone_and_what_cannot_be_looked_at(
    encoded: Encoded, folder: Path, tmp_path: Path
) -> None:
    clips = tmp_path / "lists" / "clips.txt"
    clips.parent.mkdir()
    clips.write_text("in/a.png\nin/bad.mp4\nin/x.tar\n")
    (folder / "bad.mp4").write_bytes(b"text")
    pack(folder / "x.tar", ("bad.png", b"text"))
    encoded(clips, folder)
    (folder / "bad.mp4").unlink()
    (folder / "x.tar").write_bytes(b"no tar file any more" * 100)
    clips.write_text("in/a.png\n")
    encoded(clips, folder)
    assert [text.split(" could not")[0] for text in encoded.heard()] == [f"{folder / 'bad.mp4'}"]
    assert {row.output for row in encoded.rows() if row.status == "failed"} == {"x/bad.png.npz"}


def test_names_without_a_root_are_not_looked_for_elsewhere(
    encoded: Encoded, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bad.mp4").write_bytes(b"text")
    monkeypatch.chdir(tmp_path)
    encoded(Path("in"))
    monkeypatch.chdir(tmp_path / "in")
    encoded(Path("sub"))
    assert encoded.heard() == [] and "bad.npz" in {row.output for row in encoded.rows()}
    (folder / "bad.mp4").unlink()
    monkeypatch.chdir(tmp_path)
    encoded(Path("in"))
    assert encoded.heard() == [
        "in/bad.mp4 could not be encoded before and is no longer there; it no longer counts as a failure."
    ]


def test_pictures_that_are_there_are_not_gone(encoded: Encoded, tmp_path: Path) -> None:
    """The name of a pattern is that of no file."""
    picture(tmp_path / "shots/1.png", 1)
    (tmp_path / "shots/2.png").write_text("none")
    encoded(tmp_path / "shots/%d.png", tmp_path / "shots")
    assert "%d.png.npz" in {row.output for row in encoded.rows() if row.status == "failed"}
    encoded(tmp_path / "shots")
    assert encoded.heard() == []


def test_a_damaged_manifest_is_said_and_what_it_no_longer_tells_of_is_kept(
    encoded: Encoded, folder: Path
) -> None:
    encoded(folder)
    lines = (encoded.out / "manifest.jsonl").read_bytes().splitlines()
    assert len(lines) == 6
    lines[:2] = [b"garbage", b"\xff\x00"]  # of the first file, begun and done
    (encoded.out / "manifest.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    results = encoded(folder)
    (said,) = encoded.heard()
    assert "The manifest is damaged" in said and f"{encoded.out / 'manifest.jsonl'} (2); " in said
    assert statuses(results) == {"a.png": "refused", "b.png": "skipped", "ü c.png": "skipped"}
    assert statuses(encoded(folder, skip_existing=True)) == dict.fromkeys(statuses(results), "skipped")
    assert encoded.batches() == 3 and len(encoded.rows()) == 3 and encoded.heard() == [said]
