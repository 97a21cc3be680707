"""Data sets that several programs are at, and sources that meet."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from block_tokenizer import BlockTokenizer
from encoded_dataset import WEIGHTS, Encoded, picture, statuses
from torch import Tensor

from sweettok_cli.holding import claimed
from sweettok_cli.pipeline.row import Row
from sweettok_cli.pipeline.share import Share
from sweettok_cli.tokens import read_tokens


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
    assert str(refused.error).endswith("; rename one of them.")  # in another folder they would meet again


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


def test_one_that_is_started_meanwhile_with_other_options_replaces_nothing(
    encoded: Encoded, folder: Path
) -> None:
    """Neither had anything to find when both looked at what there was."""
    others = Encoded(encoded.out)

    class Met(BlockTokenizer):
        def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
            if not others.loaded:
                results = others(folder, also={"dtype": "float16"})
                assert statuses(results) == {"a.png": "refused", "b.png": "done", "ü c.png": "done"}
                assert "is being made by another program with other weights or options" in str(
                    results[0].error
                )
            return super().encode_batch(clips)

    encoded.kind = Met
    results = encoded(folder)
    assert statuses(results) == {"a.png": "done", "b.png": "refused", "ü c.png": "refused"}
    assert "sub/b.png.npz was encoded with dtype=float16; pass force=True" in str(results[1].error)
    assert {row.output: (row.status, row.options) for row in encoded.rows()} == {
        "a.png.npz": ("done", ""),
        "sub/b.png.npz": ("done", "dtype=float16"),
        "sub/ü c.png.npz": ("done", "dtype=float16"),
    }


def test_one_that_is_started_meanwhile_with_other_weights_replaces_nothing_unless_told_so(
    encoded: Encoded, folder: Path
) -> None:
    others = Encoded(encoded.out)

    class Met(BlockTokenizer):
        def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
            if not others.loaded:
                others(folder, weights="ab" * 32)
            return super().encode_batch(clips)

    encoded.kind = Met
    assert "by blocks with weights abababababab" in str(encoded(folder)[1].error)
    for made in sorted(encoded.out.rglob("*.npz")):
        assert read_tokens(made).meta.weights_sha256 == (WEIGHTS if made.name == "a.png.npz" else "ab" * 32)
    others.loaded.clear()
    for made in encoded.out.rglob("*"):
        if made.is_file():
            made.unlink()
    assert set(statuses(encoded(folder, force=True)).values()) == {"done"}
    assert {row.weights for row in encoded.rows()} == {WEIGHTS}
