"""All files of a round trip, for videos and pictures."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from PIL import Image
from torch import Tensor

from sweettok_cli.errors import SweettokError
from sweettok_cli.inspect.round_trip import RoundtripFiles, make_roundtrip
from sweettok_cli.models.common.tokenizer import decode_frames
from sweettok_cli.tokens import read_tokens
from sweettok_cli.video import VideoReader, probe, write_image
from sweettok_cli.video.side_by_side import SideBySide

CLIP = "intel-iot-devkit+sample-videos__001.mp4"  # 20 frames of 454x256, 10 a second


def frames_of(path: Path) -> np.ndarray:
    with VideoReader(path) as reader:
        return np.stack([frame.rgb for frame in reader])


def picture(path: Path) -> Path:
    write_image(path, np.random.default_rng(0).integers(0, 256, (70, 300, 3), dtype=np.uint8))
    return path


def test_a_real_clip_leaves_every_file(tmp_path: Path, examples: Path) -> None:
    tokenizer = BlockTokenizer()
    source = examples / CLIP
    files = RoundtripFiles.named(source, tmp_path / "results")
    progress: list[tuple[int, int | None]] = []
    with files.prepared(force=False):
        result = make_roundtrip(
            source, tokenizer, files, gain=2, on_progress=lambda done, total: progress.append((done, total))
        )

    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == sorted(
        path.name for path in files.paths().values()
    )
    tokens = read_tokens(files.tokens)
    expected = np.stack(list(decode_frames(tokens, tokenizer)))
    assert np.abs(frames_of(files.decoded).astype(int) - expected).mean() < 2
    drawer = SideBySide(454, 256, gain=2)
    drawn = frames_of(files.side_by_side)
    assert drawn.shape == (20, drawer.height, drawer.width, 3)
    wanted = drawer.draw(frames_of(source)[19], expected[19], f"{result.comparison.psnr[19]:.2f} dB")
    assert np.abs(drawn[19].astype(int) - wanted).mean() < 3
    assert probe(files.decoded).rate == probe(files.side_by_side).rate == 10
    with files.scores.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["psnr"]) for row in rows] == pytest.approx(result.comparison.psnr, abs=1e-4)
    assert [row["clip"] for row in rows] == ["0"] * 17 + ["1"] * 3
    assert Image.open(files.plot).size == (1200, 720)
    assert progress[-1] == (40, 40)
    assert [done for done, _ in progress] == sorted(done for done, _ in progress)


def test_a_picture_comes_back_as_pictures(tmp_path: Path) -> None:
    tokenizer = BlockTokenizer()
    source = picture(tmp_path / "photo.png")
    files = RoundtripFiles.named(source, None)
    with files.prepared(force=False):
        result = make_roundtrip(source, tokenizer, files)
    assert files.side_by_side == tmp_path / "photo.png.roundtrip" / "photo.png.side-by-side.png"
    assert np.array_equal(
        np.asarray(Image.open(files.decoded)), next(decode_frames(result.tokens, tokenizer))
    )
    assert np.asarray(Image.open(files.side_by_side)).shape[2] == 3
    assert result.comparison.frames == 1


def test_output_may_be_a_folder_or_the_name_of_the_picture(tmp_path: Path, examples: Path) -> None:
    default = RoundtripFiles.named(examples / CLIP, None)
    assert default.tokens == examples / f"{Path(CLIP).stem}.roundtrip" / f"{Path(CLIP).stem}.npz"
    named = RoundtripFiles.named(examples / CLIP, tmp_path / "demo.mp4")
    assert named.side_by_side == tmp_path / "demo.mp4"
    assert named.decoded == tmp_path / "demo.decoded.mp4"
    assert len(set(named.paths().values())) == 5
    with pytest.raises(SweettokError, match=r"demo\.png does not end in \.mp4"):
        RoundtripFiles.named(examples / CLIP, tmp_path / "demo.png")
    (tmp_path / "folder.mp4").mkdir()
    assert RoundtripFiles.named(examples / CLIP, tmp_path / "folder.mp4").tokens.parent.name == "folder.mp4"


def test_existing_files_are_refused_before_any_work_and_replaced_by_force(tmp_path: Path) -> None:
    source = picture(tmp_path / "photo.png")
    files = RoundtripFiles.named(source, tmp_path)
    files.scores.write_text("mine")
    refused = pytest.raises(SweettokError, match=r"photo\.png\.scores\.csv exists; pass force=True")
    with refused, files.prepared(force=False):
        raise AssertionError
    with files.prepared(force=True):
        make_roundtrip(source, BlockTokenizer(), files, force=True)
    assert files.scores.read_text().startswith("frame,clip,psnr,ssim")


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    source = picture(tmp_path / "photo.png")
    files = RoundtripFiles.named(source, tmp_path / "photo.png" / "below")
    with pytest.raises(SweettokError, match="Cannot make the folder"), files.prepared(force=False):
        raise AssertionError


def test_a_folder_made_for_nothing_goes_again(tmp_path: Path) -> None:
    files = RoundtripFiles.named(picture(tmp_path / "photo.png"), tmp_path / "new" / "below")
    for written in ([], [files.tokens], [files.tokens, files.plot]):
        with pytest.raises(KeyboardInterrupt), files.prepared(force=False):
            for path in written:
                path.write_text("whole")
            raise KeyboardInterrupt
        assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]
    with files.prepared(force=False):
        files.tokens.write_text("of one program")
        with pytest.raises(SweettokError, match="is being made by another"), files.prepared(force=True):
            raise AssertionError
    files.tokens.unlink()
    files.scores.write_text("mine")
    (files.tokens.parent / "other").touch()
    with pytest.raises(KeyboardInterrupt), files.prepared(force=True):
        files.tokens.write_text("whole")
        raise KeyboardInterrupt
    assert {path.name for path in files.tokens.parent.iterdir()} == {files.scores.name, "other"}


def test_a_failure_half_way_leaves_no_half_written_video(tmp_path: Path, examples: Path) -> None:
    class Failing(BlockTokenizer):
        decoded = 0

        def decode_batch(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Tensor:
            self.decoded += 1
            if self.decoded == 2:
                raise RuntimeError("out of memory")
            return super().decode_batch(tokens, height, width)

    files = RoundtripFiles.named(examples / CLIP, tmp_path)
    with pytest.raises(RuntimeError, match="out of memory"):
        make_roundtrip(examples / CLIP, Failing(batch_clips=1), files)
    assert [path.name for path in tmp_path.iterdir()] == [files.tokens.name]
